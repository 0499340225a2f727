"""Search beside the real Kademlia and warehouse, over real TCP on loopback: the profile `local` as users run it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import cast

import pytest
from peerkit_search.operations import SearchHit

from peerkit import Node
from peerkit.operation import Model
from plugins.search.tests.swarm import CollectingCall


async def call(node: Node, name: str, **arguments: object) -> Sequence[Model]:
    request = node.operations.parse(name, arguments)
    answer = await node.operations.get(name).operation.handler(request, CollectingCall())
    return cast(Sequence[Model], answer if isinstance(answer, Sequence) else [answer])


async def search(node: Node, *words: str) -> list[SearchHit]:
    return [hit for hit in await call(node, "search", words=words) if isinstance(hit, SearchHit)]


async def eventually(check: Callable[[], Awaitable[bool]], timeout_s: float = 30.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not await check():  # noqa: ASYNC110 - what is waited for happens on another node
            await asyncio.sleep(0.05)


@pytest.mark.integration
def test_a_file_is_shared_found_by_a_stranger_and_forgotten(tmp_path: Path) -> None:
    (tmp_path / "Öffentliche Häuser.txt").write_text("houses")
    (tmp_path / "big_buck_bunny.py").write_text("bunny")

    async def main() -> None:
        async with AsyncExitStack() as stack:
            known: dict[str, object] = {}

            async def start(name: str) -> Node:
                opened = Node.open("local", data_dir=tmp_path / name, settings={"node": known})
                return await stack.enter_async_context(opened)

            first = await start("first")
            known["bootstrap"] = [str(first.addresses[0])]
            publisher, middle, asker = [await start(name) for name in ("publisher", "middle", "asker")]
            shared = await call(
                publisher,
                "share",
                paths=[str(tmp_path / "Öffentliche Häuser.txt"), str(tmp_path / "big_buck_bunny.py")],
            )
            assert len(shared) == 2

            async def found() -> bool:
                return bool(await search(asker, "bunny", "BUCK"))

            async def gone() -> bool:
                return not await search(asker, "bunny")

            await eventually(found)
            (hit,) = await search(asker, "BigBuckBunny")
            assert (hit.name, hit.size_bytes) == ("big_buck_bunny.py", 5)
            assert hit.publisher == str(publisher.peer_id)
            assert hit.sources >= 1
            assert [h.name for h in await search(middle, "haus")] == ["Öffentliche Häuser.txt"]
            await call(publisher, "rm", id=hit.content_id)
            await eventually(gone)
            assert [h.name for h in await search(asker, "hauser")] == ["Öffentliche Häuser.txt"]
            # A node that starts only to search waits for its first peers by itself.
            one_shot = await start("one-shot")
            assert [h.name for h in await search(one_shot, "offentliche")] == ["Öffentliche Häuser.txt"]

    asyncio.run(main())
