"""The same seed gives the same run, bit for bit."""

import asyncio

from peerkit.testing import SimNetwork, run

from .streams import Server, dial


def test_the_same_seed_gives_the_same_run_and_another_seed_another() -> None:
    async def main() -> list[tuple[float, int, int]]:
        net = SimNetwork(loss=0.2, jitter_s=0.01, bandwidth_bytes_per_s=1e6)
        trace: list[tuple[float, int, int]] = []
        addresses = []
        servers = [Server() for _ in range(5)]
        for server in servers:
            platform = net.platform()
            addresses.append(await server.listen(platform.network, platform.ip))

        async def chat(index: int) -> None:
            platform = net.platform(f"10.1.{index}.1")
            for _ in range(5):
                peer = platform.rng.randrange(0, 5)
                client = await dial(platform.network, addresses[peer])
                size = platform.rng.randrange(1, 5_000)
                client.pipe.write([bytes(size)])
                client.pipe.close()
                await client.until_lost()
                await asyncio.sleep(platform.rng.random())
                trace.append((net.loop.time(), index, sum(len(h.received) for h in servers[peer].handlers)))

        async with asyncio.TaskGroup() as group:
            for index in range(10):
                group.create_task(chat(index))
        return trace

    first = run(main(), seed=5)
    assert len(first) == 50
    assert first == run(main(), seed=5)
    assert first != run(main(), seed=6)
