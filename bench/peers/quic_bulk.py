"""QUIC libraries' ends of the UDP benchmark: `python -m bench.peers.quic_bulk LIB serve BYTES` or `… send BYTES PORT`.

`LIB` is `qh3` or `aioquic`, whose asyncio interfaces are the same.  One stream; datagrams of 1,400 bytes, windows
that never close and large socket buffers; everything else is the library's own default.  The sender gives all bytes
at once, so that none of its time goes into waking for more; it prints what the receiver says: the bytes that arrived
and the seconds of its best lap.
"""

import asyncio
import datetime
import importlib
import socket
import ssl
import sys
import tempfile
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ..laps import PER_RUN, Laps

DATAGRAM_BYTES = 1_400
WINDOW_BYTES = 1 << 40
SILENCE_S = 120.0


def configuration(library: str, is_client: bool) -> Any:
    made = importlib.import_module(f"{library}.quic.configuration").QuicConfiguration(
        is_client=is_client,
        alpn_protocols=["bench"],
        max_datagram_size=DATAGRAM_BYTES,
        max_data=WINDOW_BYTES,
        max_stream_data=WINDOW_BYTES,
        idle_timeout=SILENCE_S,
    )
    if hasattr(made, "probe_datagram_size"):
        made.probe_datagram_size = False  # it would try larger ones
    made.verify_mode = ssl.CERT_NONE
    return made


def protocol(library: str) -> Any:
    """Asks for large socket buffers at both ends."""
    base: Any = importlib.import_module(f"{library}.asyncio").QuicConnectionProtocol

    class LargeBuffers(base):  # type: ignore[misc]
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            sock = transport.get_extra_info("socket")
            for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
                sock.setsockopt(socket.SOL_SOCKET, option, 4 * 1024 * 1024)

    return LargeBuffers


def certificate(folder: Path) -> tuple[str, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(secret)
    return str(paths[0]), str(paths[1])


async def serve(library: str, nbytes: int) -> None:
    tasks = set()

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        total, laps = 0, Laps(nbytes // PER_RUN)
        while chunk := await reader.read(1 << 20):
            total += len(chunk)
            laps.passed(total)
        writer.write(f"{total} {laps.best()[0]}".encode())
        writer.write_eof()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(count(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    settings = configuration(library, is_client=False)
    with tempfile.TemporaryDirectory() as folder:
        settings.load_cert_chain(*certificate(Path(folder)))
    served = await importlib.import_module(f"{library}.asyncio").serve(
        "127.0.0.1", 0, configuration=settings, create_protocol=protocol(library), stream_handler=accept
    )
    print(served._transport.get_extra_info("sockname")[1], flush=True)
    await asyncio.Event().wait()


async def send(library: str, nbytes: int, port: int) -> str:
    settings = configuration(library, is_client=True)
    settings.server_name = "localhost"
    data = bytes(nbytes)
    async with importlib.import_module(f"{library}.asyncio").connect(
        "127.0.0.1", port, configuration=settings, create_protocol=protocol(library)
    ) as connection:
        reader, writer = await connection.create_stream()
        writer.write(data)
        writer.write_eof()
        answer: bytes = await reader.read()
        return answer.decode()


if __name__ == "__main__":
    library, end, nbytes, *words = sys.argv[1:]
    if end == "serve":
        asyncio.run(serve(library, int(nbytes)))
    else:
        print(asyncio.run(send(library, int(nbytes), int(words[0]))), flush=True)
