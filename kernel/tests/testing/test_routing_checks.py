"""The checks of peer and content routing: the fake passes, and each finds the one that breaks its promise."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from kernel.tests.testing.sabotage import Saboteurs, assert_all_sabotaged, assert_caught, assert_passes, cases_of
from kernel.tests.testing.worlds import members
from peerkit.capabilities import Lookup
from peerkit.identity import PeerId
from peerkit.record import PeerRecord
from peerkit.testing.capability_checks import CAPABILITY_CHECKS
from peerkit.testing.fake_capabilities import MemoryRouting
from peerkit.testing.routing_checks import ContentRoutingBed, PeerRoutingBed


def peer_routing(kind: type[MemoryRouting]) -> Callable[[], PeerRoutingBed]:
    def make() -> PeerRoutingBed:
        node, *others = members(kind, 6)
        return PeerRoutingBed(node, node.own, [node.world.records[other.own] for other in others])

    return make


def content_routing(kind: type[MemoryRouting]) -> Callable[[], ContentRoutingBed]:
    """The broken one provides and finds."""

    def make() -> ContentRoutingBed:
        one, two, *_ = members(kind, 4)
        other = kind(two.world, two.own)
        return ContentRoutingBed(one, other, one.own, two.own)

    return make


class Blind(MemoryRouting):
    async def find_peer(self, peer_id: PeerId) -> PeerRecord | None:
        return None


class Confuses(MemoryRouting):
    async def find_peer(self, peer_id: PeerId) -> PeerRecord | None:
        return next(iter(self.world.records.values()))


class Forges(MemoryRouting):
    async def find_peer(self, peer_id: PeerId) -> PeerRecord | None:
        found = await super().find_peer(peer_id)
        return found and replace(found, signed=replace(found.signed, signature=bytes(64)))


class Reversed(MemoryRouting):
    async def closest_peers(self, key: bytes, count: int = 20) -> Lookup:
        lookup = await super().closest_peers(key, count)
        return replace(lookup, closest=lookup.closest[::-1])


class Generous(MemoryRouting):
    async def closest_peers(self, key: bytes, count: int = 20) -> Lookup:
        return await super().closest_peers(key, 20)


class AnyKey(MemoryRouting):
    async def closest_peers(self, key: bytes, count: int = 20) -> Lookup:
        return await super().closest_peers(key.ljust(32)[:32], count)

    async def provide(self, key: bytes) -> int:
        return await super().provide(key.ljust(32)[:32])


class Deaf(MemoryRouting):
    async def closest_peers(self, key: bytes, count: int = 20) -> Lookup:
        try:
            return await super().closest_peers(key, count)
        except asyncio.CancelledError:
            return Lookup((), 0, 0, exact=False)


class Silent(MemoryRouting):
    async def provide(self, key: bytes) -> int:
        return 0


class Lies(MemoryRouting):
    async def provide(self, key: bytes) -> int:
        return 7


class Always(MemoryRouting):
    async def find_providers(self, key: bytes, limit: int = 16) -> AsyncIterator[PeerRecord]:
        for record in self.world.records.values():
            yield record


class Twice(MemoryRouting):
    async def find_providers(self, key: bytes, limit: int = 16) -> AsyncIterator[PeerRecord]:
        async for record in super().find_providers(key, limit):
            yield record
            yield record


class Waits(MemoryRouting):
    async def find_providers(self, key: bytes, limit: int = 16) -> AsyncIterator[PeerRecord]:
        async for record in super().find_providers(key, limit):
            yield record
        await asyncio.sleep(1e6)


class Strict(MemoryRouting):
    async def unprovide(self, key: bytes) -> None:
        del self.world.providers[key][self.own]


class GoesOn(MemoryRouting):
    searches: list[object] = []  # noqa: RUF012

    async def find_providers(self, key: bytes, limit: int = 16) -> AsyncIterator[PeerRecord]:
        async def search() -> None:
            await asyncio.sleep(1e6)

        self.searches.append(asyncio.create_task(search(), name="search"))
        async for record in super().find_providers(key, limit):
            yield record


HONEST: Mapping[str, Callable[[], Any]] = {
    "peerkit.peer_routing/1": peer_routing(MemoryRouting),
    "peerkit.content_routing/1": content_routing(MemoryRouting),
}
SABOTEURS: Mapping[str, Saboteurs[Callable[[], Any]]] = {
    "peerkit.peer_routing/1": {
        "a_peer_that_is_there_is_found": [
            (peer_routing(Blind), "find_peer returned None for a peer that is there"),
            (peer_routing(Confuses), "find_peer returned another peer's record"),
            (peer_routing(Forges), "is not signed by its subject"),
        ],
        "who_is_not_there_is_none": [(peer_routing(Confuses), "for an id that nobody has")],
        "the_nearest_come_first": [
            (peer_routing(Reversed), "did not return the nearest peers, nearest first"),
            (peer_routing(Generous), r"closest_peers\(…, 1\) returned 5 peers"),
        ],
        "a_key_of_a_wrong_length_is_no_key": [(peer_routing(AnyKey), "a key of 0 bytes must raise UsageError")],
        "a_cancelled_lookup_leaves_nothing": [(peer_routing(Deaf), "closest_peers must not swallow CancelledError")],
    },
    "peerkit.content_routing/1": {
        "what_is_provided_is_found": [
            (content_routing(Silent), "provide says that 0 peers keep our record"),
            (content_routing(Lies), "a provider was not found"),
        ],
        "nobody_is_an_empty_end": [
            (content_routing(Always), "of what nobody provides"),
        ],
        "we_are_left_out": [(content_routing(Always), "find_providers returned ourselves")],
        "no_more_than_the_limit": [
            (content_routing(Always), r"find_providers\(…, 1\) returned 4 providers"),
            (content_routing(Twice), r"find_providers\(…, 1\) returned 2 providers"),
            (content_routing(Waits), "find_providers did not end within 120 s"),
        ],
        "what_is_withdrawn_is_no_error": [(content_routing(Strict), "unprovide raised KeyError")],
        "content_keys_have_one_length": [
            (content_routing(AnyKey), "provide of a key of 0 bytes must raise UsageError")
        ],
        "an_abandoned_search_leaves_nothing": [
            (content_routing(GoesOn), "find_providers, left after one, left behind: the task 'search'")
        ],
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
