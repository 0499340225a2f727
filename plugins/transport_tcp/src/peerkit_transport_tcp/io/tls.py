"""TLS contexts: TLS 1.3 only, and a certificate of its own for each start that names nobody.

TLS here hides the protocol and adds a second lock; it proves no peer.  The handshake does that, with the certificate's
hash in its prologue, so whoever stands in the middle with a certificate of his own makes the handshake fail.
"""

import secrets
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from peerkit.network import ServerTls

_LIFETIME = timedelta(days=365)  # a year without a restart; no Peerkit node looks at it


def client_context() -> ssl.SSLContext:
    """Takes any certificate: see the module's text for why that is right."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def server_tls(folder: Path, now_wall: float) -> ServerTls:
    """A fresh key, its certificate, and the context that serves it.  Blocks for up to 10 ms.

    Args:
        folder: where the key lies for a moment, encrypted, because `ssl` only reads keys from files.
    """
    # Here, because few nodes listen on tls:// and loading it takes a tenth of a node's start.
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, secrets.token_hex(8))])
    now = datetime.fromtimestamp(now_wall, UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _LIFETIME)
        .sign(key, SHA256())
    )
    password = secrets.token_bytes(32).hex().encode()
    encrypted = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0  # a resumed session would show who comes back
    path = folder / f"{secrets.token_hex(8)}.pem"
    try:
        path.write_bytes(encrypted + certificate.public_bytes(Encoding.PEM))
        context.load_cert_chain(path, password=password)
    finally:
        path.unlink(missing_ok=True)
    return ServerTls(context, certificate.public_bytes(Encoding.DER))
