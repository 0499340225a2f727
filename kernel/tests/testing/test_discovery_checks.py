"""The checks of discoveries: an honest one passes, and each finds the discovery that breaks its promise."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from kernel.tests.testing.sabotage import assert_all_sabotaged, assert_caught, cases
from peerkit.address import Address
from peerkit.errors import NotFound, UsageError
from peerkit.identity import Identity
from peerkit.testing import run
from peerkit.testing.discovery_checks import DISCOVERY_CHECKS, DiscoveryBed, DiscoveryCheck

OWN = Identity(bytes(32)).peer_id


class Listed:
    """Reads lines of addresses, a stranger's too."""

    name = "listed"

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    async def find_peers(self, count: int) -> Sequence[Any]:
        await asyncio.sleep(0.1)
        return [each for each in self.known() if each.peer_id != OWN][:count]

    def known(self) -> list[Address]:
        found = {}
        for line in self.lines:
            try:
                address = Address.parse(line.decode())
            except (UnicodeError, UsageError):
                continue
            if address.port:
                found[address.peer_id or address] = address
        return list(found.values())


def bed_of(discovery: Listed) -> DiscoveryBed:
    count = 0

    async def appear(n: int) -> Sequence[Address]:
        nonlocal count
        new = [Address("tcp", f"192.0.2.{count + i}", 4433) for i in range(n)]
        count += n
        discovery.lines[:0] = [str(address).encode() for address in new]
        return new

    async def vanish() -> None:
        discovery.lines.clear()

    async def poison(data: bytes) -> None:
        discovery.lines.append(data)

    async def echo() -> None:
        await poison(str(Address("tcp", "192.0.2.250", 1, OWN)).encode())

    return DiscoveryBed(discovery, OWN, appear, vanish, echo, poison, [b"tcp://192.0.2.77:4433"])


@pytest.mark.parametrize("check", DISCOVERY_CHECKS, ids=lambda check: check.__name__)
def test_an_honest_one_passes(check: DiscoveryCheck) -> None:
    async def main() -> None:
        await check(bed_of(Listed()))

    run(main())


class Raises(Listed):
    async def find_peers(self, count: int) -> Sequence[Any]:
        if not self.known():
            raise NotFound("nobody is here")
        return self.known()[:count]


class Hangs(Listed):
    async def find_peers(self, count: int) -> Sequence[Any]:
        await asyncio.sleep(1e6)
        return self.known()[:count]


class ReturnsNone(Listed):
    async def find_peers(self, count: int) -> Sequence[Any]:
        return (await super().find_peers(count)) or None  # type: ignore[return-value]


class Blind(Listed):
    async def find_peers(self, count: int) -> Sequence[Any]:
        return []


class Strings(Listed):
    async def find_peers(self, count: int) -> Sequence[Any]:
        return [str(each) for each in self.known()][:count]


class Greedy(Listed):
    async def find_peers(self, count: int) -> Sequence[Any]:
        return self.known()[: max(count, 2)]


class Repeats(Listed):
    async def find_peers(self, count: int) -> Sequence[Any]:
        return [each for each in self.known() for _ in range(2)][:count]


class Vain(Listed):
    async def find_peers(self, count: int) -> Sequence[Any]:
        return self.known()[:count]


class Swallows(Listed):
    async def find_peers(self, count: int) -> Sequence[Any]:
        try:
            return await super().find_peers(count)
        except asyncio.CancelledError:
            return []


class Litters(Listed):
    def __init__(self) -> None:
        super().__init__()
        self.tasks: list[object] = []

    async def find_peers(self, count: int) -> Sequence[Any]:
        self.tasks.append(asyncio.create_task(asyncio.sleep(9_999), name="look around"))
        self.tasks.append(asyncio.create_task(self.look()))
        return await super().find_peers(count)

    async def look(self) -> None:
        await asyncio.sleep(9_999)


class FallsIll(Listed):
    """After a cancelled call it never finds anybody again."""

    busy = False

    async def find_peers(self, count: int) -> Sequence[Any]:
        if self.busy:
            return []
        self.busy = True
        found = await super().find_peers(count)
        self.busy = False
        return found


class Remembers(Listed):
    """The first sixty peers, for ever."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Address] = []

    def known(self) -> list[Address]:
        self.kept = [*self.kept, *(each for each in super().known() if each not in self.kept)][:60]
        return self.kept


class Trusting(Listed):
    def known(self) -> list[Address]:
        return [Address.parse(line.decode()) for line in self.lines]


class PortZero(Listed):
    def known(self) -> list[Address]:
        return [Address("tcp", "192.0.2.1", 0)] if any(b"\xff" in line for line in self.lines) else super().known()


def bed(discovery: type[Listed]) -> Callable[[], DiscoveryBed]:
    return lambda: bed_of(discovery())


SABOTEURS = {
    "nobody_there_is_no_error": [
        (bed(Raises), r"find_peers raised NotFound.*; it must propose fewer peers or none"),
        (bed(Hangs), "find_peers took longer than 30 s"),
        (bed(ReturnsNone), "must return a sequence, not NoneType"),
    ],
    "who_is_there_is_proposed": [
        (bed(Blind), "none of the 6 peers that are there was proposed"),
        (bed(Strings), "a proposal is a PeerRecord or an Address, not 'tcp://"),
    ],
    "no_more_than_asked_for": [
        (bed(Greedy), r"find_peers\(1\) proposed 2 peers"),
        (bed(Repeats), r"proposed tcp://.* twice in one answer"),
    ],
    "we_are_never_proposed": [(bed(Vain), "find_peers proposed ourselves")],
    "a_cancelled_call_leaves_nothing": [
        (bed(Swallows), "find_peers must not swallow CancelledError"),
        (bed(Litters), "find_peers, cancelled, left behind: the task"),
        (bed(FallsIll), "none of the 12 peers"),
    ],
    "churn_is_survived": [(bed(Remembers), "none of the 6 peers")],
    "poison_is_survived": [
        (bed(Trusting), r"find_peers raised U\w+Error.*may raise a PeerkitError only|it must propose fewer"),
        (bed(PortZero), "nobody can be dialled at tcp://192.0.2.1:0"),
    ],
}


def test_each_check_has_a_saboteur() -> None:
    assert_all_sabotaged(DISCOVERY_CHECKS, SABOTEURS)


@pytest.mark.parametrize(("name", "make", "sentence"), cases(SABOTEURS))
def test_the_broken_one_is_found(name: str, make: Callable[[], DiscoveryBed], sentence: str) -> None:
    assert_caught(DISCOVERY_CHECKS, name, make, sentence)
