"""TLS for callers, mutual where asked for; new certificates are taken without a restart.

gRPC asks at every handshake; certificates that do not fit are never given to it.
"""

import logging
from datetime import datetime
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from hunique_server.config_error import ConfigError
from hunique_server.security_config import SecurityConfig
from hunique_server.watched import Watched

logger = logging.getLogger(__name__)


class Certificates:
    """The server's certificates, as their files are now.

    Args:
        config: names the files; it must encrypt.

    Raises:
        ConfigError: a file is not there, is not PEM, or key and certificate differ.
    """

    def __init__(self, config: SecurityConfig) -> None:
        if config.tls_cert is None or config.tls_key is None:
            raise ConfigError("no certificate is named: give --tls-cert and --tls-key")
        cert, key, client_ca = config.tls_cert, config.tls_key, config.tls_client_ca
        files = tuple(file for file in (cert, key, client_ca) if file is not None)
        self._watched = Watched(files, lambda: _read(cert, key, client_ca))
        self._mutual = client_ca is not None

    def credentials(self) -> grpc.ServerCredentials:
        """For a port; looks at the files at every handshake."""
        return grpc.dynamic_ssl_server_credentials(
            self._watched.value()[0],
            lambda: self._watched.value()[0],
            require_client_authentication=self._mutual,
        )

    def expires(self) -> datetime:
        """When the certificate that is used now ends."""
        return self._watched.value()[1]


def _read(
    cert: Path, key: Path, client_ca: Path | None
) -> tuple[grpc.ServerCertificateConfiguration, datetime]:
    chain, private = cert.read_bytes(), key.read_bytes()
    roots = None if client_ca is None else client_ca.read_bytes()
    if roots is not None and client_ca is not None:
        certificates_in(roots, client_ca)
    expires = _check_pair(chain, private, cert, key)
    return grpc.ssl_server_certificate_configuration([(private, chain)], roots), expires


def _check_pair(chain: bytes, private: bytes, cert: Path, key: Path) -> datetime:
    """Refuse a key of another certificate; when the certificate ends.

    Raises:
        ConfigError: naming the file, and nothing of what is in it.
    """
    leaf = certificates_in(chain, cert)[0]
    try:
        public = load_pem_private_key(private, password=None).public_key()
    except (ValueError, TypeError) as error:
        raise ConfigError(f"expected a private key in PEM without password in {key}") from error
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if public.public_bytes(*form) != leaf.public_key().public_bytes(*form):
        raise ConfigError(f"the key in {key} is not that of the certificate in {cert}")
    expires = leaf.not_valid_after_utc
    if expires < datetime.now(expires.tzinfo):
        logger.warning("the certificate in %s ended at %s", cert, expires.isoformat())
    return expires


def certificates_in(pem: bytes, file: Path) -> list[x509.Certificate]:
    """Certificates of a file's content.

    Raises:
        ConfigError: it holds none, naming the file.
    """
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise ConfigError(f"expected certificates in PEM in {file}") from error
