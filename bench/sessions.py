"""Many sessions over UDP that do nothing, open at once in one node, and the memory that each holds there.

One node listens in a process of its own; the dialers, one session each, are many light nodes in a few processes.
Memory is what the system says of the listening process (resident), after less what it had with a single session.
"""

import asyncio
import sys
from contextlib import AsyncExitStack, ExitStack

from .footprint import resident_mib
from .process import numbers_of, serving
from .row import Row, bounded, floored
from .standstill import Standstill

SESSIONS = 1_000
PROCESSES = 4
AT_ONCE = 8  # handshakes of one process
PROTOCOL = "bench/sessions"
NODE = {
    "network": "local",
    "enable": ["secure_noise", "transport_udp"],
    "slots": {"member_in": 2 * SESSIONS, "handshaking": 2 * PROCESSES * AT_ONCE},
    "handshake_timeout_s": 120,  # a busy machine takes its time; the dialers share it with the node
    "ping_after_s": 600,
    "log_level": "error",
}
UDP = {"idle_timeout_s": 600, "keep_alive_s": 300}  # they are idle indeed
_ENDS = "-m", "bench.sessions"


def run(_: Standstill, quick: bool = False) -> list[Row]:
    wanted = SESSIONS // 10 if quick else SESSIONS
    with serving(*_ENDS, "serve") as line, ExitStack() as dialers:
        address, pid = line.split()
        numbers_of(*_ENDS, "ask", address)  # what a first session loads is not counted
        before = resident_mib(int(pid))
        for _process in range(PROCESSES):
            dialers.enter_context(serving(*_ENDS, "dial", address, str(wanted // PROCESSES)))
        after = resident_mib(int(pid))
        (found,) = numbers_of(*_ENDS, "ask", address)
    return [
        floored(Row("sessions over UDP open at once in one node", "sessions", (found,)), wanted),
        bounded(Row("memory of an idle session over UDP", "KiB", ((after - before) * 1024 / found,)), 40),
    ]


def profile(*listen: str) -> dict[str, object]:
    return {"node": {**NODE, "listen": listen}, "plugins": {"transport_udp": UDP}}


async def serve() -> None:
    import os

    from peerkit import Node, ProtocolSpec, Request

    def count(_: Request) -> bytes:
        return str(len(node.peers()) - 1).encode()  # without the asker

    async with Node.open(
        profile("udp://127.0.0.1:0"), protocols=[ProtocolSpec(PROTOCOL, "1.0", on_request=count)]
    ) as node:
        print(node.addresses[0], os.getpid(), flush=True)
        await asyncio.Event().wait()


async def ask(address: str) -> None:
    """Print how many other sessions the node has."""
    from peerkit import Node, ProtocolSpec

    async with Node.open(profile(), protocols=[ProtocolSpec(PROTOCOL, "1.0")]) as node:
        peer = await node.connect(address)
        print((await peer.request(PROTOCOL, b"")).decode())


async def dial(address: str, n: int) -> None:
    from peerkit import Node, ProtocolSpec

    places = asyncio.Semaphore(AT_ONCE)

    async def one(stack: AsyncExitStack) -> None:
        async with places:
            opened = Node.open(profile(), protocols=[ProtocolSpec(PROTOCOL, "1.0")])
            node = await stack.enter_async_context(opened)
            await node.connect(address, timeout_s=120)

    async with AsyncExitStack() as stack:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(n):
                tasks.create_task(one(stack))
        print("ready", flush=True)
        await asyncio.Event().wait()


def main(end: str, address: str = "", n: str = "0") -> None:
    if end == "serve":
        asyncio.run(serve())
    elif end == "ask":
        asyncio.run(ask(address))
    else:
        asyncio.run(dial(address, int(n)))


if __name__ == "__main__":
    main(*sys.argv[1:])
