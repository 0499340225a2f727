"""Whole nodes on the simulated network share and fetch: one source, several, lying, stalling, vanishing, partial."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from peerkit_warehouse import transfer_codec as codec
from peerkit_warehouse.content_id import ContentKind
from peerkit_warehouse.link import Link
from peerkit_warehouse.merkle_tree import (
    HASH_BYTES,
    LEAF_BYTES,
    content_id,
    hash_leaves,
    hash_level,
    proof_positions,
    top_of,
)
from peerkit_warehouse.transfer_codec import Ask, Info, Refusal, Request

from peerkit import Node, PeerRecord, PluginContext, PluginSpec, ProtocolSpec, Settings, Stream
from peerkit.capabilities import CONTENT_ROUTING
from peerkit.errors import NotFound, StorageError, VerificationFailed
from peerkit.testing import SimNetwork, run
from plugins.warehouse.tests.beds import OTHERS, CollectingCall, ask, digest, get, make_file, open_node, share

SIZE = 3 * 1024 * 1024 + 17
Answerer = Callable[[Stream, Request, "Content"], Awaitable[bool]]


class Content:
    """A file in memory with its tree, for sources that the tests make themselves."""

    def __init__(self, path: Path) -> None:
        self.data = path.read_bytes()
        self.levels = [hash_leaves(self.data)]
        while len(self.levels[-1]) > HASH_BYTES:
            self.levels.append(hash_level(self.levels[-1]))
        self.top = top_of(self.levels[0])
        self.id = content_id(ContentKind.FILE, len(self.data), self.top)

    def answer(self, request: Request, complete: bool = True, held: tuple[tuple[int, int], ...] = ()) -> bytes:
        if request.ask is Ask.INFO:
            return Info(ContentKind.FILE, len(self.data), self.top, complete, held).to_bytes()
        positions = proof_positions(len(self.levels[0]) // HASH_BYTES, request.first, request.leaves)
        siblings = b"".join(self.levels[level][i * HASH_BYTES :][:HASH_BYTES] for level, i in positions)
        hashes = self.levels[0][request.first * HASH_BYTES :][: request.leaves * HASH_BYTES]
        data = self.data[request.first * LEAF_BYTES :][: request.leaves * LEAF_BYTES]
        return codec.range_head(len(positions), len(data)) + siblings + hashes + data


@asynccontextmanager
async def source(net: SimNetwork, content: Content, answer: Answerer) -> AsyncIterator[Node]:
    """A node that speaks the transfer protocol as `answer` likes; it returns whether to go on."""

    async def on_stream(stream: Stream) -> None:
        await stream.read_exactly(1)
        while True:
            request = Request.from_bytes(await stream.read_exactly(codec.REQUEST_BYTES))
            if not await answer(stream, request, content):
                return

    platform = net.platform()
    node = {"extends": "local", "disable": [*OTHERS, "warehouse"], "listen": [f"tcp://{platform.ip}:0"]}
    spec = ProtocolSpec("peerkit/warehouse", "1.0.0", ">=1.0,<2", on_stream=on_stream)
    async with Node.open({"node": node}, protocols=[spec], platform=platform) as opened:
        yield opened


async def honest(stream: Stream, request: Request, content: Content) -> bool:
    await stream.write(content.answer(request))
    return True


def link_to(content: Content, *nodes: Node) -> str:
    return str(Link(content.id, "file.bin", len(content.data), tuple(node.addresses[0] for node in nodes)))


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


@pytest.mark.parametrize("lie", ["data", "proof", "short"])
def test_a_lying_source_is_found_out_and_the_file_arrives_from_others(tmp_path: Path, lie: str) -> None:
    async def main() -> None:
        net = SimNetwork()
        content = Content(make_file(tmp_path / "file.bin", SIZE))
        asked_after = 0

        async def liar(stream: Stream, request: Request, content: Content) -> bool:
            nonlocal asked_after
            answer = bytearray(content.answer(request))
            if request.ask is Ask.RANGE:
                asked_after += 1
                if lie == "short":
                    answer[4:8] = (int.from_bytes(answer[4:8]) - 1).to_bytes(4)
                    del answer[-1]
                else:
                    answer[-1 if lie == "data" else 8] ^= 1
            await stream.write(answer)
            return True

        async with (
            source(net, content, liar) as bad,
            source(net, content, honest) as good,
            open_node(tmp_path / "c", net) as c,
        ):
            await get(c, link_to(content, bad, good), tmp_path / "copy")
            assert digest(tmp_path / "copy") == digest(tmp_path / "file.bin")

    run(main())


def test_when_every_source_lies_verification_fails_and_nothing_appears(tmp_path: Path) -> None:
    async def main() -> None:
        net = SimNetwork()
        content = Content(make_file(tmp_path / "file.bin", SIZE))

        async def liar(stream: Stream, request: Request, content: Content) -> bool:
            answer = bytearray(content.answer(request))
            answer[-1] ^= request.ask is Ask.RANGE
            await stream.write(answer)
            return True

        async with source(net, content, liar) as bad, open_node(tmp_path / "c", net) as c:
            with pytest.raises(VerificationFailed):
                await get(c, link_to(content, bad), tmp_path / "copy")
            assert not (tmp_path / "copy").exists()

    run(main())


@pytest.mark.parametrize(
    "garbage", [b"\0" * 64, b"\x82\x00\xff\xff\xff\xff\xff\xff", b"\xe0\x06\x00\x00\x00\x00\x00\x00"]
)
def test_garbage_from_a_source_is_a_clear_end(tmp_path: Path, garbage: bytes) -> None:
    async def main() -> None:
        net = SimNetwork()
        content = Content(make_file(tmp_path / "file.bin", SIZE))

        async def babbler(stream: Stream, request: Request, content: Content) -> bool:
            del request, content
            await stream.write(garbage)
            return True

        async with source(net, content, babbler) as bad, open_node(tmp_path / "c", net) as c:
            with pytest.raises((NotFound, VerificationFailed)):
                await get(c, link_to(content, bad), tmp_path / "copy")
            with pytest.raises(NotFound):  # and the node goes on
                await ask(c, "rm", id=str(content.id))

    run(main())


def test_a_stalling_source_does_not_hold_up_the_others(tmp_path: Path) -> None:
    async def main() -> None:
        net = SimNetwork()
        content = Content(make_file(tmp_path / "file.bin", 4 * SIZE))

        async def stalls(stream: Stream, request: Request, content: Content) -> bool:
            if request.ask is Ask.INFO:
                return await honest(stream, request, content)
            await stream.write(content.answer(request)[:1000])
            await asyncio.sleep(1000)
            return False

        async with (
            source(net, content, stalls) as slow,
            source(net, content, honest) as good,
            open_node(tmp_path / "c", net) as c,
        ):
            got = await get(c, link_to(content, slow, good), tmp_path / "copy")
            assert digest(tmp_path / "copy") == digest(tmp_path / "file.bin")
            assert got.seconds < 10

    run(main())


def test_when_the_only_source_vanishes_what_came_is_kept_and_gone_on_with(tmp_path: Path) -> None:
    async def main() -> None:
        net = SimNetwork()
        content = Content(make_file(tmp_path / "file.bin", 4 * SIZE))
        asked: list[int] = []

        async def vanishes(stream: Stream, request: Request, content: Content) -> bool:
            if len(asked) >= 5:
                stream.reset()
                return False
            asked.extend([request.first] if request.ask is Ask.RANGE else [])
            return await honest(stream, request, content)

        async with open_node(tmp_path / "c", net) as c:
            async with source(net, content, vanishes) as a:
                with pytest.raises(NotFound, match="kept"):
                    await get(c, link_to(content, a), tmp_path / "copy")
            assert not (tmp_path / "copy").exists()
            first = set(asked)
            asked.clear()

            async def counts(stream: Stream, request: Request, content: Content) -> bool:
                asked.extend([request.first] if request.ask is Ask.RANGE else [])
                return await honest(stream, request, content)

            async with source(net, content, counts) as b:
                await get(c, link_to(content, b), tmp_path / "copy")
            assert digest(tmp_path / "copy") == digest(tmp_path / "file.bin")
            assert len(first & set(asked)) <= 1  # at most the group that was on its way

    run(main())


def test_partial_holders_complete_each_other(tmp_path: Path) -> None:
    async def main() -> None:
        net = SimNetwork()
        content = Content(make_file(tmp_path / "file.bin", 8 * 16 * LEAF_BYTES))

        def holder(first: int, stop: int) -> Answerer:
            async def answer(stream: Stream, request: Request, content: Content) -> bool:
                if request.ask is Ask.INFO:
                    await stream.write(content.answer(request, False, ((first, stop),)))
                else:
                    assert first <= request.first < request.first + request.leaves <= stop
                    await stream.write(content.answer(request))
                return True

            return answer

        async with (
            source(net, content, holder(0, 5 * 16)) as a,
            source(net, content, holder(4 * 16, 8 * 16)) as b,
            open_node(tmp_path / "c", net) as c,
        ):
            got = await get(c, link_to(content, a, b), tmp_path / "copy")
            assert got.sources == 2
            assert digest(tmp_path / "copy") == digest(tmp_path / "file.bin")

    run(main())


def test_a_busy_source_is_asked_again(tmp_path: Path) -> None:
    async def main() -> None:
        net = SimNetwork()
        content = Content(make_file(tmp_path / "file.bin", SIZE))
        refusals = 3

        async def busy(stream: Stream, request: Request, content: Content) -> bool:
            nonlocal refusals
            if request.ask is Ask.RANGE and refusals:
                refusals -= 1
                await stream.write(codec.error(Refusal.BUSY, "later"))
                return True
            return await honest(stream, request, content)

        async with source(net, content, busy) as a, open_node(tmp_path / "c", net) as c:
            await get(c, link_to(content, a), tmp_path / "copy")
            assert digest(tmp_path / "copy") == digest(tmp_path / "file.bin")

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


def test_a_search_that_finds_nobody_ends_in_time(tmp_path: Path) -> None:
    """With routing that never finds anybody, and a connected peer that has something else."""

    class Nobody:
        async def find_providers(self, key: bytes, limit: int = 16) -> AsyncIterator[PeerRecord]:
            del key, limit
            await asyncio.sleep(0.5)
            for record in list[PeerRecord]():
                yield record

        async def provide(self, key: bytes) -> int:
            return len(key) * 0

        async def unprovide(self, key: bytes) -> None: ...

    def factory(ctx: PluginContext[Settings]) -> object:
        ctx.provide(CONTENT_ROUTING, Nobody())
        return Nobody()

    async def main() -> None:
        net = SimNetwork()
        content = Content(make_file(tmp_path / "file.bin", 10))
        routing = PluginSpec(settings=Settings, factory=factory, provides=[CONTENT_ROUTING])
        async with (
            open_node(tmp_path / "a", net, {"routing": routing}) as a,
            open_node(tmp_path / "b", net, {"routing": routing}) as b,
        ):
            begun = b.clock.now()
            with pytest.raises(NotFound):
                await get(b, str(content.id), tmp_path / "copy")
            assert 14 < b.clock.now() - begun < 25  # connected to nobody: maybe later
            await b.connect(a.addresses[0])
            begun = b.clock.now()
            with pytest.raises(NotFound):
                await get(b, str(content.id), tmp_path / "copy")
            assert b.clock.now() - begun < 6  # everybody said no

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


def test_a_server_without_a_free_slot_says_busy_and_serves_later(tmp_path: Path) -> None:
    async def main() -> None:
        net = SimNetwork()
        original = make_file(tmp_path / "o", 4 * SIZE)
        async with (
            open_node(tmp_path / "a", net, upload_slots=1) as a,
            open_node(tmp_path / "b", net) as b,
            open_node(tmp_path / "c", net) as c,
        ):
            (shared,) = await share(a, original)
            async with asyncio.TaskGroup() as group:
                group.create_task(get(b, shared.link, tmp_path / "one"))
                group.create_task(get(c, shared.link, tmp_path / "two"))
            assert digest(tmp_path / "one") == digest(tmp_path / "two") == digest(original)
            assert (await ask(a, "stat")).uploads == 0

    run(main())


@pytest.mark.parametrize("sent", [b"", b"\x02", b"\x01", b"\x01" + b"\xff" * 46, b"\x01" + b"\x02" * 20])
def test_a_server_survives_every_malformed_stream(tmp_path: Path, sent: bytes) -> None:
    async def main() -> None:
        net = SimNetwork()
        original = make_file(tmp_path / "o", SIZE)
        async with open_node(tmp_path / "a", net) as a, open_node(tmp_path / "b", net) as b:
            (shared,) = await share(a, original)
            peer = await b.connect(a.addresses[0])
            for _ in range(20):
                stream = await peer.open_stream("peerkit/warehouse")
                if sent:
                    await stream.write(sent)
                await stream.finish()
            await get(b, shared.link, tmp_path / "copy")
            assert digest(tmp_path / "copy") == digest(original)

    run(main())


def test_a_claim_of_a_giant_is_refused_before_a_byte_is_written(tmp_path: Path) -> None:
    async def main() -> None:
        net = SimNetwork()
        size, top = 1 << 60, bytes(32)
        giant = content_id(ContentKind.FILE, size, top)

        async def claims(stream: Stream, request: Request, content: Content) -> bool:
            del request, content
            await stream.write(Info(ContentKind.FILE, size, top, True).to_bytes())
            return True

        content = Content(make_file(tmp_path / "file.bin", 1))
        async with source(net, content, claims) as a, open_node(tmp_path / "c", net) as c:
            with pytest.raises(StorageError, match="full"):
                await get(c, str(Link(giant, "giant", None, (a.addresses[0],))), tmp_path / "copy")

    run(main())
    assert not list((tmp_path / "c" / "plugins" / "warehouse" / "partial").iterdir())
