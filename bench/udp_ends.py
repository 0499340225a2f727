"""Both ends of one long transfer over UDP on loopback, each a process: `python -m bench.udp_ends WHAT END ADDRESS …`.

`peerkit`: one stream of a session, encrypted and proven.  `loop`: the least that two Python processes can do with the
same cipher and the same calls of the system: each datagram is sealed, sent by `UDP_SEGMENT`, taken by `UDP_GRO` and
opened; nothing is repeated or put in order, no session, no congestion control.  A window of a few batches keeps it from
losing anything (it says so when it does).

The sender prints the bytes of payload that arrived, when it began, when it knew that (`time.monotonic`), the seconds of
the best lap at the receiver, the processor seconds of the cheapest lap of sender and receiver, and how often the key
changed.
"""

import asyncio
import json
import socket
import struct
import sys
import time
from typing import TYPE_CHECKING

from peerkit.protection import TAG_BYTES, AeadProtection
from peerkit.security import Aead

from .bulk_ends import CHUNK, NODE
from .laps import PER_RUN, Laps

if TYPE_CHECKING:
    from peerkit.session import Stream

PROTOCOL = "bench/udp"
DATAGRAM_BYTES = 1_400
STOCK_BUFFER_BYTES = 212_992  # net.core.rmem_max of Linux unless told
_SOL_UDP, _UDP_SEGMENT, _UDP_GRO = 17, 103, 104  # linux/udp.h
_BATCH = 44  # datagrams of one call, as in the transport
_WINDOW = 4  # batches on the way: fits a stock buffer with room to spare
_PAYLOAD_BYTES = DATAGRAM_BYTES - TAG_BYTES
_SECRET = bytes(32)
_SILENCE_S = 5.0  # longer than the machine stands still


# -- peerkit -----------------------------------------------------------------------------------------------------


def profile(listen: list[str], settings: dict[str, object]) -> dict[str, object]:
    return {"node": {**NODE, "listen": listen}, "plugins": {"transport_udp": settings}}


def stock_buffer() -> None:
    """Ask for no more than a stock system grants."""
    import peerkit._io.datagram as datagrams

    datagrams.WANTED_BUFFER_BYTES = STOCK_BUFFER_BYTES


