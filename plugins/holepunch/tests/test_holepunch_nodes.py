"""Whole nodes behind simulated NATs: sessions over a real relay become direct, and nobody is made to send elsewhere."""

import asyncio
from collections.abc import Callable, Coroutine

import pytest
from peerkit_holepunch import codec
from peerkit_holepunch.codec import AnswerFields, Introduce, Meet
from peerkit_holepunch.events import Punched, PunchFailed
from peerkit_holepunch.io.introducing import PROTOCOL
from peerkit_holepunch.offer import SESSION_LABEL, Attempt, make_offer
from peerkit_holepunch.probe import ANSWER, PROBE
from peerkit_holepunch.strategy import Nat, Strategy

from peerkit import Node
from peerkit.address import Address
from peerkit.event import Event
from peerkit.record import Signed
from peerkit.session import RemoteFailure, Session
from peerkit.testing import run
from peerkit.testing.sim_datagram import SimDatagramEndpoint
from peerkit.transport import Buffer, PathKind
from plugins.holepunch.tests.nodes import ECHO, Homes, homes, told

Sent = list[tuple[str, Address, int]]


@pytest.fixture
def probes(monkeypatch: pytest.MonkeyPatch) -> Sent:
    """(host, remote, bytes) of every probe and answer that leaves a simulated socket."""
    sent: Sent = []
    send_batch = SimDatagramEndpoint.send_batch

    def spy(self: SimDatagramEndpoint, local: Address | None, remote: Address, size: int, buffers: list[Buffer]) -> int:
        if buffers[0][0] in (PROBE, ANSWER):
            sent.append((self._host.ip, remote, sum(map(len, buffers))))
        return send_batch(self, local, remote, size, buffers)

    monkeypatch.setattr(SimDatagramEndpoint, "send_batch", spy)
    return sent


def between(a_kind: str, b_kind: str, test: Callable[[Homes], Coroutine[None, None, None]], **options: object) -> None:
    async def main() -> None:
        async with homes(a_kind, b_kind, **options) as found:  # type: ignore[arg-type]
            await test(found)

    run(main(), seed=3)


async def punched(node: Node, within_s: float = 30.0) -> Punched | PunchFailed:
    async with asyncio.timeout(within_s):
        async for event in node.events.subscribe(Event, replay=True):
            if isinstance(event, Punched | PunchFailed):
                return event
    raise AssertionError("the node stopped")


def kind(session: Session) -> PathKind:
    return session.paths[0].kind


@pytest.mark.parametrize("kinds", [("port_restricted", "port_restricted"), ("double", "address_restricted")])
def test_two_fixed_mappings_become_direct_and_the_application_notices_nothing(
    kinds: tuple[str, str], probes: Sent
) -> None:
    async def test(at: Homes) -> None:
        session = await at.meet()
        assert kind(session) is PathKind.RELAYED
        wrong = 0
        while not told(at.a):
            wrong += await session.request(ECHO.id, b"while it moves") != b"while it moves"
            await asyncio.sleep(0.05)
        event = await punched(at.a)
        assert isinstance(event, Punched) and event.attempts == 1 and event.took_s < 1.5 and not wrong
        assert session.is_open and at.a.peers()[-1].session is session and kind(session) is PathKind.DIRECT
        (at_b,) = (p for p in at.b.peers() if p.id == at.a.peer_id)
        await asyncio.sleep(1)
        assert kind(at_b.session) is PathKind.DIRECT
        assert await at_b.request(ECHO.id, b"back") == b"back"
        outside = {path.remote.host for path in (session.paths[0], at_b.session.paths[0])}
        assert {remote.host for _, remote, _ in probes} == outside, "only where the coordinator saw them"

    between(*kinds, test)


