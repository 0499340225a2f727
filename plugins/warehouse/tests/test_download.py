"""Whole nodes on the simulated network share and fetch."""

import asyncio
from pathlib import Path

import pytest
from peerkit_warehouse.link import Link
from peerkit_warehouse.merkle_tree import (
    LEAF_BYTES,
)
from peerkit_warehouse.transfer_codec import Ask, Request

from peerkit import Address, PluginContext, PluginSpec, Settings, Stream
from peerkit.capabilities import OWN_ADDRESSES
from peerkit.errors import NotFound, StorageError
from peerkit.testing import SimNetwork, run
from plugins.warehouse.tests.beds import CollectingCall, ask, digest, get, make_file, open_node, share
from plugins.warehouse.tests.sources import SIZE, Answerer, Content, honest, link_to, source


def test_a_file_shared_by_one_node_is_fetched_by_another(tmp_path: Path) -> None:
    async def main() -> None:
        net, call = SimNetwork(), CollectingCall()
        original = make_file(tmp_path / "original.bin", SIZE)
        async with open_node(tmp_path / "a", net) as a, open_node(tmp_path / "b", net) as b:
            (shared,) = await share(a, original)
            assert (shared.name, shared.size_bytes, shared.type) == ("original.bin", SIZE, "application/octet-stream")
            got = await get(b, shared.link, tmp_path / "copy.bin", call)
            assert digest(tmp_path / "copy.bin") == digest(original)
            assert (got.content_id, got.path, got.size_bytes) == (shared.content_id, str(tmp_path / "copy.bin"), SIZE)
            assert got.sources == 1
            assert got.seconds > 0 < got.bytes_per_s
            assert call.bars[-1] == (SIZE, SIZE)
            assert [done for done, _ in call.bars] == sorted(done for done, _ in call.bars)

    run(main())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b", "copy.bin", "original.bin"]


def test_a_link_names_what_was_found_out_of_our_addresses(tmp_path: Path) -> None:
    outside = Address("tcp", "45.1.1.2", 4433)

    class Mapped:
        def __init__(self, ctx: PluginContext[Settings]) -> None:
            ctx.require(OWN_ADDRESSES).advertise("mapped", [outside])

    async def main() -> None:
        mapped = PluginSpec(Settings, Mapped, requires=(OWN_ADDRESSES,))
        async with open_node(tmp_path / "a", SimNetwork(), {"mapped": mapped}) as node:
            assert any(address.is_local for address in node.addresses)
            (shared,) = await share(node, make_file(tmp_path / "o", 1))
            assert Link.parse(shared.link).at == (outside.with_peer(node.peer_id),)

    run(main())


@pytest.mark.parametrize("size", [0, 1, LEAF_BYTES, LEAF_BYTES + 1, 16 * LEAF_BYTES, 16 * LEAF_BYTES + 1])
def test_every_length_arrives_whole(tmp_path: Path, size: int) -> None:
    async def main() -> None:
        net = SimNetwork()
        original = make_file(tmp_path / "o", size)
        async with open_node(tmp_path / "a", net) as a, open_node(tmp_path / "b", net) as b:
            (shared,) = await share(a, original)
            await get(b, shared.link, tmp_path / "copy")
            assert (tmp_path / "copy").read_bytes() == original.read_bytes()

    run(main())


def test_a_folder_arrives_with_everything_in_it(tmp_path: Path) -> None:
    async def main() -> None:
        net = SimNetwork()
        folder = tmp_path / "folder"
        for name, size in {"a.txt": 10, "sub/b.bin": 2_000_000, "sub/deep/c": 70_000, "zero": 0, "twin": 10}.items():
            make_file(folder / name, size)
        (folder / "empty").mkdir()
        (folder / "link").symlink_to("/etc/passwd")
        async with open_node(tmp_path / "a", net) as a, open_node(tmp_path / "b", net) as b:
            (shared,) = await share(a, folder)
            assert (shared.type, shared.size_bytes) == ("folder", 2_070_020)
            got = await get(b, shared.link, tmp_path / "out")
            assert got.size_bytes == 2_070_020
            expected = {p.relative_to(folder): p for p in folder.rglob("*") if not p.is_symlink()}
            arrived = {p.relative_to(tmp_path / "out"): p for p in (tmp_path / "out").rglob("*")}
            assert set(arrived) == set(expected)
            for relative, path in arrived.items():
                assert path.is_dir() or path.read_bytes() == expected[relative].read_bytes()
            # what was fetched can be given on
            async with open_node(tmp_path / "c", net) as c:
                onward = str(Link(Link.parse(shared.link).content, "", None, (b.addresses[0],)))
                await get(c, onward, tmp_path / "third")
                assert (tmp_path / "third" / "sub" / "deep" / "c").read_bytes() == (folder / "sub/deep/c").read_bytes()

    run(main())


