"""What whoever provides `RecordStore` or `BlobStore` must do (`peerkit.capabilities`), under virtual time.

    @pytest.mark.parametrize("check", BLOB_STORE_CHECKS, ids=lambda check: check.__name__)
    async def test_the_store_passes_the_check(net, check):
        ...share two files...
        await check(BlobStoreBed(provided_by(node, BLOB_STORE), {first_id: first, second_id: second}, unknown_id))

A check returns, or raises `AssertionError` with the promise that was broken.

PYTEST_DONT_REWRITE: a broken promise is told by its sentence; to compare megabytes for it would take minutes.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from ..capabilities import BlobStore, RecordStore
from ..errors import LimitExceeded, NotFound, PeerkitError, UsageError, VerificationFailed
from ..identity import Identity, PeerId
from .plugin_watch import Check, Leftovers, call, call_now, cancelled_everywhere, complete

MAX_IMMUTABLE_BYTES = 8_192
MAX_MUTABLE_BYTES = 1_024
WRONG_KEYS = (b"", b"x", bytes(31), bytes(33))
NO_IDS = ("", "nonsense", "\x00", "../../etc/passwd", "c" * 10_000)
SALT = b"salt"


@dataclass(frozen=True, slots=True)
class RecordStoreBed:
    """Attributes:
    writer, reader: the stores of two nodes of one network that have joined.
    author: the writer's id.
    """

    writer: RecordStore
    reader: RecordStore
    author: PeerId


@dataclass(frozen=True, slots=True)
class BlobStoreBed:
    """Attributes:
    store: of a node that shares `contents`.
    contents: id → bytes, in the order in which they were shared; two at least, of 1 byte or more.
    unknown: a well-formed id of content that nobody has.
    spoil: changes the bytes of one behind the store's back; `None` where nobody can.
    """

    store: BlobStore
    contents: Mapping[str, bytes]
    unknown: str
    spoil: Callable[[str], None] | None = None


RecordStoreCheck = Check[RecordStoreBed]
BlobStoreCheck = Check[BlobStoreBed]


async def what_is_put_is_got(bed: RecordStoreBed) -> None:
    for value in (b"x", bytes(100), bytes(range(256)) * (MAX_IMMUTABLE_BYTES // 256)):
        key = await call("put_immutable", bed.writer.put_immutable, value)
        assert len(key) == 32, f"put_immutable returned a key of {len(key)} bytes, not 32"
        assert await call("put_immutable", bed.writer.put_immutable, value) == key, "one value got two keys"
        for store in (bed.reader, bed.writer):
            assert await call("get_immutable", store.get_immutable, key) == value, "get_immutable gave other bytes"


async def what_is_too_long_is_refused(bed: RecordStoreBed) -> None:
    await _raises(
        bed.writer.put_immutable(bytes(MAX_IMMUTABLE_BYTES + 1)), LimitExceeded, "put_immutable of 8,193 bytes"
    )
    await _raises(
        bed.writer.put_mutable(SALT, bytes(MAX_MUTABLE_BYTES + 1)), LimitExceeded, "put_mutable of 1,025 bytes"
    )


async def what_nobody_keeps_is_not_found(bed: RecordStoreBed) -> None:
    await _raises(bed.reader.get_immutable(b"\x05" * 32), NotFound, "get_immutable of what nobody put")
    stranger = Identity(b"\x09" * 32).peer_id
    await _raises(bed.reader.get_mutable(stranger, SALT), NotFound, "get_mutable of what nobody put")
    for key in WRONG_KEYS:
        await _raises(bed.reader.get_immutable(key), UsageError, f"get_immutable of a key of {len(key)} bytes")


async def a_newer_value_replaces_the_older(bed: RecordStoreBed) -> None:
    sequence = -1
    for value in (b"one", b"two", bytes(MAX_MUTABLE_BYTES)):
        used = await call("put_mutable", bed.writer.put_mutable, SALT, value)
        assert used > sequence, f"put_mutable used sequence {used} after {sequence}; a newer value needs a higher one"
        sequence = used
        await asyncio.sleep(1)
        for store in (bed.reader, bed.writer):
            record = await call("get_mutable", store.get_mutable, bed.author, SALT)
            assert (record.value, record.sequence) == (value, used), "get_mutable did not return the newest value"
            assert (record.author, record.salt) == (bed.author, SALT), "get_mutable returned another one's record"
    used = await call("put_mutable", bed.writer.put_mutable, SALT, b"told", sequence + 1_000)
    assert used == sequence + 1_000, "put_mutable must use the sequence that it is given"


async def salts_are_apart(bed: RecordStoreBed) -> None:
    for salt in (b"a", b"b", b""):
        await call("put_mutable", bed.writer.put_mutable, salt, b"value of " + salt)
    for salt in (b"a", b"b", b""):
        record = await call("get_mutable", bed.reader.get_mutable, bed.author, salt)
        assert record.value == b"value of " + salt, f"under the salt {salt!r} there is {record.value!r}"


async def a_cancelled_call_leaves_nothing(bed: RecordStoreBed) -> None:
    key = await bed.writer.put_immutable(b"value")

    async def get() -> object:
        return await bed.reader.get_immutable(key)

    async def put() -> object:
        return await bed.writer.put_mutable(SALT, b"value")

    await cancelled_everywhere("get_immutable", get)
    await cancelled_everywhere("put_mutable", put)
    await what_is_put_is_got(bed)


async def the_listing_is_right(bed: BlobStoreBed) -> None:
    listing = call_now("listing", bed.store.listing)
    ids = [info.content_id for info in listing]
    assert ids == [*bed.contents][::-1], "listing must name everything that is shared, newest first"
    for info in listing:
        assert info.name and info.type, f"{info} needs a name and a type"
        size = len(bed.contents[info.content_id])
        assert info.size_bytes == size, f"listing says {info.size_bytes} bytes of {info.name}, which has {size}"


async def any_range_is_read_exactly(bed: BlobStoreBed) -> None:
    for content_id, data in bed.contents.items():
        size = len(data)
        ranges = [(0, size), (0, 1), (size - 1, 1), (size // 2, size), (size // 3, size // 3), (1, 70_000)]
        ranges += [(0, 0), (size, 1), (size + 1, 10), (0, 1 << 62)]
        for offset, length in ranges:
            found = await _read(bed.store, content_id, offset, length)
            assert found == data[offset : offset + length], (
                f"read({offset}, {length}) of {size} bytes gave {len(found)} bytes, and other ones than were shared"
            )


async def what_is_not_here_is_told(bed: BlobStoreBed) -> None:
    await _raises(_read(bed.store, bed.unknown, 0, 1), NotFound, "read of an unknown id")
    for text in NO_IDS:
        try:
            await _read(bed.store, text, 0, 1)
        except (NotFound, UsageError):
            continue
        raise AssertionError(f"read of {text[:30]!r} must raise UsageError or NotFound")


async def an_abandoned_read_leaves_nothing(bed: BlobStoreBed) -> None:
    """No open file, no task; and what is read next is right."""
    for content_id in bed.contents:

        async def begin(chosen: str = content_id) -> None:
            pieces = bed.store.read(chosen, 0, 1 << 62)
            async for _ in pieces:
                break
            await pieces.aclose()  # type: ignore[attr-defined]

        async def whole(chosen: str = content_id) -> None:
            await _read(bed.store, chosen, 0, 1 << 62)

        await whole()  # an open file that is kept for the next reader is a cache
        left = Leftovers()
        await left.run(begin())
        await left.none("a read that was given up")
        await cancelled_everywhere("read", whole)
    await any_range_is_read_exactly(bed)


async def changed_content_is_not_given_out(bed: BlobStoreBed) -> None:
    if bed.spoil is None:
        return
    content_id, data = next(iter(bed.contents.items()))
    bed.spoil(content_id)
    try:
        found = await _read(bed.store, content_id, 0, len(data))
    except (VerificationFailed, NotFound):
        return
    assert found == data, "read gave bytes that are not those of the content id"


async def _read(store: BlobStore, content_id: str, offset: int, length: int) -> bytes:
    async def read() -> bytes:
        return b"".join([piece async for piece in store.read(content_id, offset, length)])

    return await call("read", read)


async def _raises(work: Awaitable[object], kind: type[PeerkitError], what: str) -> None:
    try:
        await work
    except kind:
        return
    except PeerkitError as exc:
        raise AssertionError(f"{what} must raise {kind.__name__}, not {exc!r}") from exc
    raise AssertionError(f"{what} must raise {kind.__name__}")


RECORD_STORE_CHECKS: tuple[RecordStoreCheck, ...] = complete(
    what_is_put_is_got,
    what_is_too_long_is_refused,
    what_nobody_keeps_is_not_found,
    a_newer_value_replaces_the_older,
    salts_are_apart,
    a_cancelled_call_leaves_nothing,
)
BLOB_STORE_CHECKS: tuple[BlobStoreCheck, ...] = complete(
    the_listing_is_right,
    any_range_is_read_exactly,
    what_is_not_here_is_told,
    an_abandoned_read_leaves_nothing,
    changed_content_is_not_given_out,
)
