"""What a request costs where both ends share one process: `python -m bench.request_cost LOOP` prints microseconds of
bare streams and of peerkit.

No process is woken, and the least of many short batches counts: so the figures stand still where others compute.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable

from peerkit import Node, ProtocolSpec

from .request_ends import BODY, PROFILE, echo_streams, loop_factory

BATCHES = 200
REQUESTS = 200

Ask = Callable[[], Awaitable[object]]


async def main() -> None:
    spec = ProtocolSpec("bench/echo", "1.0", on_request=lambda request: request.payload)
    server = await asyncio.start_server(echo_streams, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    async with (
        Node.open(PROFILE, protocols=[spec]) as a,
        Node.open(PROFILE, protocols=[ProtocolSpec("bench/echo", "1.0")]) as b,
    ):
        peer = await b.connect(a.addresses[0])

        async def ask_streams() -> None:
            writer.write(BODY)
            await writer.drain()
            await reader.readexactly(len(BODY))

        async def ask_peerkit() -> None:
            await peer.request("bench/echo", BODY)

        asks: tuple[Ask, ...] = (ask_streams, ask_peerkit)
        turns = [[await _batch_us(ask) for ask in asks] for _ in range(BATCHES)]
        print(*(min(turn[i] for turn in turns) for i in range(len(asks))))
        writer.close()
        await writer.wait_closed()
        server.close()


async def _batch_us(ask: Ask) -> float:
    began_at = time.perf_counter()
    for _ in range(REQUESTS):
        await ask()
    return (time.perf_counter() - began_at) / REQUESTS * 1e6


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=loop_factory(sys.argv[1])) as runner:
        runner.run(main())