@pytest.mark.parametrize("kinds", [("port_restricted", "symmetric"), ("symmetric", "port_restricted")])
def test_a_birthday_joins_port_restricted_and_symmetric(kinds: tuple[str, str], probes: Sent) -> None:
    async def test(at: Homes) -> None:
        session = await at.meet()
        event = await punched(at.a)
        assert isinstance(event, Punched) and event.strategy == "birthday probing"
        assert kind(session) is PathKind.DIRECT
        assert await session.request(ECHO.id, b"x") == b"x"
        await asyncio.sleep(20)
        symmetric = at.net.hosts[-2 + kinds.index("symmetric")]
        assert len(symmetric.endpoints) == 2, "the shared socket and the winner are left of 257"
        assert await session.request(ECHO.id, b"y") == b"y"
        winner = next(e for e in symmetric.endpoints.values() if e.local.port != 4433)
        await session.close()
        await asyncio.sleep(20)
        assert not winner.is_open, "it lives as long as its path"

    between(*kinds, test)


def test_a_transient_session_that_lasts_moves_too() -> None:
    """As a transfer's does, which has no place among the members."""

    async def test(at: Homes) -> None:
        await asyncio.sleep(10)
        async with at.a.pool.transient(at.b.record) as session:
            assert kind(session) is PathKind.RELAYED and not [p for p in at.a.peers() if p.id == at.b.peer_id]
            assert isinstance(await punched(at.a), Punched)
            assert kind(session) is not PathKind.RELAYED and await session.request(ECHO.id, b"x") == b"x"

    between("port_restricted", "port_restricted", test)


def test_two_symmetric_routers_stay_on_the_relay_and_the_doctor_says_why(probes: Sent) -> None:
    async def test(at: Homes) -> None:
        session = await at.meet()
        event = await punched(at.a)
        assert isinstance(event, PunchFailed) and 50 < event.retry_in_s < 70
        assert kind(session) is PathKind.RELAYED and await session.request(ECHO.id, b"x") == b"x"
        await asyncio.sleep(1)  # who opened began later
        before = len(probes)
        await asyncio.sleep(40)
        assert len(probes) == before, "nothing more until the back-off is over"
        findings = [finding for _, finding in await at.a.host.diagnose() if at.b.peer_id.short in finding.topic]
        (finding,) = findings
        assert finding.verdict == "warning" and "both routers map symmetrically" in finding.text

    between("symmetric", "symmetric", test)


def test_another_session_with_the_same_peer_is_tried_at_once(probes: Sent) -> None:
    async def test(at: Homes) -> None:
        session = await at.meet()
        assert isinstance(await punched(at.a), PunchFailed)
        await session.close()
        await asyncio.sleep(10)
        before = len(probes)
        await at.meet()
        await asyncio.sleep(10)
        assert len(probes) > before and len(told(at.a)) == 2

    between("symmetric", "symmetric", test)


def test_a_node_that_listens_nowhere_is_punched_too() -> None:
    async def test(at: Homes) -> None:
        session = await at.meet()
        event = await punched(at.a)
        assert isinstance(event, Punched) and kind(session) is PathKind.DIRECT

    between("port_restricted", "port_restricted", test, node={"listen": []})


class Liar:
    """A coordinator that tells B whatever it likes, spoken for by hand; and A's signature."""

    def __init__(self, at: Homes) -> None:
        self.at = at
        self.with_b = next(p for p in at.public[0].peers() if p.id == at.b.peer_id).session

    def offer(self, session: Session, number: int = 1_000, signer: int = 0, name: bytes = b"") -> bytes:
        """What A would sign; the attack does not use up A's own numbers, which are low."""
        ctx = self.at.contexts[signer]
        session_name = name or session.export(SESSION_LABEL, 16)
        attempt = Attempt(self.at.b.peer_id, ctx.rng.randbytes(16), session_name, number, Strategy.PLAIN)
        return make_offer(ctx.sign, self.at.a.peer_id, attempt, Nat(), ctx.clock.wall())

    async def meet(self, offer: bytes, *observed: Address) -> AnswerFields:
        meet = codec.encode_request(Meet(offer, observed, (), 0.0))
        answer = codec.decode_met(await self.with_b.request(PROTOCOL, meet)).answer
        return codec.decode_answer(Signed.from_bytes(answer, 1_024).body)


