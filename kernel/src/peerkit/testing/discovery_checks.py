"""What every discovery must do (`peerkit.discovery`), under virtual time.

    @pytest.mark.parametrize("check", DISCOVERY_CHECKS, ids=lambda check: check.__name__)
    async def test_it_does_what_every_discovery_must(net, tmp_path, check):
        ctx = FakePluginContext(PhoneBookSettings(file=tmp_path / "peers"), net.platform())
        await check(DiscoveryBed(PhoneBook(ctx), ctx.peer_id, appear, vanish, echo, poison))

A check returns, or raises `AssertionError` with the promise that was broken.  Each wants a bed of its own.

PYTEST_DONT_REWRITE: a broken promise is told by its sentence; to compare megabytes for it would take minutes.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from ..address import Address
from ..discovery import Discovery
from ..errors import PeerkitError
from ..identity import PeerId
from ..record import PeerRecord
from .hostile_bytes import hostile_bytes
from .plugin_watch import Check, call, cancelled_everywhere, complete

Proposal = PeerRecord | Address

TIMEOUT_S = 30.0  # the kernel cancels a call then
TRIES = 30  # with 10 s between two: a beacon or a look-up takes its time
SOME = 6  # peers that appear at once
ROUNDS = 12  # of churn
LONGEST_POISON = 65_536


@dataclass(frozen=True, slots=True)
class DiscoveryBed:
    """Attributes:
    discovery: of a plugin that runs, and knows nobody yet.
    own: our id.
    appear: lets that many more peers come to where the discovery looks (lines of its file, beacons, peers of its
        table); returns their addresses.
    vanish: takes them all away again.
    echo: puts ourselves there, as somebody may; `None` where nobody can.
    poison: puts a stranger's bytes there; `None` where only the owner writes.
    samples: valid bytes for `poison`, which spoils them.
    """

    discovery: Discovery
    own: PeerId
    appear: Callable[[int], Awaitable[Sequence[Address]]]
    vanish: Callable[[], Awaitable[None]]
    echo: Callable[[], Awaitable[None]] | None = None
    poison: Callable[[bytes], Awaitable[None]] | None = None
    samples: Sequence[bytes] = ()


DiscoveryCheck = Check[DiscoveryBed]


async def nobody_there_is_no_error(bed: DiscoveryBed) -> None:
    assert not await _ask(bed, 8), "peers were proposed where nobody is"


async def who_is_there_is_proposed(bed: DiscoveryBed) -> None:
    await _until_proposed(bed, await bed.appear(SOME))


async def no_more_than_asked_for(bed: DiscoveryBed) -> None:
    await bed.appear(SOME)
    for count in (1, 2, SOME - 1, 1, 10_000):
        await _ask(bed, count)
        await asyncio.sleep(10)


async def we_are_never_proposed(bed: DiscoveryBed) -> None:
    """Alone, and among others."""
    if bed.echo is None:
        return
    await bed.echo()
    await asyncio.sleep(10)
    await _ask(bed, 8)
    there = await bed.appear(SOME)
    await bed.echo()
    await _until_proposed(bed, there)


async def a_cancelled_call_leaves_nothing(bed: DiscoveryBed) -> None:
    there = await bed.appear(SOME)

    async def ask() -> Sequence[Proposal]:
        return await bed.discovery.find_peers(2)

    await cancelled_everywhere("find_peers", ask)
    await _until_proposed(bed, [*there, *await bed.appear(SOME)])


async def churn_is_survived(bed: DiscoveryBed) -> None:
    """Peers come and go while it is asked; who comes in the end is found."""
    for _ in range(ROUNDS):
        await bed.appear(SOME)
        await _ask(bed, 3)
        await bed.vanish()
        await _ask(bed, 3)
    await _until_proposed(bed, await bed.appear(SOME))


async def poison_is_survived(bed: DiscoveryBed) -> None:
    """Malformed bytes are passed over; the others are proposed none the less."""
    if bed.poison is None:
        return
    there = list(await bed.appear(1))
    for data in hostile_bytes(bed.samples, LONGEST_POISON):
        await bed.poison(data)
        await _ask(bed, 8)
    there += await bed.appear(SOME)
    await _until_proposed(bed, there)


async def _ask(bed: DiscoveryBed, count: int) -> Sequence[Proposal]:
    """One call as the pool makes it, and what is promised of every answer."""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            answer: object = await call("find_peers", bed.discovery.find_peers, count)
    except TimeoutError:
        raise AssertionError(f"find_peers took longer than {TIMEOUT_S:g} s, when the kernel cancels it") from None
    except PeerkitError as exc:
        raise AssertionError(f"find_peers raised {exc!r}; it must propose fewer peers or none instead") from exc
    assert isinstance(answer, Sequence), f"find_peers must return a sequence, not {type(answer).__name__}"
    assert len(answer) <= count, f"find_peers({count}) proposed {len(answer)} peers"
    seen: set[object] = set()
    for each in answer:
        assert isinstance(each, PeerRecord | Address), f"a proposal is a PeerRecord or an Address, not {each!r}"
        assert each.peer_id != bed.own, "find_peers proposed ourselves"
        assert isinstance(each, PeerRecord) or each.port, f"nobody can be dialled at {each}: the port is 0"
        name = each.peer_id or each
        assert name not in seen, f"find_peers proposed {name} twice in one answer"
        seen.add(name)
    return answer


async def _until_proposed(bed: DiscoveryBed, there: Sequence[Address]) -> None:
    wanted = {address.without_peer() for address in there}
    assert wanted, "`appear` must return the addresses of who came"
    for _ in range(TRIES):
        for each in await _ask(bed, 8):
            addresses = each.addresses if isinstance(each, PeerRecord) else (each,)
            if wanted & {address.without_peer() for address in addresses}:
                return
        await asyncio.sleep(10)
    raise AssertionError(f"in {TRIES} calls none of the {len(wanted)} peers that are there was proposed")


DISCOVERY_CHECKS: tuple[DiscoveryCheck, ...] = complete(
    nobody_there_is_no_error,
    who_is_there_is_proposed,
    no_more_than_asked_for,
    we_are_never_proposed,
    a_cancelled_call_leaves_nothing,
    churn_is_survived,
    poison_is_survived,
)
