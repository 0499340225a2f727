"""Two nodes whose handshakes a check drives by hand: message by message, changed, replayed or dropped on the way.

PYTEST_DONT_REWRITE: a broken promise is told by its sentence; to compare megabytes for it would take minutes.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ..errors import RemoteProtocolError
from ..identity import Identity, PeerId
from ..security import HandshakeParameters, HandshakeResult, Security, SecurityHandshake
from .promises import refuses
from .sim_platform import WALL_AT_START

MAX_MESSAGE_BYTES = 8_192
MAX_MESSAGES = 4  # of one side
PROLOGUE = b"peerkit\0\0\0\1, a network and a pipe"

Sides = tuple[SecurityHandshake, SecurityHandshake]
"""The initiator's and the responder's."""

Turn = tuple[bytes, SecurityHandshake, SecurityHandshake]
"""A message, its sender and who should get it."""

Change = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class SecurityBed:
    """Attributes:
    make: the security object of the node with this identity; every call is a start of that node.
    hides_peers: whether it promises that no message shows a peer id, a static key or a Hello.
    """

    make: Callable[[Identity], Security]
    hides_peers: bool = True


def identity(name: str) -> Identity:
    """Of the node with this one-letter name."""
    return Identity(name.encode() * 32)


class Meeting:
    """Two nodes that shake hands as often as a check wants.

    Args:
        knows_static: whether the initiator knows the responder's static key.
        names: the initiator's and the responder's.
    """

    def __init__(self, bed: SecurityBed, knows_static: bool, names: str = "ab") -> None:
        self.ids: tuple[PeerId, PeerId] = (identity(names[0]).peer_id, identity(names[1]).peer_id)
        self._ours, self._theirs = (bed.make(identity(name)) for name in names)
        self.statics = (self._ours.static_key(WALL_AT_START), self._theirs.static_key(WALL_AT_START))
        self._known = self.statics[1] if knows_static else None

    def begin(
        self,
        hello: bytes = b"hello of the ",
        expected: PeerId | None = None,
        prologues: tuple[bytes, bytes] = (PROLOGUE, PROLOGUE),
        static: bytes | None = None,
    ) -> Sides:
        """Both sides of a new handshake.

        Args:
            hello: each side's is this and its own name.
            expected: whom the initiator expects.
            static: what the initiator takes for the responder's static key.
        """
        known = self._known if static is None else static
        return (
            self._ours.handshake(
                HandshakeParameters(True, prologues[0], hello + b"initiator", expected, known, WALL_AT_START)
            ),
            self._theirs.handshake(
                HandshakeParameters(False, prologues[1], hello + b"responder", None, None, WALL_AT_START)
            ),
        )


def modes(bed: SecurityBed) -> tuple[bool, ...]:
    """Whether the initiator knows a static key: never where the plugin has none."""
    return (False, True) if bed.make(identity("b")).static_key(WALL_AT_START) else (False,)


def meetings(bed: SecurityBed) -> Iterator[Meeting]:
    """One of each mode."""
    for knows_static in modes(bed):
        yield Meeting(bed, knows_static)


def turns(sides: Sides) -> Iterator[Turn]:
    """Every message that is due, until nobody has one; who asks for the next has delivered the last, or not."""
    count, is_quiet = 0, False
    while not is_quiet:
        is_quiet = True
        for sender, receiver in (sides, sides[::-1]):
            for message in sender.messages_to_send():
                is_quiet, count = False, count + 1
                assert count <= 2 * MAX_MESSAGES, f"the handshake does not end: one side has {MAX_MESSAGES} messages"
                yield message, sender, receiver


def offer(receiver: SecurityHandshake, message: bytes) -> bool:
    """Whether it takes the message."""
    return not refuses(lambda: receiver.receive_message(message), RemoteProtocolError, "receive_message")


def deliver(receiver: SecurityHandshake, message: bytes) -> None:
    """It must take the message, which is what the other side sent."""
    try:
        receiver.receive_message(message)
    except RemoteProtocolError as exc:
        raise AssertionError(f"a message that nobody changed was refused: {exc}") from exc


def shake(sides: Sides) -> list[bytes]:
    """Carry messages to the end, or to the first that is refused; returns them."""
    return carry_on(turns(sides))


def carry_on(rest: Iterator[Turn]) -> list[bytes]:
    sent: list[bytes] = []
    for message, _, receiver in rest:
        sent.append(message)
        if not offer(receiver, message):
            break
    return sent


def results(sides: Sides) -> tuple[HandshakeResult, HandshakeResult]:
    """Of both sides, which must have them by now."""
    ours, theirs = sides[0].result, sides[1].result
    assert ours is not None and theirs is not None, "a handshake that nobody disturbed does not complete"
    return ours, theirs


def assert_no_session(sides: Sides, what: str) -> None:
    """What one side would seal, the other must not open; `what` names who should have been refused."""
    ours, theirs = sides[0].result, sides[1].result
    if ours is not None and theirs is not None:
        is_open = ours.send_secret == theirs.receive_secret or ours.receive_secret == theirs.send_secret
        assert not is_open, f"{what}: both sides complete, and with the same keys"


def assert_refused(meeting: Meeting, number: int, changes: Sequence[Change], what: str) -> None:
    """Offer every change of message `number` to the one who waits for it: none may lead to a session.

    One side is offered all that it refuses, and still takes the real message; a change that it takes at first costs a
    handshake of its own.
    """
    waiting: tuple[Sides, Iterator[Turn], bytes, SecurityHandshake] | None = None
    for change in changes:
        sides, rest, message, receiver = waiting = waiting or _advance(meeting, number)
        forged = change(message)
        if forged != message and offer(receiver, forged):
            carry_on(rest)
            assert_no_session(sides, what)
            waiting = None
    if waiting is not None:
        _, _, message, receiver = waiting
        assert offer(receiver, message), f"after {what} the real one was refused"


def _advance(meeting: Meeting, number: int) -> tuple[Sides, Iterator[Turn], bytes, SecurityHandshake]:
    sides = meeting.begin()
    rest = turns(sides)
    for _ in range(number):
        message, _, receiver = next(rest)
        deliver(receiver, message)
    message, _, receiver = next(rest)
    return sides, rest, message, receiver