VICTIM = Address("udp", "8.8.8.8", 53)


async def relayed(at: Homes) -> Session:
    """A session that stays on its relay."""
    session = await at.meet()
    assert isinstance(await punched(at.a), PunchFailed)
    await asyncio.sleep(30)
    return session


def test_a_coordinator_that_lies_costs_a_bounded_number_of_probes(probes: Sent) -> None:
    async def test(at: Homes) -> None:
        session = await relayed(at)
        liar = Liar(at)
        probes.clear()
        taken, refused = 0, 0
        for number in range(1_000, 1_020):
            try:
                taken += not (await liar.meet(liar.offer(session, number), VICTIM)).refusal
            except RemoteFailure:
                refused += 1
            await asyncio.sleep(4)
        assert taken and refused
        at_victim = [size for _, remote, size in probes if remote.host == VICTIM.host]
        assert 0 < sum(at_victim) <= taken * 40 * 29, "each offer that its maker signed is worth 3 s of probes"
        assert {remote for _, remote, _ in probes} <= {VICTIM}

    between("symmetric", "symmetric", test)


SPECIAL = ("127.0.0.1", "192.168.7.7", "169.254.169.254", "224.0.0.251", "::ffff:8.8.8.8", "64:ff9b::1")


def test_nobody_is_aimed_at_a_special_address(probes: Sent) -> None:
    async def test(at: Homes) -> None:
        session = await relayed(at)
        liar = Liar(at)
        probes.clear()
        for number, host in enumerate(SPECIAL):
            answer = await liar.meet(liar.offer(session, 1_000 + number), Address("udp", host, 4433))
            assert "no address that may be probed" in answer.refusal, host
        await asyncio.sleep(4)
        assert not probes

    between("symmetric", "symmetric", test)


def test_offers_that_are_forged_used_twice_or_of_another_session_are_refused(probes: Sent) -> None:
    async def test(at: Homes) -> None:
        session = await relayed(at)
        liar = Liar(at)
        probes.clear()
        for offer, words in (
            (liar.offer(session, signer=1), "not signed by its maker"),
            (liar.offer(session, name=b"?" * 16), "no such session"),
            (liar.offer(session, number=1), "used before"),
        ):
            with pytest.raises(RemoteFailure, match=words):
                await liar.meet(offer, VICTIM)
        good = liar.offer(session)
        await liar.meet(good, Address("udp", "10.0.0.1", 1))
        with pytest.raises(RemoteFailure, match="used before"):
            await liar.meet(good, VICTIM)
        await session.close()
        await asyncio.sleep(1)
        with pytest.raises(RemoteFailure, match="no such session"):
            await liar.meet(liar.offer(session, 1_001), VICTIM)
        assert not probes

    between("symmetric", "symmetric", test)


def test_a_coordinator_introduces_only_who_asks_for_himself_and_whom_it_knows(probes: Sent) -> None:
    async def test(at: Homes) -> None:
        session = await relayed(at)
        liar = Liar(at)
        probes.clear()
        to_coordinator = next(p for p in at.b.peers() if p.id == at.public[1].peer_id).session
        request = codec.encode_request(Introduce(at.b.peer_id, liar.offer(session)))
        with pytest.raises(RemoteFailure, match="not the asker's"):
            await to_coordinator.request(PROTOCOL, request)
        from_a = next(p for p in at.a.peers() if p.id == at.public[1].peer_id).session
        with pytest.raises(RemoteFailure, match="for another target"):
            await from_a.request(PROTOCOL, codec.encode_request(Introduce(at.public[2].peer_id, liar.offer(session))))
        await next(p for p in at.b.peers() if p.id == at.public[1].peer_id).close()
        await asyncio.sleep(1)
        with pytest.raises(RemoteFailure, match="no session with the target"):
            await from_a.request(PROTOCOL, request)
        assert not probes

    between("symmetric", "symmetric", test)
