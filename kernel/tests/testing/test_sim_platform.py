"""The simulated platform: clocks, seeded randomness, databases of a host, names."""

import asyncio
from pathlib import Path

import pytest

from peerkit.errors import ConnectFailed, StorageError
from peerkit.testing import SimNetwork, run

MIGRATIONS = ("CREATE TABLE pets (name TEXT PRIMARY KEY)",)


def test_clocks_follow_virtual_time_and_a_wall_clock_can_be_wrong() -> None:
    async def main() -> None:
        net = SimNetwork()
        a, b = net.platform(), net.platform()
        b.clock.wall_offset_s = -700
        await asyncio.sleep(10)
        assert a.clock.now() == b.clock.now() == 10
        assert a.clock.wall() - b.clock.wall() == 700

    run(main())


def test_each_host_draws_its_own_numbers_whatever_the_others_do() -> None:
    async def main(noise: int) -> bytes:
        net = SimNetwork()
        a, b = net.platform("10.0.0.1"), net.platform("10.0.1.1")
        a.rng.randbytes(noise)
        return b.rng.randbytes(16)

    assert run(main(1), seed=1) == run(main(99), seed=1) != run(main(1), seed=2)


def test_blocking_work_runs_inline_and_its_error_is_raised() -> None:
    async def main() -> None:
        platform = SimNetwork().platform()
        assert await platform.run_blocking(lambda: 1 + 1) == 2
        with pytest.raises(ZeroDivisionError):
            await platform.run_blocking(lambda: 1 / 0)

    run(main())


def test_a_host_keeps_its_databases_over_a_crash_and_another_host_has_its_own() -> None:
    async def main() -> None:
        net = SimNetwork()
        first = net.platform("10.0.0.1")
        path = Path("/node/pets.db")
        database = await first.open_database(path, MIGRATIONS)
        await database.run(lambda cursor: cursor.execute("INSERT INTO pets VALUES ('Ada')"))
        net.crash("10.0.0.1")
        await first.close()
        with pytest.raises(StorageError, match="closed"):
            await database.run(lambda _: None)
        net.bring_up("10.0.0.1")
        again = await net.platform("10.0.0.1").open_database(path, MIGRATIONS)
        rows = await again.run(lambda cursor: cursor.execute("SELECT name FROM pets").fetchall())
        assert rows == [("Ada",)]
        other = await net.platform("10.0.1.1").open_database(path, MIGRATIONS)
        assert await other.run(lambda cursor: cursor.execute("SELECT name FROM pets").fetchall()) == []

    run(main())


def test_names_resolve_to_at_most_eight_addresses() -> None:
    async def main() -> None:
        net = SimNetwork()
        net.names["seed.example.org"] = [f"10.0.{number}.1" for number in range(20)]
        network = net.platform().network
        assert len(await network.resolve("seed.example.org")) == 8
        with pytest.raises(ConnectFailed):
            await network.resolve("nowhere.example.org")

    run(main())
