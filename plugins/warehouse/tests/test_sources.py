"""Downloads from sources that lie, stall, vanish, hold parts or are busy; and servers that are asked nonsense."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from peerkit_warehouse import transfer_codec as codec
from peerkit_warehouse.content_id import ContentKind
from peerkit_warehouse.link import Link
from peerkit_warehouse.merkle_tree import (
    LEAF_BYTES,
    content_id,
)
from peerkit_warehouse.transfer_codec import Ask, Info, Refusal, Request

from peerkit import PeerRecord, PluginContext, PluginSpec, Settings, Stream
from peerkit.capabilities import CONTENT_ROUTING
from peerkit.errors import NotFound, StorageError, VerificationFailed
from peerkit.session import Code
from peerkit.testing import SimNetwork, run
from plugins.warehouse.tests.beds import ask, digest, get, make_file, open_node, share
from plugins.warehouse.tests.sources import SIZE, Answerer, Content, honest, link_to, source


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


@pytest.mark.parametrize("at", [0, 5])
def test_a_session_that_makes_room_for_another_one_ends_no_download(at: int, tmp_path: Path) -> None:
    """Two nodes that dial each other at once keep one of the two sessions."""

    async def main() -> None:
        net = SimNetwork()
        content = Content(make_file(tmp_path / "file.bin", 4 * SIZE))
        asked = 0

        async def ends_once(stream: Stream, request: Request, content: Content) -> bool:
            nonlocal asked
            asked += 1
            if asked == at + 1:
                await stream.session.close(Code.DUPLICATE, "another session between the two won")
            return await honest(stream, request, content)

        async with source(net, content, ends_once) as a, open_node(tmp_path / "c", net) as c:
            await get(c, link_to(content, a), tmp_path / "copy")
            assert digest(tmp_path / "copy") == digest(tmp_path / "file.bin")

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


def test_a_place_that_is_silent_for_a_moment_is_asked_again(tmp_path: Path) -> None:
    async def main() -> None:
        net = SimNetwork()
        file = make_file(tmp_path / "file.bin", 10)
        async with open_node(tmp_path / "a", net) as a, open_node(tmp_path / "b", net) as b:
            (shared,) = await share(a, file)
            net.partition([net.hosts[0].ip], [net.hosts[1].ip])
            asyncio.get_running_loop().call_later(6, net.heal)
            await get(b, shared.link, tmp_path / "copy")
            assert digest(tmp_path / "copy") == digest(file)

    run(main())
