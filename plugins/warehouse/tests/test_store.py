"""One node's store: sharing, changes, copies, removal, quota, collection, crashes."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from peerkit_warehouse.content_id import ContentId
from peerkit_warehouse.index import Origin, State
from peerkit_warehouse.plugin import Warehouse, plugin
from peerkit_warehouse.settings import WarehouseSettings

from peerkit import PeerRecord
from peerkit.capabilities import BLOB_STORE, CONTENT_ROUTING, BlobStore
from peerkit.errors import LimitExceeded, NotFound, UsageError, VerificationFailed
from peerkit.event import ContentShared, ContentUnshared
from peerkit.testing import FakePluginContext, SimNetwork, SimPlatform, run
from plugins.warehouse.tests.beds import make_file


class FakeRouting:
    """Notes what is provided."""

    def __init__(self) -> None:
        self.keys: set[bytes] = set()
        self.providers: list[PeerRecord] = []

    async def provide(self, key: bytes) -> int:
        self.keys.add(key)
        return 1

    async def unprovide(self, key: bytes) -> None:
        self.keys.discard(key)

    async def find_providers(self, key: bytes, limit: int = 16) -> AsyncIterator[PeerRecord]:
        for record in self.providers[:limit]:
            yield record


class Bed:
    """A started warehouse in a fake context."""

    def __init__(self, folder: Path, platform: SimPlatform, settings: WarehouseSettings) -> None:
        self.ctx = FakePluginContext(settings, platform, name="warehouse", spec=plugin, data_dir=folder / "data")
        self.routing = FakeRouting()
        self.ctx.supply(CONTENT_ROUTING, self.routing)
        self.warehouse = Warehouse(self.ctx)
        self.ctx.started()

    @property
    def blobs(self) -> BlobStore:
        store = self.ctx.provided[BLOB_STORE.name]
        assert isinstance(store, type(self.warehouse.store))
        return store

    async def share(self, *paths: Path, copy: bool = False, listed: bool = True) -> list[str]:
        items = await self.warehouse.importer.share(paths, copy, listed, lambda _done, _total: None)
        return [str(item.content) for item in items]

    async def read(self, content_id: str, offset: int = 0, length: int = 1 << 40) -> bytes:
        return b"".join([piece async for piece in self.blobs.read(content_id, offset, length)])


def with_bed(
    folder: Path, test: Callable[[Bed], Awaitable[None]], net: SimNetwork | None = None, **settings: int
) -> None:
    """Run a test on a fresh warehouse under virtual time."""

    async def main() -> None:
        bed = Bed(folder, (net or SimNetwork()).platform(), WarehouseSettings(reserve_bytes=0, **settings))
        await bed.warehouse.start()
        try:
            await test(bed)
        finally:
            await bed.warehouse.close()
            await bed.ctx.close()

    run(main())


def test_a_shared_file_is_listed_told_announced_and_readable(tmp_path: Path) -> None:
    path = make_file(tmp_path / "a b.txt", 200_000)

    async def test(bed: Bed) -> None:
        (content,) = await bed.share(path)
        (info,) = bed.blobs.listing()
        assert (info.content_id, info.name, info.size_bytes, info.type) == (content, "a b.txt", 200_000, "text/plain")
        assert bed.ctx.emitted == [ContentShared(content, "a b.txt", 200_000, "text/plain", True)]
        data = path.read_bytes()
        assert await bed.read(content) == data
        assert await bed.read(content, 65_530, 12) == data[65_530:65_542]
        assert await bed.read(content, 199_999, 10) == data[199_999:]
        assert await bed.read(content, 200_000, 10) == b""
        await bed.ctx.run_blocking(lambda: None)
        assert bed.routing.keys == {ContentId.parse(content).key}

    with_bed(tmp_path, test)


def test_by_reference_nothing_is_copied(tmp_path: Path) -> None:
    path = make_file(tmp_path / "file", 5_000_000)

    async def test(bed: Bed) -> None:
        await bed.share(path)
        assert sum(p.stat().st_size for p in (tmp_path / "data").rglob("*") if p.is_file()) < 10_000
        assert await bed.warehouse.store.index.store_bytes() == 0

    with_bed(tmp_path, test)


def test_a_copy_outlives_its_original_and_content_is_kept_once(tmp_path: Path) -> None:
    one, two = make_file(tmp_path / "one", 2_000_000), make_file(tmp_path / "two", 2_000_000)

    async def test(bed: Bed) -> None:
        first, second = await bed.share(one, two, copy=True)
        assert first == second
        assert len([p for p in (tmp_path / "data" / "objects").rglob("*") if p.is_file()]) == 1
        data = one.read_bytes()
        one.unlink()
        two.unlink()
        assert await bed.read(first) == data
        await bed.warehouse.upkeep.watch()
        assert len(bed.blobs.listing()) == 1

    with_bed(tmp_path, test)


def test_an_unlisted_share_says_so(tmp_path: Path) -> None:
    path = make_file(tmp_path / "secret", 10)

    async def test(bed: Bed) -> None:
        await bed.share(path, listed=False)
        assert [info.listed for info in bed.blobs.listing()] == [False]
        assert isinstance(event := bed.ctx.emitted[0], ContentShared)
        assert not event.listed

    with_bed(tmp_path, test)


@pytest.mark.parametrize("change", ["gone", "longer", "touched"])
def test_a_changed_file_is_noticed_and_taken_back_when_it_is_as_before(tmp_path: Path, change: str) -> None:
    path = make_file(tmp_path / "file", 100_000)
    data, stat = path.read_bytes(), path.stat()

    async def test(bed: Bed) -> None:
        (content,) = await bed.share(path)
        if change == "gone":
            path.rename(tmp_path / "away")
        elif change == "longer":
            path.write_bytes(data + b"x")
        else:
            os.utime(path, ns=(1, 1))
        await bed.warehouse.upkeep.watch()
        assert bed.blobs.listing() == ()
        assert bed.ctx.emitted[-1] == ContentUnshared(content, "file")
        with pytest.raises(NotFound):
            await bed.read(content)
        if change == "gone":
            (tmp_path / "away").rename(path)
            await bed.warehouse.upkeep.watch()
        else:
            path.write_bytes(data)
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 5))
            await bed.warehouse.upkeep.verify(None, lambda _done, _total: None)
        assert await bed.read(content) == data
        assert isinstance(bed.ctx.emitted[-1], ContentShared)

    with_bed(tmp_path, test)


def test_bytes_changed_without_a_trace_are_not_served(tmp_path: Path) -> None:
    path = make_file(tmp_path / "file", 3_000_000)
    stat = path.stat()

    async def test(bed: Bed) -> None:
        (content,) = await bed.share(path)
        with path.open("r+b") as file:
            file.seek(2_000_000)
            file.write(b"xx")
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        with pytest.raises(VerificationFailed):
            await bed.read(content)
        assert bed.blobs.listing() == ()
        (verdict,) = await bed.warehouse.upkeep.verify(ContentId.parse(content), lambda _done, _total: None)
        assert "other bytes" in verdict.problem

    with_bed(tmp_path, test)


def test_removing_a_share_leaves_the_owners_file_and_nothing_of_ours(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    for i in range(3):
        make_file(folder / f"{i}", 100_000, seed=i)
    alone = make_file(tmp_path / "alone", 100_000, seed=1)

    async def test(bed: Bed) -> None:
        whole, single = await bed.share(folder, alone)
        await bed.warehouse.store.remove(ContentId.parse(single))  # it is also in the folder: stays readable there
        assert await bed.read(single) == alone.read_bytes()
        await bed.warehouse.store.remove(ContentId.parse(whole))
        assert bed.blobs.listing() == ()
        assert len(list(folder.iterdir())) == 3
        assert not [p for p in (tmp_path / "data").rglob("*") if p.is_file()]
        with pytest.raises(NotFound):
            await bed.read(single)
        with pytest.raises(NotFound):
            await bed.warehouse.store.remove(ContentId.parse(whole))
        assert {type(e) for e in bed.ctx.emitted} == {ContentShared, ContentUnshared}

    with_bed(tmp_path, test)


def test_one_folder_has_one_id_wherever_it_lies(tmp_path: Path) -> None:
    for base in ("x", "y/deeper"):
        make_file(tmp_path / base / "folder" / "b" / "c", 10)
        make_file(tmp_path / base / "folder" / "a", 20)

    async def test(bed: Bed) -> None:
        first, second = await bed.share(tmp_path / "x" / "folder", tmp_path / "y" / "deeper" / "folder")
        assert first == second

    with_bed(tmp_path, test)


@pytest.mark.parametrize("name", ["bad\nname", "CON", "trailing ", "what?", "a:b"])
def test_a_name_that_nobody_may_keep_cannot_be_shared(tmp_path: Path, name: str) -> None:
    make_file(tmp_path / "f" / name, 10)

    async def test(bed: Bed) -> None:
        for path in (tmp_path / "f" / name, tmp_path / "f"):
            with pytest.raises(UsageError, match="not allowed"):
                await bed.share(path)
        assert bed.blobs.listing() == ()

    with_bed(tmp_path, test)


def test_what_is_no_file_cannot_be_shared(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    async def test(bed: Bed) -> None:
        for path in (tmp_path / "nothing", tmp_path / "pipe"):
            with pytest.raises(UsageError):
                await bed.share(path)

    with_bed(tmp_path, test)


def test_a_copy_beyond_the_quota_is_refused(tmp_path: Path) -> None:
    small, large = make_file(tmp_path / "small", 600_000), make_file(tmp_path / "large", 600_001)

    async def test(bed: Bed) -> None:
        await bed.share(small, copy=True)
        with pytest.raises(LimitExceeded, match="quota"):
            await bed.share(large, copy=True)
        await bed.share(large)  # by reference it takes nothing
        assert await bed.warehouse.store.index.store_bytes() == 600_000

    with_bed(tmp_path, test, quota_bytes=1_000_000)


def test_the_collector_takes_what_was_fetched_oldest_use_first_and_never_what_is_pinned(tmp_path: Path) -> None:
    files = [make_file(tmp_path / f"{i}", 100_000, seed=i) for i in range(4)]

    async def test(bed: Bed) -> None:
        store = bed.warehouse.store
        ids = [ContentId.parse(c) for c in await bed.share(*files, copy=True)]
        for i, content in enumerate(ids[:3]):
            item = await store.index.get(content)
            assert item is not None
            await store.index.put([replace(item, origin=Origin.FETCHED, used_at=float(100 - i))])
        await store.pin(ids[2], True)
        assert await store.collect(1) == 100_000
        assert await store.index.get(ids[1]) is None  # used before ids[0]; ids[2] was used longest ago but is pinned
        removed, freed = await bed.warehouse.upkeep.collect()
        assert (removed, freed) == (1, 100_000)
        assert [await store.index.get(content) is None for content in ids] == [True, True, False, False]

    with_bed(tmp_path, test)


def test_a_restart_keeps_shares_and_sweeps_what_a_crash_left(tmp_path: Path) -> None:
    path = make_file(tmp_path / "file", 200_000)

    async def main() -> None:
        platform = SimNetwork().platform()
        settings = WarehouseSettings(reserve_bytes=0)
        first = Bed(tmp_path, platform, settings)
        await first.warehouse.start()
        (content,) = await first.share(path)
        layout = first.warehouse.store.layout
        stray = ContentId(bytes(range(32)))
        for left in (layout.object(stray), layout.outboard(stray), layout.incoming / "half"):
            left.write_bytes(b"x")
        # no close: it was killed
        second = Bed(tmp_path, platform, settings)
        await second.warehouse.start()
        assert [info.content_id for info in second.blobs.listing()] == [content]
        assert await second.read(content) == path.read_bytes()
        kept = [p for p in (tmp_path / "data").rglob("*") if p.is_file()]
        assert kept == [layout.outboard(ContentId.parse(content))]
        await second.warehouse.close()
        await first.warehouse.close()

    run(main())


def test_states_have_the_numbers_that_are_on_disk() -> None:
    assert [int(s) for s in State] == [0, 1, 2]
    assert [int(o) for o in Origin] == [0, 1, 2]
