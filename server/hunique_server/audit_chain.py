"""The form of an audit log: lines that hold on to each other, and a signed head.

    line n: {"sequence": n, "previous": SHA-256 of line n-1, ...}
    head:   {"entries": n, "sha256": of line n, "time": ..., "signature": Ed25519}

A changed, removed or exchanged line breaks the chain; the head says how long it is and how
it ends, which only the holder of the key can say. Nothing here opens a file.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from hunique_server.config_error import ConfigError

NO_PREVIOUS = "0" * 64
"""What the first line holds on to."""
_PURPOSE = "hunique-audit-head-1"


class BrokenChainError(Exception):
    """A log that is not as it was written; the message says where."""


@dataclass(frozen=True)
class Link:
    """Where a chain has come to."""

    entries: int = 0
    """Lines so far."""
    sha256: str = NO_PREVIOUS
    """Of the last one, without its newline."""

    def next_line(self, values: Mapping[str, Any]) -> tuple[bytes, "Link"]:
        """The line for some values, newline included, and where the chain is then."""
        entry = {**values, "sequence": self.entries + 1, "previous": self.sha256}
        line = json.dumps(entry, sort_keys=True, separators=(",", ":")).encode()
        return line + b"\n", Link(self.entries + 1, sha256(line).hexdigest())

    def follow(self, line: bytes) -> tuple[dict[str, Any], "Link"]:
        """What a line says, and where the chain is then.

        Raises:
            BrokenChainError: it is not the line that follows.
        """
        number = self.entries + 1
        try:
            entry = json.loads(line)
            sequence, previous = entry["sequence"], entry["previous"]
        except (ValueError, TypeError, KeyError):
            raise BrokenChainError(f"line {number} is no entry") from None
        if sequence != number:
            raise BrokenChainError(
                f"line {number} says that it is entry {sequence}: lines are missing, or exchanged"
            )
        if previous != self.sha256:
            raise BrokenChainError(
                f"line {number} does not hold on to the line before: one of them was changed"
            )
        return entry, Link(number, sha256(line).hexdigest())


def sign_head(link: Link, time: str, key: Ed25519PrivateKey) -> bytes:
    """The head of a chain, as it is written down.

    Args:
        link: where the chain has come to.
        time: now, as text.
        key: the log's.
    """
    signature = base64.b64encode(key.sign(_signed(link, time))).decode()
    head = {"entries": link.entries, "sha256": link.sha256, "time": time, "signature": signature}
    return json.dumps(head).encode() + b"\n"


def read_head(data: bytes, key: Ed25519PublicKey) -> Link:
    """Where the holder of the key said that the chain had come to.

    Raises:
        BrokenChainError: nobody who holds the key said this.
    """
    try:
        head = json.loads(data)
        link = Link(int(head["entries"]), str(head["sha256"]))
        signature = base64.b64decode(head["signature"], validate=True)
        key.verify(signature, _signed(link, str(head["time"])))
    except (ValueError, TypeError, KeyError, binascii.Error, InvalidSignature):
        raise BrokenChainError("the head was not signed with this key") from None
    return link


def _signed(link: Link, time: str) -> bytes:
    return f"{_PURPOSE}\n{link.entries}\n{link.sha256}\n{time}\n".encode()


def read_private_key(pem: bytes) -> Ed25519PrivateKey:
    """The key that signs.

    Raises:
        ConfigError: it is no Ed25519 key in PEM without password.
    """
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(
            "expected an Ed25519 private key in PEM without password as --audit-key; "
            "openssl genpkey -algorithm ed25519 -out FILE makes one"
        )
    return key


def read_public_key(pem: bytes) -> Ed25519PublicKey:
    """The key that verifies, from itself or from the private one.

    Raises:
        ConfigError: it is no Ed25519 key in PEM.
    """
    private = b"PRIVATE" in pem
    try:
        key = load_pem_private_key(pem, None).public_key() if private else load_pem_public_key(pem)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigError(
            "expected an Ed25519 public key in PEM, found none: nothing was verified. "
            "openssl pkey -in KEY -pubout makes it of the key that signs"
        )
    return key
