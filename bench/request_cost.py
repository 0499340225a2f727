"""What a request costs where both ends share one process: `python -m bench.request_cost LOOP` prints microseconds of
bare streams, of peerkit over TCP and over UDP.

No process is woken, and the least of many short batches counts: so the figures stand still where others compute.
"""

import asyncio
import sys
from contextlib import AsyncExitStack

from .request_ends import best_rate, echo_streams, loop_factory, over_peerkit, over_streams, peerkit_node

TURNS = 100


async def main() -> None:
    server = await asyncio.start_server(echo_streams, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    async with AsyncExitStack() as stack:
        asks = [over_streams(reader, writer)]
        for scheme in ("tcp", "udp"):
            a, b = [await stack.enter_async_context(peerkit_node(answers, scheme)) for answers in (True, False)]
            asks.append(over_peerkit(await b.connect(a.addresses[0])))
        turns = [[await best_rate(ask, batches=1) for ask in asks] for _ in range(TURNS)]
        print(*(1e6 / max(rates) for rates in zip(*turns, strict=True)))
        writer.close()
        await writer.wait_closed()
        server.close()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=loop_factory(sys.argv[1])) as runner:
        runner.run(main())
