"""Addresses to listen on: HOST:PORT or unix:PATH. A leaf."""

import ipaddress


def is_unix(address: str) -> bool:
    """Whether an address is unix:PATH."""
    return address.startswith("unix:") and len(address) > len("unix:")


def is_host_and_port(address: str) -> bool:
    """Whether an address is HOST:PORT."""
    host, _, port = address.rpartition(":")
    return host not in ("", "unix") and port.isdecimal() and int(port) <= 65535


def is_local(address: str) -> bool:
    """Whether an address to listen on is reached from this machine alone."""
    if is_unix(address):
        return True
    host = address.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name, which may be any machine's
        return False
