"""What people and tools call: find hand features on photographs, over gRPC.

    from hunique_client import HuniqueClient

    with HuniqueClient() as client:               # a private server, ended with the client
        result = client.segment(Path("hand.jpg"))
    with HuniqueClient("gpu-host:50051", Credentials(tls=True)) as client:
        for outcome in client.segment_many(paths): ...

`hunique_client.aio.HuniqueClient` has the same shape for asyncio. Errors form one tree,
drawn in `hunique_client.errors`.

Names are imported when first asked for, so that the command can say which extra is missing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hunique_client.client import HuniqueClient
    from hunique_client.credentials import Credentials
    from hunique_client.errors import (
        AccessDeniedError,
        CredentialsError,
        DeadlineError,
        HuniqueClientError,
        InvalidRequestError,
        ServerBusyError,
        ServerFailedError,
        ServerUnavailableError,
    )
    from hunique_client.results import (
        Box,
        ClassResult,
        Detail,
        Instance,
        ModelDescription,
        Outcome,
        Output,
        SegmentResult,
        Status,
    )

__all__ = [
    "AccessDeniedError",
    "Box",
    "ClassResult",
    "Credentials",
    "CredentialsError",
    "DeadlineError",
    "Detail",
    "HuniqueClient",
    "HuniqueClientError",
    "Instance",
    "InvalidRequestError",
    "ModelDescription",
    "Outcome",
    "Output",
    "SegmentResult",
    "ServerBusyError",
    "ServerFailedError",
    "ServerUnavailableError",
    "Status",
]


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    for module in ("client", "credentials", "errors", "results"):
        found = getattr(import_module(f"{__name__}.{module}"), name, None)
        if found is not None:
            return found
    raise AssertionError(name)
