"""TLS on real sockets, seen by a client that is not ours, and an attacker with another certificate in the middle."""

import asyncio
import contextlib
import hashlib
import ssl
import time
from pathlib import Path

import pytest
from cryptography import x509
from peerkit_transport_tcp.io.tls import client_context, server_tls

from peerkit.address import Address
from peerkit.errors import ConnectFailed
from peerkit.testing.stream_end import Acceptor
from peerkit.testing.transport_checks import StreamTransportBed, dial
from plugins.transport_tcp.tests.beds import foreign_client, on_real_sockets
from plugins.transport_tcp.tests.middle import Middle

pytestmark = pytest.mark.integration


def test_a_foreign_tls_client_sees_tls_1_3_and_gets_through(tmp_path: Path) -> None:
    async def body(bed: StreamTransportBed) -> None:
        acceptor = Acceptor()
        listener = await bed.listener.listen(bed.address, acceptor)
        (address,) = listener.addresses
        assert address.scheme == "tls"
        reader, writer = await asyncio.open_connection(address.host, address.port, ssl=foreign_client())
        tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
        assert tls.version() == "TLSv1.3"
        writer.write(b"in")
        theirs = await acceptor.end()
        assert await theirs.until_received(2) == b"in"
        assert theirs.pipe.binding == hashlib.sha256(tls.getpeercert(binary_form=True) or b"").digest()
        theirs.pipe.write([b"out"])
        assert await reader.readexactly(3) == b"out"
        writer.close()
        await theirs.until_lost()
        await listener.close()

    on_real_sockets(body, tmp_path, "tcp://127.0.0.1:0", tls=True)


def test_an_older_tls_is_refused(tmp_path: Path) -> None:
    async def body(bed: StreamTransportBed) -> None:
        listener = await bed.listener.listen(bed.address, Acceptor())
        old = foreign_client()
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection("127.0.0.1", listener.addresses[0].port, ssl=old)
        await listener.close()

    on_real_sockets(body, tmp_path, "tls://127.0.0.1:0")


def test_plain_bytes_to_a_tls_listener_get_no_answer(tmp_path: Path) -> None:
    async def body(bed: StreamTransportBed) -> None:
        acceptor = Acceptor()
        listener = await bed.listener.listen(bed.address, acceptor)
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.addresses[0].port)
        writer.write(b"\0\0\0\1 a plain handshake")
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()
        assert acceptor.ends == []
        await listener.close()

    on_real_sockets(body, tmp_path, "tls://127.0.0.1:0")


def test_a_tls_dial_to_a_plain_listener_fails_with_the_reason(tmp_path: Path) -> None:
    """The other side closes when it has read what is no handshake; here the acceptor does."""

    async def body(bed: StreamTransportBed) -> None:
        async def close_at_once(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()

        server = await asyncio.start_server(close_at_once, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ConnectFailed, match=rf"^cannot connect to tls://127\.0\.0\.1:{port}: ."):
            await dial(bed.dialer, Address("tls", "127.0.0.1", port))
        server.close()

    on_real_sockets(body, tmp_path, "tls://127.0.0.1:0")


def test_a_man_in_the_middle_makes_the_bindings_differ(tmp_path: Path) -> None:
    """He has a certificate of his own, as he must; the handshake's prologue holds the binding of each side."""

    async def body(bed: StreamTransportBed) -> None:
        acceptor = Acceptor()
        listener = await bed.listener.listen(bed.address, acceptor)
        async with Middle(server_tls(tmp_path, time.time()), listener.addresses[0]) as middle:
            ours = await dial(bed.dialer, middle.address)
            ours.pipe.write([b"seen by the attacker"])
            theirs = await acceptor.end()
            assert await theirs.until_received(20) == b"seen by the attacker"
            assert bytes(middle.seen) == b"seen by the attacker"
            assert len(ours.pipe.binding) == len(theirs.pipe.binding) == 32
            assert ours.pipe.binding != theirs.pipe.binding
            ours.pipe.close()
            await theirs.until_lost()
        await listener.close()

    on_real_sockets(body, tmp_path, "tls://127.0.0.1:0")


def test_every_listener_has_a_certificate_of_its_own_that_names_nobody(tmp_path: Path) -> None:
    first, second = (server_tls(tmp_path, time.time()) for _ in range(2))
    certificates = [x509.load_der_x509_certificate(tls.certificate) for tls in (first, second)]
    assert certificates[0].serial_number != certificates[1].serial_number
    assert certificates[0].subject != certificates[1].subject
    for certificate in certificates:
        certificate.verify_directly_issued_by(certificate)
        assert len(certificate.subject) == 1
        assert not list(certificate.extensions)


def test_no_key_is_left_on_the_disk(tmp_path: Path) -> None:
    server_tls(tmp_path, time.time())
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_an_error_with_its_name(tmp_path: Path) -> None:
    async def body(bed: StreamTransportBed) -> None:
        with pytest.raises(ConnectFailed, match=r"no TLS key can be made in .*missing: No such file"):
            await bed.listener.listen(bed.address, Acceptor())

    on_real_sockets(body, tmp_path / "missing", "tls://127.0.0.1:0")


def test_our_client_speaks_nothing_below_tls_1_3() -> None:
    assert client_context().minimum_version is ssl.TLSVersion.TLSv1_3
