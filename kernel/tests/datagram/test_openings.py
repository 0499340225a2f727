"""Openings of sessions, driven by hand between two nodes: what a datagram transport may count on."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from kernel.tests.datagram.nodes import ECHO, open_node
from peerkit import Node, ProtocolSpec
from peerkit._pool.slots import SlotClass
from peerkit._runtime.dial_attempt import Dial, Overtaken, RuntimeAttempt
from peerkit._runtime.session_opening import RuntimeOpening, SessionDoor
from peerkit.address import Address
from peerkit.errors import ConnectFailed, RemoteProtocolError, TrustDenied
from peerkit.session import Code, Purpose
from peerkit.testing import SimNetwork, run
from peerkit.transport import DatagramEndpoint, FrameSource, Path
from peerkit.trust import Action, Question, Verdict

BINDING = b"test 1"


class FakeCarrier:
    """A carrier that the test carries by hand."""

    key_updates = 0
    max_payload_bytes = 1_200

    def __init__(self, local: Address, remote: Address) -> None:
        self.local, self.remote = local, remote
        self.closed: bool | None = None

    @property
    def paths(self) -> Sequence[Path]:
        return (Path(self.local, self.remote),)

    def wake(self) -> None:
        pass

    def close(self, flush: bool) -> None:
        self.closed = flush

    def offer_path(self, endpoint: DatagramEndpoint, local: Address | None, remote: Address) -> bool:
        return False


@dataclass
class Pair:
    """A dialling and an accepting node, and what was ended by the kernel."""

    a: Node
    b: Node
    door: SessionDoor
    dial: Dial = field(default_factory=lambda: Dial(Purpose.MEMBER))
    ended: list[str] = field(default_factory=list)

    @property
    def carriers(self) -> tuple[FakeCarrier, FakeCarrier]:
        there, here = self.b.addresses[0].without_peer(), Address("saw", "10.0.0.1", 5)
        return FakeCarrier(here, there), FakeCarrier(there, here)

    def attempt(self, key: bytes | None = None) -> RuntimeAttempt:
        key = self.b.record.static_key if key is None else key
        return RuntimeAttempt(self.a.pool.context, self.dial, self.b.addresses[0], self.b.peer_id, key)

    def accept(self, binding: bytes = BINDING) -> RuntimeOpening:
        opening = self.door.accept(Address("saw", "10.0.0.1", 5), binding, lambda: self.ended.append("acceptor"))
        assert opening is not None
        return opening

    def open(self, attempt: RuntimeAttempt, name: str = "dialer", with_key: bool = True) -> RuntimeOpening:
        return attempt.open(BINDING, lambda: self.ended.append(name), with_key)

    @property
    def handshaking(self) -> int:
        return self.b.pool.slots.used(SlotClass.HANDSHAKING)


@asynccontextmanager
async def pair(protocols_of_b: Sequence[ProtocolSpec] = ()) -> AsyncIterator[Pair]:
    net = SimNetwork()
    async with open_node(net) as a, open_node(net, *protocols_of_b) as b:
        door = SessionDoor(b.pool.context)
        door.is_open = True
        yield Pair(a, b, door)


def exchange(dialer: RuntimeOpening, acceptor: RuntimeOpening) -> None:
    for _ in range(3):
        for message in dialer.messages_to_send():
            acceptor.receive_message(message)
        for message in acceptor.messages_to_send():
            dialer.receive_message(message)


def converse(one: FrameSource, other: FrameSource, now: float) -> None:
    for _ in range(4):
        for source, target in ((one, other), (other, one)):
            payloads = source.unreliable_payloads(1_200, 9) + source.reliable_payloads(1_200, 9)
            if payloads:
                target.receive_payloads(payloads, now)


def between(
    *protocols_of_b: ProtocolSpec,
) -> Callable[[Callable[[Pair], Coroutine[None, None, None]]], Callable[[], None]]:
    def make(test: Callable[[Pair], Coroutine[None, None, None]]) -> Callable[[], None]:
        async def main() -> None:
            async with pair(protocols_of_b) as two:
                await test(two)

        def run_it() -> None:
            run(main(), seed=1)

        run_it.__name__ = test.__name__
        return run_it

    return make


@between()
async def test_both_sides_get_matching_keys_and_a_session(two: Pair) -> None:
    attempt = two.attempt()
    dialer, acceptor = two.open(attempt), two.accept()
    exchange(dialer, acceptor)
    assert dialer.keys is not None and acceptor.keys is not None
    assert acceptor.keys.receive.open(0, b"h", dialer.keys.send.seal(0, b"h", b"text")) == b"text"
    assert dialer.keys.receive.open(7, b"h", acceptor.keys.send.seal(7, b"h", b"back")) == b"back"
    assert dialer.keys.export(b"mask") == acceptor.keys.export(b"mask") != dialer.keys.export(b"other")
    ours, theirs = two.carriers
    at_a, at_b = dialer.confirm(ours), acceptor.confirm(theirs)
    converse(at_a, at_b, 0.0)
    session = await attempt.session()
    assert session.is_open and session.peer_id == two.b.peer_id and [p.id for p in two.b.peers()] == [two.a.peer_id]
    request = asyncio.ensure_future(session.request("echo", b"hello"))
    await asyncio.sleep(0)
    converse(at_a, at_b, 1.0)
    assert await request == b"hello"
    await session.close(Code.NONE, "bye")
    assert ours.closed is True
    converse(at_a, at_b, 2.0)
    assert not two.b.peers() and theirs.closed is False


@between()
async def test_nobody_hears_of_a_session_before_the_dialer_has_proved_its_keys(two: Pair) -> None:
    dialer, acceptor = two.open(two.attempt()), two.accept()
    exchange(dialer, acceptor)
    assert acceptor.peer_id == two.a.peer_id and two.handshaking == 1
    await asyncio.sleep(1)
    assert not two.b.peers() and not two.b.pool.sessions()
    acceptor.confirm(two.carriers[1])
    assert [p.id for p in two.b.peers()] == [two.a.peer_id] and two.handshaking == 0


@between()
async def test_a_forged_message_changes_nothing(two: Pair) -> None:
    dialer, acceptor = two.open(two.attempt()), two.accept()
    (first,) = dialer.messages_to_send()
    for forged in (b"", b"\1", bytes(96), first[:-1], first[:-1] + b"\0", bytes(9_000)):
        with pytest.raises(RemoteProtocolError):
            acceptor.receive_message(forged)
        assert not acceptor.is_over and acceptor.keys is None and acceptor.peer_id is None
    acceptor.receive_message(first)
    (second,) = acceptor.messages_to_send()
    for at in (0, 40, len(second) - 1):
        with pytest.raises(RemoteProtocolError):
            dialer.receive_message(second[:at] + bytes((second[at] ^ 1,)) + second[at + 1 :])
        assert not dialer.is_over and dialer.keys is None
    dialer.receive_message(second)
    assert dialer.keys is not None and not two.ended


@between()
async def test_what_both_bind_must_be_the_same(two: Pair) -> None:
    dialer, acceptor = two.open(two.attempt()), two.accept(b"test 2")
    (first,) = dialer.messages_to_send()
    with pytest.raises(RemoteProtocolError):
        acceptor.receive_message(first)


@between()
async def test_a_denied_peer_gets_silence(two: Pair) -> None:
    class Deny:
        name = "deny"

        def decide(self, question: Question) -> Verdict | None:
            return Verdict(False, "no") if question.action is Action.ACCEPT_PEER else None

    two.b.gate.bind([("test", Deny())])
    dialer, acceptor = two.open(two.attempt()), two.accept()
    (first,) = dialer.messages_to_send()
    with pytest.raises(TrustDenied):
        acceptor.receive_message(first)
    assert acceptor.is_over and two.handshaking == 0


@between()
async def test_trust_is_asked_again_at_the_confirmation(two: Pair) -> None:
    class Deny:
        name = "deny"
        denies = False

        def decide(self, question: Question) -> Verdict | None:
            return Verdict(False, "no") if self.denies and question.action is Action.ACCEPT_PEER else None

    policy = Deny()
    two.b.gate.bind([("test", policy)])
    dialer, acceptor = two.open(two.attempt()), two.accept()
    exchange(dialer, acceptor)
    policy.denies = True
    with pytest.raises(TrustDenied):
        acceptor.confirm(two.carriers[1])
    assert acceptor.is_over and two.handshaking == 0 and not two.b.pool.sessions()


@between(ECHO, ProtocolSpec("must", "1.0.0", mandatory=True, on_request=lambda request: b""))
async def test_terms_that_do_not_meet_end_the_opening_and_both_learn_why(two: Pair) -> None:
    attempt = two.attempt()
    dialer, acceptor = two.open(attempt), two.accept()
    acceptor.receive_message(dialer.messages_to_send()[0])
    (second,) = acceptor.messages_to_send()
    assert acceptor.is_over and two.handshaking == 0
    with pytest.raises(RemoteProtocolError, match="must"):
        dialer.receive_message(second)
    assert dialer.is_over
    with pytest.raises(ConnectFailed, match="mandatory"):
        await attempt.session()


@between()
async def test_the_first_handshake_that_is_confirmed_ends_its_sibling(two: Pair) -> None:
    attempt = two.attempt()
    with_key, without = two.open(attempt, "with key"), two.open(attempt, "without", with_key=False)
    slow = two.accept()
    exchange(without, slow)
    exchange(with_key, two.accept())
    without.confirm(two.carriers[0])
    assert two.ended == ["with key"] and with_key.is_over
    with pytest.raises(ConnectFailed):
        attempt.take_dial(with_key)


@between()
async def test_an_attempt_that_comes_second_makes_no_session(two: Pair) -> None:
    first, second = two.attempt(), two.attempt()
    one, other = two.open(first), two.open(second)
    exchange(one, two.accept())
    exchange(other, two.accept())
    one.confirm(two.carriers[0])
    with pytest.raises(Overtaken):
        other.confirm(two.carriers[0])
    with pytest.raises(Overtaken):
        await second.session()


@between()
async def test_a_dial_goes_on_when_the_session_that_took_it_ends_without_a_word(two: Pair) -> None:
    first, second = two.attempt(), two.attempt()
    one, other = two.open(first), two.open(second)
    exchange(one, two.accept())
    acceptor = two.accept()
    exchange(other, acceptor)
    one.confirm(two.carriers[0]).carrier_lost("gone", True)
    with pytest.raises(ConnectFailed, match="gone"):
        await first.session()
    at_a, at_b = other.confirm(two.carriers[0]), acceptor.confirm(two.carriers[1])
    converse(at_a, at_b, 0.0)
    assert (await second.session()).is_open


@between()
async def test_the_deadline_ends_openings_and_frees_their_places(two: Pair) -> None:
    attempt = two.attempt()
    two.open(attempt)
    acceptor = two.accept()
    assert two.handshaking == 1
    await asyncio.sleep(11)
    assert sorted(two.ended) == ["acceptor", "dialer"] and acceptor.is_over and two.handshaking == 0
    with pytest.raises(ConnectFailed, match="longer than 10 s"):
        await attempt.session()


@between()
async def test_an_acceptor_that_never_answers_ends_a_confirmed_dial_too(two: Pair) -> None:
    attempt = two.attempt()
    dialer = two.open(attempt)
    exchange(dialer, two.accept())
    carrier = two.carriers[0]
    dialer.confirm(carrier)
    with pytest.raises(ConnectFailed, match="longer than 10 s"):
        await attempt.session()
    assert carrier.closed is not None


@between()
async def test_a_cancelled_dial_ends_the_session_that_nobody_got(two: Pair) -> None:
    attempt = two.attempt()
    dialer, acceptor = two.open(attempt), two.accept()
    exchange(dialer, acceptor)
    ours, theirs = two.carriers
    at_a, at_b = dialer.confirm(ours), acceptor.confirm(theirs)
    waiting = asyncio.ensure_future(attempt.session())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert ours.closed is True
    converse(at_a, at_b, 0.0)
    assert not two.b.peers()


@between()
async def test_a_failed_attempt_ends_its_openings_and_opens_no_more(two: Pair) -> None:
    attempt = two.attempt()
    two.open(attempt)
    attempt.fail("they speak version 9")
    assert attempt.is_over and two.ended == ["dialer"]
    with pytest.raises(ConnectFailed):
        two.open(attempt)
    with pytest.raises(ConnectFailed, match="version 9"):
        await attempt.session()


@between()
async def test_strangers_are_refused_beyond_the_places_and_by_a_shut_door(two: Pair) -> None:
    limit = two.b.pool.slots.free(SlotClass.HANDSHAKING)
    assert not two.door.is_busy
    openings = [two.accept() for _ in range(limit)]
    assert two.door.is_busy
    assert two.door.accept(Address("saw", "10.0.0.1", 6), BINDING, lambda: None) is None
    openings[0].abandon("no more")
    openings[0].abandon("no more")
    assert two.handshaking == limit - 1
    two.door.is_open = False
    assert two.door.accept(Address("saw", "10.0.0.1", 6), BINDING, lambda: None) is None
