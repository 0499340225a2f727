"""Whole nodes behind simulated NATs that have TCP alone: a simultaneous open makes them a direct session."""

import asyncio
from collections.abc import Callable, Coroutine

import pytest
from peerkit_holepunch.events import Punched, PunchFailed
from peerkit_holepunch.io import introducing

from peerkit import Address
from peerkit.testing import run
from peerkit.testing.sim_host import SimHost
from peerkit.transport import PathKind
from plugins.holepunch.tests.nodes import ECHO, REPEAT, Homes, homes, read_all
from plugins.holepunch.tests.test_holepunch_nodes import kind, punched

TCP = {"listen": ["tcp://0.0.0.0:4433"]}


def between(a_kind: str, b_kind: str, test: Callable[[Homes], Coroutine[None, None, None]]) -> None:
    async def main() -> None:
        async with homes(a_kind, b_kind, node=TCP, public_node=TCP) as found:
            await test(found)

    run(main(), seed=3)


@pytest.mark.parametrize(
    "kinds",
    [("port_restricted", "port_restricted"), ("double", "full_cone"), ("udp_blocked", "port_restricted_accepting")],
)
def test_two_fixed_mappings_get_a_direct_session_in_place_of_the_relayed_one(kinds: tuple[str, str]) -> None:
    async def test(at: Homes) -> None:
        relayed = await at.meet()
        assert kind(relayed) is PathKind.RELAYED
        event = await punched(at.a)
        assert isinstance(event, Punched) and event.strategy == "a TCP simultaneous open" and event.took_s < 2
        (peer,) = (p for p in at.a.peers() if p.id == at.b.peer_id)
        (at_b,) = (p for p in at.b.peers() if p.id == at.a.peer_id)
        for side, other in ((peer, at.b), (at_b, at.a)):
            path = side.session.paths[0]
            assert (path.kind, path.remote.scheme) == (PathKind.DIRECT, "tcp")
            assert await side.request(ECHO.id, b"over it") == b"over it"
            assert side.id == other.peer_id
        assert event.address == str(peer.session.remote.without_peer())
        await asyncio.sleep(30)
        assert not relayed.is_open and peer.session.is_open, "the older one ends when it is idle"

    between(*kinds, test)


def test_what_was_begun_on_the_relayed_session_goes_on_and_what_is_new_takes_the_direct_one() -> None:
    async def test(at: Homes) -> None:
        relayed = await at.meet()
        old = await relayed.open_stream(REPEAT.id)
        await old.write(b"before")
        assert isinstance(await punched(at.a), Punched)
        (peer,) = (p for p in at.a.peers() if p.id == at.b.peer_id)
        new = await peer.open_stream(REPEAT.id)
        await asyncio.sleep(60)
        assert peer.session is not relayed and relayed.is_open, "its stream is"
        for stream, text in ((old, b"before, after"), (new, b"after")):
            await stream.write(b", after" if stream is old else b"after")
            await stream.finish()
            assert await read_all(stream) == text
        await asyncio.sleep(30)
        assert not relayed.is_open and peer.session.is_open

    between("port_restricted", "port_restricted", test)


def test_a_transient_session_is_followed_by_a_direct_one() -> None:
    async def test(at: Homes) -> None:
        await asyncio.sleep(10)
        async with at.a.pool.transient(at.b.record) as first:
            assert kind(first) is PathKind.RELAYED
            assert isinstance(await punched(at.a), Punched)
            async with at.a.pool.transient(at.b.peer_id) as second:
                assert kind(second) is PathKind.DIRECT and await second.request(ECHO.id, b"x") == b"x"
            assert await first.request(ECHO.id, b"still") == b"still"

    between("port_restricted", "port_restricted", test)


def test_a_symmetric_side_stays_on_the_relay_and_the_doctor_says_why() -> None:
    async def test(at: Homes) -> None:
        session = await at.meet()
        event = await punched(at.a)
        assert isinstance(event, PunchFailed) and kind(session) is PathKind.RELAYED
        (finding,) = [f for _, f in await at.a.host.diagnose() if at.b.peer_id.short in f.topic]
        tries = finding.details["tries"]
        assert isinstance(tries, list) and "no answer came within 4 s" in str(tries[-1])

    between("port_restricted", "symmetric", test)


def test_a_coordinator_that_cannot_be_believed_makes_nobody_connect_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it says that it sees is taken for TCP only from one that was itself reached over TCP, and never for special
    addresses."""
    aimed: list[str] = []
    connect = SimHost.connect_stream

    async def spy(self: SimHost, address: Address, *args: object, **options: object) -> object:
        if options.get("local") is not None:
            aimed.append(str(address))
        return await connect(self, address, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(SimHost, "connect_stream", spy)
    lies = ["udp://66.6.6.6:80", "tcp://10.0.0.1:80", "tcp://224.0.0.1:80", "tcp://[::ffff:66.6.6.6]:80"]
    monkeypatch.setattr(introducing, "seen_at", lambda session, scheme: tuple(Address.parse(lie) for lie in lies))

    async def test(at: Homes) -> None:
        await at.meet()
        assert isinstance(await punched(at.a), PunchFailed) and not aimed

    between("port_restricted", "port_restricted", test)
