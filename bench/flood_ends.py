"""The processes of `flood.py`: `python -m bench.flood_ends serve|send|flood ADDRESS [SECONDS]`.

Sender and flood keep their pace against the clock; whoever is late by more than `FORGET_S` does not hurry to catch up,
as it was the machine that stood still.  The sender prints the bytes that arrived, when it began and ended, how many
first packets the receiver judged meanwhile, and by how many MiB the receiver grew in the second half.
"""

import asyncio
import os
import random
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from .bulk_ends import NODE

if TYPE_CHECKING:
    from peerkit import Node
    from peerkit.session import Stream

PROTOCOL = "bench/flood"
PACED_BYTES_PER_S = 100e6
CHUNK = bytes(128 * 1024)
DATAGRAM_BYTES = 1_400
FORGED_PER_S = 50_000
FORGED_MOST = 3_000_000  # a minute: then it ends by itself
HOSTS = 64
FORGET_S = 0.05
_BURST = 50  # packets, each millisecond


def profile(*listen: str) -> dict[str, object]:
    return {
        "node": {**NODE, "listen": list(listen)},
        "plugins": {"transport_udp": {"max_datagram_bytes": DATAGRAM_BYTES}},
    }


async def serve(address: str) -> None:
    from peerkit import Node, ProtocolSpec

    nodes: list[Node] = []

    async def count(stream: "Stream") -> None:
        total, began_at, judged, resident = 0, time.monotonic(), _judged(nodes[0]), 0
        seconds = float((await stream.read_exactly(8)).decode())
        while data := await stream.read(1 << 20):
            total += len(data)
            if not resident and time.monotonic() - began_at > seconds / 2:
                resident = _resident_bytes()
        growth = (_resident_bytes() - resident) / (1 << 20)
        await stream.write(f"{total} {_judged(nodes[0]) - judged} {growth}".encode())

    async with Node.open(profile(address), protocols=[ProtocolSpec(PROTOCOL, "1.0", on_stream=count)]) as node:
        nodes.append(node)
        print(node.addresses[0], flush=True)
        await asyncio.Event().wait()


def _judged(node: "Node") -> int:
    """First packets that were answered by a cookie or ignored."""
    from peerkit_transport_udp.plugin import Udp

    (udp,) = (built.obj for built in node.host._built if built.name == "transport_udp")
    assert isinstance(udp, Udp)
    admission = udp._transport._dispatcher.admission
    return admission.cookies + admission.ignored


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def send(address: str, seconds: float) -> None:
    from peerkit import Node, ProtocolSpec

    async with Node.open(profile(), protocols=[ProtocolSpec(PROTOCOL, "1.0")]) as node:
        peer = await node.connect(address, timeout_s=60)
        stream = await peer.open_stream(PROTOCOL)
        await stream.write(f"{seconds:8.3f}".encode())
        due_at = began_at = time.monotonic()
        while (now := time.monotonic()) < began_at + seconds:
            if now < due_at:
                await asyncio.sleep(due_at - now)
                continue
            due_at = max(due_at, now - FORGET_S) + len(CHUNK) / PACED_BYTES_PER_S
            await stream.write(CHUNK)
        await stream.finish()
        total, judged, growth = (await stream.read(64)).split()
        print(int(total), began_at, time.monotonic(), int(judged), float(growth))


def flood(address: str) -> None:
    """First packets of XX handshakes that nobody will finish: each would cost three operations on the curve."""
    from peerkit_transport_udp.handshake_packets import FIRST_PACKET_BYTES, encode_message

    from peerkit import Address

    target = Address.parse(address)
    chance = random.Random(1)
    sockets = []
    for number in range(HOSTS):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((f"127.0.1.{number + 1}", 0))
        sock.setblocking(False)
        sock.connect((target.host, target.port))
        sockets.append(sock)
    packets = [
        encode_message(0, chance.getrandbits(32) | 1, 0, b"\2" + chance.randbytes(32), b"", FIRST_PACKET_BYTES, True)[0]
        for _ in range(1_000)
    ]
    print("ready", flush=True)
    due_at = time.monotonic()
    for first in range(0, FORGED_MOST, _BURST):
        now = time.monotonic()
        if now < due_at:
            time.sleep(due_at - now)
        due_at = max(due_at, now - FORGET_S) + _BURST / FORGED_PER_S
        for number in range(first, first + _BURST):
            try:
                sockets[number % HOSTS].send(packets[number % len(packets)])
            except OSError:  # the receiver's buffer is full, or it has gone
                continue


def main(what: str, address: str, seconds: str = "0") -> None:
    if what == "flood":
        flood(address)
    else:
        asyncio.run(serve(address) if what == "serve" else send(address, float(seconds)))


if __name__ == "__main__":
    main(*sys.argv[1:])
