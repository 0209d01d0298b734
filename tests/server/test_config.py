from pathlib import Path
from typing import Any

import pytest

from hunique_server.config import ConfigError, ServerConfig


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"threads": 0}, "threads must be at least 1, found 0"),
        ({"workers": -1}, "workers must be at least 1, or 0 for auto, found -1"),
        ({"max_batch": 0}, "max_batch"),
        ({"max_queue_items": 0}, "max_queue_items"),
        ({"max_image_bytes": 0}, "max_image_bytes"),
        ({"max_image_pixels": 0}, "max_image_pixels"),
        ({"drain_s": -1.0}, "drain_s"),
        ({"listen": ()}, "at least one address"),
        ({"listen": ("50051",)}, "'50051'"),
        ({"listen": (":50051",)}, "':50051'"),
        ({"listen": ("127.0.0.1:65536",)}, "65536"),
        ({"listen": ("127.0.0.1:\N{SUPERSCRIPT TWO}",)}, "HOST:PORT"),
        ({"listen": ("127.0.0.1:50051", "unix:")}, "'unix:'"),
        ({"admin_listen": "9464"}, "'9464'"),
        ({"admin_listen": "unix:/run/admin"}, "expected HOST:PORT, found 'unix:/run/admin'"),
        ({"max_image_bytes": 11, "max_queue_bytes": 10}, "at least one image"),
    ],
)
def test_what_cannot_work_is_refused_by_name(choices: dict[str, Any], said: str) -> None:
    """A server does not start with a value that cannot work; the message names it."""
    with pytest.raises(ConfigError) as refused:
        ServerConfig(bundles=(Path("bundle"),), **choices)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "address", ["127.0.0.1:0", "localhost:65535", "[::1]:50051", "unix:/run/h.sock", "unix:h.sock"]
)
def test_addresses_of_every_kind_are_taken(address: str) -> None:
    """Names, IPv4, IPv6 and Unix sockets can be listened on."""
    assert ServerConfig(bundles=(Path("bundle"),), listen=(address,)).listen == (address,)
