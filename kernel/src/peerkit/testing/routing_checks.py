"""What whoever provides `PeerRouting` or `ContentRouting` must do (`peerkit.capabilities`), under virtual time.

    @pytest.mark.parametrize("check", PEER_ROUTING_CHECKS, ids=lambda check: check.__name__)
    async def test_routing_passes_the_check(net, check):
        ...start nodes...
        await check(PeerRoutingBed(provided_by(node, PEER_ROUTING), node.peer_id, [other.record for other in others]))

A check returns, or raises `AssertionError` with the promise that was broken.

PYTEST_DONT_REWRITE: a broken promise is told by its sentence; to compare megabytes for it would take minutes.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ..capabilities import ContentRouting, PeerRouting
from ..errors import UsageError, VerificationFailed
from ..identity import Identity, PeerId, verify
from ..record import PURPOSE, PeerRecord
from .fake_capabilities import KEY_BYTES, place_of
from .plugin_watch import Check, Leftovers, call, cancelled_everywhere, complete

T = TypeVar("T")

LOOKUP_S = 120.0  # virtual; where peers are dead, a lookup waits for some of them
KEYS = (bytes(KEY_BYTES), b"\xff" * KEY_BYTES, bytes(range(KEY_BYTES)))
WRONG_KEYS = (b"", b"x", bytes(KEY_BYTES - 1), bytes(KEY_BYTES + 1))


@dataclass(frozen=True, slots=True)
class PeerRoutingBed:
    """Attributes:
    routing: of one node that has joined.
    own: its id.
    others: records of all other peers of the network, at most 20; at least 3.
    """

    routing: PeerRouting
    own: PeerId
    others: Sequence[PeerRecord]


@dataclass(frozen=True, slots=True)
class ContentRoutingBed:
    """Attributes:
    provider, finder: of two nodes of one network that have joined.
    provider_id, finder_id: their ids.
    """

    provider: ContentRouting
    finder: ContentRouting
    provider_id: PeerId
    finder_id: PeerId


PeerRoutingCheck = Check[PeerRoutingBed]
ContentRoutingCheck = Check[ContentRoutingBed]


async def a_peer_that_is_there_is_found(bed: PeerRoutingBed) -> None:
    for other in bed.others:
        found: object = await _within(call("find_peer", bed.routing.find_peer, other.peer_id), "find_peer")
        assert isinstance(found, PeerRecord), f"find_peer returned {found!r} for a peer that is there"
        assert found.peer_id == other.peer_id, "find_peer returned another peer's record"
        _check_record(found)


async def who_is_not_there_is_none(bed: PeerRoutingBed) -> None:
    found = await _within(call("find_peer", bed.routing.find_peer, Identity(b"\x07" * 32).peer_id), "find_peer")
    assert found is None, f"find_peer returned {found!r} for an id that nobody has"


async def the_nearest_come_first(bed: PeerRoutingBed) -> None:
    there = {record.peer_id for record in bed.others}
    for key in KEYS:
        for count in (1, 3, 20):
            what = f"closest_peers(…, {count})"
            lookup = await _within(call("closest_peers", bed.routing.closest_peers, key, count), what)
            peers = [record.peer_id for record in lookup.closest]
            assert len(peers) <= count, f"{what} returned {len(peers)} peers"
            assert bed.own not in peers, f"{what} returned ourselves"
            assert len(set(peers)) == len(peers), f"{what} returned a peer twice"
            target = int.from_bytes(key, "big")
            nearest = sorted(there, key=lambda peer: place_of(peer) ^ target)[:count]
            assert peers == nearest, f"{what} did not return the nearest peers, nearest first"
            for record in lookup.closest:
                _check_record(record)
            assert lookup.hops >= 0 and lookup.queried >= 0, f"{what} counts less than nothing"


async def a_key_of_a_wrong_length_is_no_key(bed: PeerRoutingBed) -> None:
    for key in WRONG_KEYS:
        await _refused(bed.routing.closest_peers(key), f"closest_peers of a key of {len(key)} bytes")


async def a_cancelled_lookup_leaves_nothing(bed: PeerRoutingBed) -> None:
    async def look() -> object:
        return await bed.routing.closest_peers(KEYS[2])

    await cancelled_everywhere("closest_peers", look)
    await the_nearest_come_first(bed)


async def what_is_provided_is_found(bed: ContentRoutingBed) -> None:
    for key in KEYS:
        kept = await _within(call("provide", bed.provider.provide, key), "provide")
        assert kept >= 1, f"provide says that {kept} peers keep our record, and there is one"
        assert bed.provider_id in await _providers(bed, key), "a provider was not found"
    assert await bed.provider.provide(KEYS[0]) >= 1, "to provide again is no error"


async def nobody_is_an_empty_end(bed: ContentRoutingBed) -> None:
    assert not await _providers(bed, b"\x55" * KEY_BYTES), "providers were found of what nobody provides"


async def we_are_left_out(bed: ContentRoutingBed) -> None:
    await bed.provider.provide(KEYS[1])
    await bed.finder.provide(KEYS[1])
    found = await _providers(bed, KEYS[1])
    assert bed.finder_id not in found, "find_providers returned ourselves"
    assert bed.provider_id in found, "a provider was not found"


async def no_more_than_the_limit(bed: ContentRoutingBed) -> None:
    await bed.provider.provide(KEYS[1])
    for limit in (1, 2):
        await _providers(bed, KEYS[1], limit)


async def what_is_withdrawn_is_no_error(bed: ContentRoutingBed) -> None:
    """Others may name us until their record of us runs out."""
    await _within(call("unprovide", bed.provider.unprovide, b"\x66" * KEY_BYTES), "unprovide")
    await bed.provider.provide(KEYS[2])
    for _ in range(2):
        await _within(call("unprovide", bed.provider.unprovide, KEYS[2]), "unprovide")
    await bed.provider.provide(KEYS[2])
    assert bed.provider_id in await _providers(bed, KEYS[2]), "what was withdrawn cannot be provided again"


async def content_keys_have_one_length(bed: ContentRoutingBed) -> None:
    for key in WRONG_KEYS:
        await _refused(bed.provider.provide(key), f"provide of a key of {len(key)} bytes")
        await _refused(anext(bed.finder.find_providers(key), None), f"find_providers of a key of {len(key)} bytes")


async def an_abandoned_search_leaves_nothing(bed: ContentRoutingBed) -> None:
    await bed.provider.provide(KEYS[2])

    async def look_at_one() -> None:
        found = bed.finder.find_providers(KEYS[2])
        async for _ in found:
            break
        await found.aclose()  # type: ignore[attr-defined]

    async def look() -> None:
        async for _ in bed.finder.find_providers(KEYS[2]):
            pass

    left = Leftovers()
    await _within(left.run(look_at_one()), "find_providers")
    await left.none("find_providers, left after one,")
    await cancelled_everywhere("find_providers", look)


async def _providers(bed: ContentRoutingBed, key: bytes, limit: int = 16) -> list[PeerId]:
    async def look() -> list[PeerRecord]:
        return [record async for record in bed.finder.find_providers(key, limit)]

    found = await _within(call("find_providers", look), "find_providers")
    peers = [record.peer_id for record in found]
    assert len(peers) <= limit, f"find_providers(…, {limit}) returned {len(peers)} providers"
    assert len(set(peers)) == len(peers), "find_providers returned a provider twice"
    for record in found:
        _check_record(record)
    return peers


async def _within(work: Awaitable[T], what: str) -> T:
    try:
        async with asyncio.timeout(LOOKUP_S):
            return await work
    except TimeoutError:
        raise AssertionError(f"{what} did not end within {LOOKUP_S:g} s") from None


async def _refused(work: Awaitable[object], what: str) -> None:
    try:
        await work
    except UsageError:
        return
    raise AssertionError(f"{what} must raise UsageError")


def _check_record(record: PeerRecord) -> None:
    try:
        verify(record.peer_id, PURPOSE, record.network_id, record.signed.body, record.signed.signature)
    except VerificationFailed:
        raise AssertionError(f"the record of {record.peer_id.short} is not signed by its subject") from None


PEER_ROUTING_CHECKS: tuple[PeerRoutingCheck, ...] = complete(
    a_peer_that_is_there_is_found,
    who_is_not_there_is_none,
    the_nearest_come_first,
    a_key_of_a_wrong_length_is_no_key,
    a_cancelled_lookup_leaves_nothing,
)
CONTENT_ROUTING_CHECKS: tuple[ContentRoutingCheck, ...] = complete(
    what_is_provided_is_found,
    nobody_is_an_empty_end,
    we_are_left_out,
    no_more_than_the_limit,
    what_is_withdrawn_is_no_error,
    content_keys_have_one_length,
    an_abandoned_search_leaves_nothing,
)