def test_several_sources_share_the_work(tmp_path: Path) -> None:
    async def main() -> None:
        net = SimNetwork()
        content = Content(make_file(tmp_path / "file.bin", 5 * SIZE))
        gave = {0: 0, 1: 0, 2: 0}

        def counting(number: int) -> Answerer:
            async def answer(stream: Stream, request: Request, content: Content) -> bool:
                gave[number] += request.leaves
                await asyncio.sleep(0.05)
                return await honest(stream, request, content)

            return answer

        async with (
            source(net, content, counting(0)) as a,
            source(net, content, counting(1)) as b,
            source(net, content, counting(2)) as c,
            open_node(tmp_path / "d", net) as d,
        ):
            got = await get(d, link_to(content, a, b, c), tmp_path / "copy")
            assert got.sources == 3
            assert digest(tmp_path / "copy") == digest(tmp_path / "file.bin")
            assert min(gave.values()) >= 2 * 16
            assert sum(gave.values()) * LEAF_BYTES < len(content.data) * 1.2  # little was asked twice

    run(main())


def test_content_that_nobody_has_is_not_found(tmp_path: Path) -> None:
    async def main() -> None:
        net = SimNetwork()
        content = Content(make_file(tmp_path / "file.bin", 10))
        async with open_node(tmp_path / "a", net) as a, open_node(tmp_path / "b", net) as b:
            with pytest.raises(NotFound):
                await get(b, str(content.id), tmp_path / "copy")
            with pytest.raises(NotFound):
                await get(b, link_to(content, a), tmp_path / "copy")

    run(main())


def test_an_existing_file_is_kept_unless_forced(tmp_path: Path) -> None:
    async def main() -> None:
        net = SimNetwork()
        original = make_file(tmp_path / "o", SIZE)
        target = tmp_path / "mine"
        target.write_bytes(b"mine")
        async with open_node(tmp_path / "a", net) as a, open_node(tmp_path / "b", net) as b:
            (shared,) = await share(a, original)
            with pytest.raises(StorageError, match="--force"):
                await get(b, shared.link, target)
            assert target.read_bytes() == b"mine"
            await get(b, shared.link, target, force=True)
            assert digest(target) == digest(original)
            again = await get(b, shared.link, target)  # it is there already: nothing to do, nothing in the way
            assert again.sources == 0

    run(main())


def test_into_a_folder_goes_the_name_of_the_link_and_never_a_dangerous_one(tmp_path: Path) -> None:
    async def main() -> None:
        net = SimNetwork()
        original = make_file(tmp_path / "name.txt", 10)
        (tmp_path / "in").mkdir()
        async with open_node(tmp_path / "a", net) as a, open_node(tmp_path / "b", net) as b:
            (shared,) = await share(a, original)
            assert (await get(b, shared.link, tmp_path / "in")).path == str(tmp_path / "in" / "name.txt")
            evil = shared.link.replace("name=name.txt", "name=..%2Fevil")
            with pytest.raises(Exception, match="not allowed"):
                await get(b, evil, tmp_path / "in")
            assert not (tmp_path / "evil").exists()

    run(main())


def test_probe_measures_and_verifies_without_keeping(tmp_path: Path) -> None:
    async def main() -> None:
        net = SimNetwork()
        original = make_file(tmp_path / "o", SIZE)
        async with open_node(tmp_path / "a", net) as a, open_node(tmp_path / "b", net) as b:
            (shared,) = await share(a, original)
            await b.connect(a.addresses[0])
            probe = await ask(b, "probe", peer=str(a.peer_id), id=shared.content_id)
            assert (probe.size_bytes, probe.verified) == (SIZE, True)
            assert probe.bytes_per_s > 0
            assert (await ask(b, "stat")).store_bytes == 0

    run(main())


def test_a_changed_file_is_no_longer_served(tmp_path: Path) -> None:
    async def main() -> None:
        net = SimNetwork()
        original = make_file(tmp_path / "o", SIZE)
        async with open_node(tmp_path / "a", net) as a, open_node(tmp_path / "b", net) as b:
            (shared,) = await share(a, original)
            with original.open("r+b") as file:
                file.write(b"changed")
            with pytest.raises(NotFound):
                await get(b, shared.link, tmp_path / "copy")
            assert await ask(a, "ls") == []
            verdicts = await ask(a, "verify")
            assert [v.ok for v in verdicts] == [False]

    run(main())


def test_a_cancelled_download_keeps_what_came_and_serves_it(tmp_path: Path) -> None:
    async def main() -> None:
        net = SimNetwork()
        content = Content(make_file(tmp_path / "file.bin", 4 * SIZE))

        async def slow(stream: Stream, request: Request, content: Content) -> bool:
            await asyncio.sleep(0.5 * (request.ask is Ask.RANGE))
            return await honest(stream, request, content)

        async with source(net, content, slow) as a, open_node(tmp_path / "c", net) as c:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(3):
                    await get(c, link_to(content, a), tmp_path / "copy")
            assert (await ask(c, "stat")).incomplete == 1
            await get(c, link_to(content, a), tmp_path / "copy")
            assert digest(tmp_path / "copy") == digest(tmp_path / "file.bin")
            assert (await ask(c, "stat")).incomplete == 0

    run(main())
