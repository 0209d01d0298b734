"""Certificates of callers that their authority took back: revocation lists (RFC 5280, PEM).

    certificate that a caller shows -> issuer, serial number -> on a list?

Asked for at every call, so that a list counts for connections that are open, too. A caller's
own certificate is looked up, those of authorities between it and the root are not.
"""

import logging
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from cryptography import x509

from hunique_server.config_error import ConfigError
from hunique_server.tls import certificates_in
from hunique_server.watched import Watched

logger = logging.getLogger(__name__)

_END = b"-----END X509 CRL-----"
_MOST_REMEMBERED = 1024
Shown = tuple[bytes, int]
"""What tells a certificate from all others: its issuer's name in DER, its serial number."""


class Revocations:
    """The lists as their file is now.

    Args:
        lists: one or more revocation lists, PEM.
        authorities: who may sign them, PEM: the authorities of callers.

    Raises:
        ConfigError: a file is not there or is not PEM, or a list is not signed by an authority.
    """

    def __init__(self, lists: Path, authorities: Path) -> None:
        self._taken_back = Watched((lists, authorities), lambda: _read(lists, authorities))

    def hold(self, certificate_pem: bytes) -> bool:
        """Whether a caller's certificate was taken back."""
        return _shown(certificate_pem) in self._taken_back.value()


@lru_cache(_MOST_REMEMBERED)
def _shown(certificate_pem: bytes) -> Shown:
    certificate = x509.load_pem_x509_certificate(certificate_pem)
    return certificate.issuer.public_bytes(), certificate.serial_number


def _read(lists: Path, authorities: Path) -> frozenset[Shown]:
    known = certificates_in(authorities.read_bytes(), authorities)
    found = _lists_in(lists)
    for one in found:
        if not any(_signed(one, authority) for authority in known):
            raise ConfigError(
                f"expected revocation lists of the authorities in {authorities}, found one of "
                f"{one.issuer.rfc4514_string()} in {lists}"
            )
    taken_back: set[Shown] = set()
    for one in found:
        if one.next_update_utc is not None and one.next_update_utc < datetime.now(UTC):
            logger.warning("a list in %s was to be renewed by %s", lists, one.next_update_utc)
        issuer = one.issuer.public_bytes()
        taken_back |= {(issuer, revoked.serial_number) for revoked in one}
    return frozenset(taken_back)


def _lists_in(file: Path) -> list[x509.CertificateRevocationList]:
    parts = [part + _END for part in file.read_bytes().split(_END)[:-1]]
    try:
        lists = [x509.load_pem_x509_crl(part) for part in parts]
    except ValueError as error:
        raise ConfigError(f"expected revocation lists in PEM in {file}") from error
    if not lists:
        raise ConfigError(f"expected revocation lists in PEM in {file}, found none")
    return lists


def _signed(one: x509.CertificateRevocationList, authority: x509.Certificate) -> bool:
    if authority.subject != one.issuer:
        return False
    return one.is_signature_valid(authority.public_key())  # type: ignore[arg-type]