async def serve_peerkit(address: str, nbytes: int, settings: dict[str, object]) -> None:
    from peerkit import Node, ProtocolSpec

    async def count(stream: "Stream") -> None:
        total, laps, buffer = 0, Laps(nbytes // PER_RUN), bytearray(len(CHUNK))
        while n := await stream.read_into(buffer):
            total += n
            laps.passed(total)
        await stream.write("{} {} {}".format(total, *laps.best()).encode())

    specs = [ProtocolSpec(PROTOCOL, "1.0", on_stream=count)]
    async with Node.open(profile([address], settings), protocols=specs) as node:
        print(node.addresses[0], flush=True)
        await asyncio.Event().wait()


async def send_peerkit(address: str, nbytes: int, settings: dict[str, object]) -> None:
    from peerkit import Node, ProtocolSpec

    async with Node.open(profile([], settings), protocols=[ProtocolSpec(PROTOCOL, "1.0")]) as node:
        peer = await node.connect(address)
        stream = await peer.open_stream(PROTOCOL)
        laps, began_at = Laps(nbytes // PER_RUN), time.monotonic()
        for sent in range(0, nbytes, len(CHUNK)):
            await stream.write(CHUNK)
            laps.passed(sent + len(CHUNK))
        await stream.finish()
        answer = await stream.read(128)
        _say(answer, began_at, laps, peer.session.stats.key_updates)


def _say(answer: bytes, began_at: float, laps: Laps, key_updates: int) -> None:
    """Args:
    answer: the receiver's: bytes, seconds of its best lap, processor seconds of its cheapest.
    """
    ended_at = time.monotonic()
    total, lap_s, receive_cpu_s = answer.decode().split()
    print(total, began_at, ended_at, lap_s, laps.best()[1], receive_cpu_s, key_updates)


# -- the bare loop -----------------------------------------------------------------------------------------------


def _socket(buffer_bytes: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        sock.setsockopt(socket.SOL_SOCKET, option, buffer_bytes)
    sock.bind(("127.0.0.1", 0))
    return sock


def serve_loop(nbytes: int, buffer_bytes: int) -> None:
    """A batch that is not full ends the transfer."""
    with _socket(buffer_bytes) as sock:
        sock.setsockopt(_SOL_UDP, _UDP_GRO, 1)
        print(f"127.0.0.1:{sock.getsockname()[1]}", flush=True)
        buffer = bytearray(65_536)
        view = memoryview(buffer)
        while True:
            protection = AeadProtection(_SECRET, Aead.AES_256_GCM)
            counter = total = 0
            laps = Laps(nbytes // PER_RUN)
            is_last = False
            while not is_last:
                length, ancillary, _, source = sock.recvmsg_into([buffer], 64)
                segment = int.from_bytes(ancillary[0][2][:4], sys.byteorder) if ancillary else length
                packets = [view[at : min(at + segment, length)] for at in range(0, length, segment)]
                opened = protection.open_batch(counter, packets)
                counter += len(packets)
                total += sum(map(len, opened))
                laps.passed(total)
                is_last = not opened[-1]
                sock.sendto(struct.pack("!Q", counter), source)
            sock.sendto("{} {} {}".format(total, *laps.best()).encode(), source)


def send_loop(address: str, nbytes: int, buffer_bytes: int) -> None:
    """Raises `TimeoutError` when a datagram was lost: then the window is too large for the buffer."""
    host, port = address.rsplit(":", 1)
    with _socket(buffer_bytes) as sock:
        sock.connect((host, int(port)))
        sock.settimeout(_SILENCE_S)
        protection = AeadProtection(_SECRET, Aead.AES_256_GCM)
        view = memoryview(CHUNK)
        size = [(_SOL_UDP, _UDP_SEGMENT, struct.pack("=H", DATAGRAM_BYTES))]
        starts = range(0, _BATCH * _PAYLOAD_BYTES, _PAYLOAD_BYTES)
        acknowledged = counter = 0
        wanted = -(-nbytes // (_BATCH * _PAYLOAD_BYTES)) * _BATCH
        laps, began_at = Laps(nbytes // PER_RUN), time.monotonic()
        while counter < wanted:
            packets = [view[at : at + _PAYLOAD_BYTES] for at in starts]
            sock.sendmsg(protection.seal_batch(counter, packets), size)
            counter += _BATCH
            laps.passed(counter * _PAYLOAD_BYTES)
            while counter - acknowledged > (_WINDOW - 1) * _BATCH:
                acknowledged = struct.unpack("!Q", sock.recv(8))[0]
        sock.send(protection.seal(counter, b"", b""))
        while acknowledged <= counter:
            acknowledged = struct.unpack("!Q", sock.recv(8))[0]
        _say(sock.recv(128), began_at, laps, 0)


def main(what: str, end: str, address: str, nbytes: str, buffer: str, settings: str = "{}") -> None:
    """`buffer` is `stock` or `raised`; `settings` is JSON for `[plugins.transport_udp]`."""
    if what == "loop":
        from peerkit._io.datagram import WANTED_BUFFER_BYTES

        buffer_bytes = STOCK_BUFFER_BYTES if buffer == "stock" else WANTED_BUFFER_BYTES
        if end == "serve":
            serve_loop(int(nbytes), buffer_bytes)
        else:
            send_loop(address, int(nbytes), buffer_bytes)
        return
    if buffer == "stock":
        stock_buffer()
    if end == "serve":
        asyncio.run(serve_peerkit(address, int(nbytes), json.loads(settings)))
    else:
        asyncio.run(send_peerkit(address, int(nbytes), json.loads(settings)))


if __name__ == "__main__":
    main(*sys.argv[1:])
