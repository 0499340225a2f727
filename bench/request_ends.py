"""Both ends of the request benchmark, each a process: `python -m bench.request_ends WHAT END LOOP [ADDRESS BATCHES]`.

One request of 64 bytes with its answer at a time, between two processes on loopback.  `tcp` and `udp`: peerkit over
that, encrypted, with a proven peer.  `streams`: bare asyncio streams in clear, the least that two Python processes can
do.  The asker prints the requests a second of its best batch: a batch is so short that on a shared machine some pass
undisturbed.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, cast

from .bulk_ends import NODE

if TYPE_CHECKING:
    from peerkit import Node, Peer, Request

BATCH = 200
BODY = b"x" * 64
ECHO = "bench/echo"
Ask = Callable[[], Coroutine[object, object, None]]


def peerkit_node(answers: bool, scheme: str = "tcp") -> "AbstractAsyncContextManager[Node]":
    from peerkit import Node, ProtocolSpec

    profile = {"node": {**NODE, "listen": [f"{scheme}://127.0.0.1:0"]}}
    return Node.open(profile, protocols=[ProtocolSpec(ECHO, "1.0", on_request=_echo if answers else None)])


def _echo(request: "Request") -> bytes:
    return request.payload


def over_peerkit(peer: "Peer") -> Ask:
    async def ask() -> None:
        await peer.request(ECHO, BODY)

    return ask


async def serve_peerkit(scheme: str) -> None:
    async with peerkit_node(answers=True, scheme=scheme) as node:
        print(node.addresses[0], flush=True)
        await asyncio.Event().wait()


async def ask_peerkit(address: str, batches: int) -> float:
    async with peerkit_node(answers=False, scheme=address.partition(":")[0]) as node:
        return await best_rate(over_peerkit(await node.connect(address)), batches)


async def echo_streams(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            writer.write(await reader.readexactly(len(BODY)))
            await writer.drain()
    except asyncio.IncompleteReadError:
        writer.close()


def over_streams(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Ask:
    async def ask() -> None:
        writer.write(BODY)
        await writer.drain()
        await reader.readexactly(len(BODY))

    return ask


async def serve_streams() -> None:
    server = await asyncio.start_server(echo_streams, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


async def ask_streams(port: str, batches: int) -> float:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
    rate = await best_rate(over_streams(reader, writer), batches)
    writer.close()
    return rate


async def best_rate(ask: Ask, batches: int) -> float:
    """Requests a second of the best batch."""
    rates = []
    for _ in range(batches):
        began_at = time.perf_counter()
        for _ in range(BATCH):
            await ask()
        rates.append(BATCH / (time.perf_counter() - began_at))
    return max(rates)


def loop_factory(loop: str) -> Callable[[], asyncio.AbstractEventLoop] | None:
    if loop != "uvloop":
        return None
    import uvloop

    return cast(Callable[[], asyncio.AbstractEventLoop], uvloop.new_event_loop)


def main(what: str, end: str, loop: str, address: str = "", batches: str = "0") -> None:
    with asyncio.Runner(loop_factory=loop_factory(loop)) as runner:
        if end == "serve":
            runner.run(serve_streams() if what == "streams" else serve_peerkit(what))
        else:
            ask = ask_streams if what == "streams" else ask_peerkit
            print(runner.run(ask(address, int(batches))))


if __name__ == "__main__":
    main(*sys.argv[1:])
