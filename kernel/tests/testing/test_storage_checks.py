"""The checks of stores: the fakes pass, and each finds the one that breaks its promise."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kernel.tests.testing.sabotage import Saboteurs, assert_all_sabotaged, assert_caught, assert_passes, cases_of
from kernel.tests.testing.worlds import members
from peerkit.capabilities import MutableRecord
from peerkit.errors import NotFound
from peerkit.identity import PeerId
from peerkit.testing.capability_checks import CAPABILITY_CHECKS
from peerkit.testing.fake_capabilities import MemoryBlobs, MemoryRouting
from peerkit.testing.storage_checks import BlobStoreBed, RecordStoreBed


def record_store(kind: type[MemoryRouting]) -> Callable[[], RecordStoreBed]:
    def make() -> RecordStoreBed:
        one, two = members(kind, 2)
        return RecordStoreBed(one, kind(two.world, two.own), one.own)

    return make


class Truncates(MemoryRouting):
    async def get_immutable(self, key: bytes) -> bytes:
        return (await super().get_immutable(key))[:100]


class Numbers(MemoryRouting):
    keys = itertools.count()

    async def put_immutable(self, value: bytes) -> bytes:
        key = next(self.keys).to_bytes(32, "big")
        self.world.values[key] = value
        return key


class Endless(MemoryRouting):
    async def put_immutable(self, value: bytes) -> bytes:
        return await super().put_immutable(value[:8_192])


class Empty(MemoryRouting):
    async def get_immutable(self, key: bytes) -> bytes:
        return self.world.values.get(key, b"")


class KeyErrors(MemoryRouting):
    async def get_immutable(self, key: bytes) -> bytes:
        if len(key) != 32:
            raise NotFound("it is no key")
        return await super().get_immutable(key)


class First(MemoryRouting):
    """What was put first stays."""

    async def get_mutable(self, author: PeerId, salt: bytes) -> MutableRecord:
        record = await super().get_mutable(author, salt)
        return replace(record, value=b"one", sequence=1)


class Stands(MemoryRouting):
    async def put_mutable(self, salt: bytes, value: bytes, sequence: int | None = None) -> int:
        return await super().put_mutable(salt, value, 1)


class Saltless(MemoryRouting):
    async def put_mutable(self, salt: bytes, value: bytes, sequence: int | None = None) -> int:
        await super().put_mutable(b"a", value)
        return await super().put_mutable(salt, value, sequence)


class Halves(MemoryRouting):
    """A cancelled put stays under way for ever."""

    puts: list[object] = []  # noqa: RUF012

    async def put_mutable(self, salt: bytes, value: bytes, sequence: int | None = None) -> int:
        async def put() -> int:
            await asyncio.sleep(1e6)
            return 0

        self.puts.append(asyncio.create_task(put(), name="put"))
        return await super().put_mutable(salt, value, sequence)


CONTENTS = {"one": b"x", "two": bytes(range(256)) * 1_000}


def blob_store(kind: type[MemoryBlobs]) -> Callable[[], BlobStoreBed]:
    def make() -> BlobStoreBed:
        store = kind()
        for name, data in CONTENTS.items():
            store.add(name, name, data)
        return BlobStoreBed(store, CONTENTS, "three", lambda name: store.add(name, name, b"?"))

    return make


class Checked(MemoryBlobs):
    """The fake cannot verify: there is nothing that its ids are hashes of."""

    async def read(self, content_id: str, offset: int, length: int) -> AsyncIterator[bytes]:
        if content_id in self._blobs and self._blobs[content_id][1] != CONTENTS[content_id]:
            raise NotFound("the content has changed")
        async for piece in super().read(content_id, offset, length):
            yield piece


class OldestFirst(Checked):
    def listing(self) -> Sequence[Any]:
        return super().listing()[::-1]


class WrongSize(Checked):
    def listing(self) -> Sequence[Any]:
        return [replace(info, size_bytes=7) for info in super().listing()]


class WholePieces(Checked):
    async def read(self, content_id: str, offset: int, length: int) -> AsyncIterator[bytes]:
        start = offset // 65_536 * 65_536
        async for piece in super().read(content_id, start, length):
            yield piece


class Nothing(Checked):
    async def read(self, content_id: str, offset: int, length: int) -> AsyncIterator[bytes]:
        if content_id in self._blobs:
            async for piece in super().read(content_id, offset, length):
                yield piece


class HoldsOpen(Checked):
    async def read(self, content_id: str, offset: int, length: int) -> AsyncIterator[bytes]:
        async for piece in super().read(content_id, offset, length):
            open_file = Path(__file__).open("rb")  # noqa: ASYNC230, SIM115
            HELD.append(open_file)
            yield piece
            open_file.close()


HELD: list[Any] = []


HONEST: Mapping[str, Callable[[], Any]] = {
    "peerkit.record_store/1": record_store(MemoryRouting),
    "peerkit.blob_store/1": blob_store(Checked),
}
SABOTEURS: Mapping[str, Saboteurs[Callable[[], Any]]] = {
    "peerkit.record_store/1": {
        "what_is_put_is_got": [
            (record_store(Truncates), "get_immutable gave other bytes"),
            (record_store(Numbers), "one value got two keys"),
        ],
        "what_is_too_long_is_refused": [
            (record_store(Endless), "put_immutable of 8,193 bytes must raise LimitExceeded")
        ],
        "what_nobody_keeps_is_not_found": [
            (record_store(Empty), "get_immutable of what nobody put must raise NotFound"),
            (record_store(KeyErrors), r"a key of 0 bytes must raise UsageError, not NotFound"),
        ],
        "a_newer_value_replaces_the_older": [
            (record_store(First), "get_mutable did not return the newest value"),
            (record_store(Stands), "put_mutable used sequence 1 after 1|did not return the newest"),
        ],
        "salts_are_apart": [(record_store(Saltless), "under the salt b'a' there is b'value of '")],
        "a_cancelled_call_leaves_nothing": [
            (record_store(Halves), "put_mutable, cancelled, left behind: the task 'put'")
        ],
    },
    "peerkit.blob_store/1": {
        "the_listing_is_right": [
            (blob_store(OldestFirst), "everything that is shared, newest first"),
            (blob_store(WrongSize), "listing says 7 bytes of two, which has 256000"),
        ],
        "any_range_is_read_exactly": [
            (blob_store(WholePieces), r"read\(1, 70000\) of 1 bytes gave 1 bytes, and other")
        ],
        "what_is_not_here_is_told": [(blob_store(Nothing), "read of an unknown id must raise NotFound")],
        "an_abandoned_read_leaves_nothing": [(blob_store(HoldsOpen), "left behind: the open file")],
        "changed_content_is_not_given_out": [(blob_store(MemoryBlobs), "not those of the content id")],
    },
}


ALL = [pytest.param(name, check, id=check.__name__) for name in SABOTEURS for check in CAPABILITY_CHECKS[name]]


@pytest.mark.parametrize(("name", "check"), ALL)
def test_the_fakes_pass(name: str, check: Callable[[Any], Any]) -> None:
    assert_passes(check, HONEST[name])


@pytest.mark.parametrize("name", SABOTEURS)
def test_each_check_has_a_saboteur(name: str) -> None:
    assert_all_sabotaged(CAPABILITY_CHECKS[name], SABOTEURS[name])


@pytest.mark.parametrize(("name", "check", "make", "sentence"), cases_of(SABOTEURS))
def test_the_broken_one_is_found(name: str, check: str, make: Callable[[], Any], sentence: str) -> None:
    assert_caught(CAPABILITY_CHECKS[name], check, make, sentence)
    while HELD:
        HELD.pop().close()
