"""What people and tools call: find hand features on photographs, over gRPC.

    from hunique_client import HuniqueClient

    with HuniqueClient() as client:               # a private server, ended with the client
        result = client.segment(Path("hand.jpg"))
    with HuniqueClient("gpu-host:50051") as client:
        for outcome in client.segment_many(paths): ...

`hunique_client.aio.HuniqueClient` has the same shape for asyncio. Errors form one tree,
drawn in `hunique_client.errors`.
"""

from hunique_client.client import HuniqueClient
from hunique_client.errors import (
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
    "Box",
    "ClassResult",
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
