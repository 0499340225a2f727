"""What the checks stand on: hostile bytes, a node's parts, a disk that fails."""

from pathlib import Path

import pytest

from peerkit import Node
from peerkit.capabilities import DIAGNOSIS, PEER_ROUTING
from peerkit.errors import NotFound, StorageError
from peerkit.plugin import PluginContext, PluginSpec, Settings
from peerkit.testing import SimNetwork, plugin_of, provided_by, run
from peerkit.testing.fake_capabilities import FixedDiagnosis
from peerkit.testing.hostile_bytes import hostile_bytes

PROFILE = {"node": {"network": "test", "enable": ["secure_noise", "transport_tcp"]}}


def test_hostile_bytes_are_made_of_samples_and_of_nothing() -> None:
    sample = bytes(range(100))
    found = hostile_bytes([sample], 300)
    assert b"" in found and sample[:-1] in found and sample + sample in found and sample not in found
    assert max(map(len, found)) == 300 and len(set(found)) == len(found)
    flipped = [
        data for data in found if len(data) == 100 and sum(a != b for a, b in zip(data, sample, strict=True)) == 1
    ]
    assert len(flipped) >= 8
    assert hostile_bytes([sample], 300) == found != hostile_bytes([sample], 300, seed=1)


def test_a_nodes_plugins_and_what_they_provide_are_found_by_name() -> None:
    class Doctor(FixedDiagnosis):
        def __init__(self, ctx: PluginContext[Settings]) -> None:
            super().__init__()
            ctx.provide(DIAGNOSIS, self)

    async def main() -> None:
        plugins = {name: PluginSpec(Settings, Doctor, provides=(DIAGNOSIS,)) for name in ("one", "two")}
        async with Node.open(PROFILE, plugins=plugins, platform=SimNetwork().platform()) as node:
            one, two = (plugin_of(node, name, Doctor) for name in plugins)
            two.findings = ["of the second"]  # type: ignore[list-item]
            assert await provided_by(node, DIAGNOSIS, "two").diagnose() == two.findings
            assert not await provided_by(node, DIAGNOSIS).diagnose() and not one.findings
            with pytest.raises(NotFound, match="the node runs no plugin one that is a SimNetwork"):
                plugin_of(node, "one", SimNetwork)
            with pytest.raises(NotFound, match=r"nobody on this node provides peerkit.peer_routing/1"):
                provided_by(node, PEER_ROUTING)

    run(main())


def test_a_disk_that_fails_loses_nothing() -> None:
    async def main() -> None:
        platform = SimNetwork().platform()
        database = await platform.open_database(Path("x.db"), ["CREATE TABLE t (n INTEGER)"])
        await database.run(lambda cursor: cursor.execute("INSERT INTO t VALUES (7)"))
        platform.host.disk_works = False
        with pytest.raises(StorageError, match="disk does not work"):
            await database.run(lambda cursor: cursor.execute("DELETE FROM t"))
        platform.host.disk_works = True
        assert await database.run(lambda cursor: cursor.execute("SELECT n FROM t").fetchall()) == [(7,)]

    run(main())
