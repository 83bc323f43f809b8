"""TLS by DICOM's BCP 195 profiles (PS3.15 B.9 to B.12): 1.2 and later, forward secrecy."""

from __future__ import annotations

import ssl

from dicom_node.config.models import TlsConfig
from dicom_node.errors import ConfigError

_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM"
"""RFC 7525 4.2; TLS 1.3 has its own, all good."""


def context(config: TlsConfig) -> ssl.SSLContext:
    """A server's context; asks for client certificates where it has authorities. Raises ConfigError."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.minimum_version = ssl.TLSVersion.TLSv1_2
    tls.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    try:
        tls.set_ciphers(_CIPHERS)
        tls.load_cert_chain(config.certificate, config.key)
        if config.authorities is not None:
            tls.load_verify_locations(config.authorities)
            tls.verify_mode = ssl.CERT_REQUIRED
    except OSError as error:  # SSLError is one
        raise ConfigError(f"receive.tls can't be used: {error}") from error
    return tls
