"""What every security plugin must do: its handshake, and the packets sealed with the keys that come of it.

    @pytest.mark.parametrize("check", SECURITY_CHECKS, ids=lambda check: check.__name__)
    async def test_security_passes_the_check(net, check):
        check(security_bed(net, plugin))

`plugin` is the plugin's `PluginSpec`.  A check returns, or raises `AssertionError` with the promise that was broken.
Each handshake is tried with the responder's static key known and unknown, if the plugin has such keys.  What a carrier
makes of the keys (counters, key changes) is the kernel's; that a packet opens once, in its place and unchanged, is
checked in `protection_checks`, which these checks include.

PYTEST_DONT_REWRITE: a broken promise is told by its sentence; to compare megabytes for it would take minutes.
"""

import gc
import tracemalloc
from collections.abc import Callable
from functools import partial
from itertools import combinations, islice
from typing import TypeVar

from pydantic import BaseModel

from ..errors import LimitExceeded
from ..identity import Identity
from ..plugin import PluginSpec
from ..protection import AeadProtection
from ..security import Aead, HandshakeResult, PacketProtection, Security, SecurityHandshake
from .handshakes import (
    MAX_MESSAGE_BYTES,
    MAX_MESSAGES,
    PROLOGUE,
    Change,
    Meeting,
    SecurityBed,
    assert_no_session,
    assert_refused,
    deliver,
    identity,
    meetings,
    modes,
    offer,
    results,
    shake,
    turns,
)
from .plugin_context import FakePluginContext
from .promises import refuses
from .protection_checks import PROTECTION_CHECKS, ProtectionCheck
from .sim_network import SimNetwork
from .sim_platform import WALL_AT_START

S = TypeVar("S", bound=BaseModel)

MAX_HELLO_BYTES = 7_900  # the longest that a node sends
MAX_LEFT_BYTES = 400  # of each abandoned handshake; a bounded memory of checked signatures takes half of that

SecurityCheck = Callable[[SecurityBed], None]


def security_bed(
    net: SimNetwork, spec: PluginSpec[S], settings: S | None = None, hides_peers: bool = True
) -> SecurityBed:
    """A bed for a plugin that requires no capability; without `settings` it has its defaults."""

    def make(identity: Identity) -> Security:
        context = FakePluginContext(settings or spec.settings(), net.platform(), spec=spec, identity=identity)
        offered = spec.factory(context).peerkit_register_wrappers()  # type: ignore[attr-defined]
        securities: list[Security] = [item for item in offered if hasattr(item, "handshake")]
        assert len(securities) == 1, f"a security plugin offers one handshake, not {len(securities)}"
        return securities[0]

    return SecurityBed(make, hides_peers)


def both_sides_agree(bed: SecurityBed) -> None:
    """On who they are and on every secret; each has the other's Hello."""
    for meeting in meetings(bed):
        sides = meeting.begin(expected=meeting.ids[1])
        shake(sides)
        ours, theirs = results(sides)
        assert (ours.peer_id, theirs.peer_id) == meeting.ids[::-1], "a handshake proves another peer than the real one"
        hellos = (ours.payload, theirs.payload)
        assert hellos == (b"hello of the responder", b"hello of the initiator"), "a Hello did not arrive as it was"
        assert (ours.send_secret, ours.receive_secret) == (theirs.receive_secret, theirs.send_secret), (
            "what one side seals the other cannot open"
        )
        assert ours.transcript_hash == theirs.transcript_hash, "both ends must have the same transcript"
        assert ours.export_secret == theirs.export_secret, "both ends must derive the same secrets"
        statics = (theirs.remote_static, ours.remote_static)
        assert statics == meeting.statics, "a handshake proves another static key than the one in the record"
        _assert_usable(ours)


def hellos_of_every_size_arrive(bed: SecurityBed) -> None:
    """And one that no message can carry is our own error."""
    for meeting in meetings(bed):
        too_long = partial(meeting.begin, bytes(MAX_MESSAGE_BYTES))
        assert refuses(too_long, LimitExceeded, "handshake"), "a Hello that no message can carry was taken"
        for size in (0, 1, 255, 1_000, MAX_HELLO_BYTES - len(b"initiator")):
            sides = meeting.begin(bytes(size))
            shake(sides)
            assert results(sides)[1].payload == bytes(size) + b"initiator", f"a Hello of {size} bytes did not arrive"


def messages_come_in_turn(bed: SecurityBed) -> None:
    """The initiator begins; each message is given once, within the carrier's bounds."""
    for meeting in meetings(bed):
        sides = meeting.begin()
        assert not sides[1].messages_to_send(), "the responder spoke first"
        sent: list[SecurityHandshake] = []
        for message, sender, receiver in turns(sides):
            assert not sender.messages_to_send(), "a message was given twice"
            assert 0 < len(message) <= MAX_MESSAGE_BYTES, f"a message of {len(message)} bytes fits no carrier"
            deliver(receiver, message)
            sent.append(sender)
        assert sent, "the initiator must begin"
        assert max(map(sent.count, sides)) <= MAX_MESSAGES, f"one side sent more than {MAX_MESSAGES} messages"
        results(sides)


def two_handshakes_share_nothing(bed: SecurityBed) -> None:
    """Though the same two peers meet with the same Hellos."""
    for meeting in meetings(bed):
        seen: set[bytes] = set()
        for number in (1, 2):
            sides = meeting.begin()
            messages = shake(sides)
            ours, _ = results(sides)
            fresh = {*messages, ours.send_secret, ours.receive_secret, ours.transcript_hash, ours.export_secret}
            assert number == 1 or not fresh & seen, "a second handshake repeats messages or secrets of the first"
            seen |= fresh


def the_static_key_lasts(bed: SecurityBed) -> None:
    """It stands in records, so that a node that was started again is found by it."""
    a, again, b = bed.make(identity("a")), bed.make(identity("a")), bed.make(identity("b"))
    key = a.static_key(WALL_AT_START)
    assert len(key) in (0, 32), f"a record has place for a static key of 32 bytes or none, not {len(key)}"
    assert again.static_key(WALL_AT_START) == key, "a node that was started again has another static key"
    assert not key or b.static_key(WALL_AT_START) != key, "two identities have the same static key"


def another_than_the_expected_peer_is_refused(bed: SecurityBed) -> None:
    for meeting in meetings(bed):
        sides = meeting.begin(expected=identity("c").peer_id)
        shake(sides)
        assert sides[0].result is None, "a peer other than the expected one was taken"
        for early in (sides[0].early_peer, sides[1].early_peer):
            assert early in (None, *meeting.ids), "a side shows a peer that nobody proved"


def a_wrong_static_key_proves_nobody(bed: SecurityBed) -> None:
    """One that is another peer's, worn out or nonsense may fail, but leads to nobody but the one who answers."""
    other = bed.make(identity("c")).static_key(WALL_AT_START)
    for static in (other, b"short", bytes(32), b"\xff" * 32, bytes(range(32)), bytes(33)):
        meeting = Meeting(bed, knows_static=False)
        sides = meeting.begin(static=static)
        shake(sides)
        result = sides[0].result
        assert result is None or result.peer_id == meeting.ids[1], "a static key alone proved its peer"


def both_must_have_the_same_prologue(bed: SecurityBed) -> None:
    """Another version, network or pipe: a downgrade, a stranger, a man in the middle."""
    others = [PROLOGUE[:at] + bytes([PROLOGUE[at] ^ 1]) + PROLOGUE[at + 1 :] for at in range(len(PROLOGUE))]
    for meeting in meetings(bed):
        for other in (b"", PROLOGUE[:-1], PROLOGUE + b"\0", *others):
            sides = meeting.begin(prologues=(PROLOGUE, other))
            shake(sides)
            assert_no_session(sides, "two sides with different prologues")


def a_changed_bit_is_refused(bed: SecurityBed) -> None:
    """Each bit of each message, at once or before there is a session."""
    for meeting in meetings(bed):
        sizes = [len(message) for message in shake(meeting.begin())]
        for number, size in enumerate(sizes):
            flips = [partial(_flip, bit=bit) for bit in range(8 * size)]
            assert_refused(meeting, number, flips, f"message {number + 1} with a changed bit")


def a_cut_message_is_refused(bed: SecurityBed) -> None:
    """At every length; and one that is longer, or longer than any may be."""
    for meeting in meetings(bed):
        sizes = [len(message) for message in shake(meeting.begin())]
        for number, size in enumerate(sizes):
            changes: list[Change] = [partial(_cut, length=length) for length in range(size)]
            changes += [_longer, _twice, _too_long]
            assert_refused(meeting, number, changes, f"message {number + 1} cut short or made longer")


def a_forged_message_kills_nothing(bed: SecurityBed) -> None:
    """On a datagram transport anybody can send one: after those that were refused the real one still counts."""
    forgeries: tuple[Change, ...] = (
        _last_changed,
        _longer,
        _too_long,
        partial(_cut, length=7),
        partial(_cut, length=0),
    )
    for meeting in meetings(bed):
        for forge in forgeries:
            sides = meeting.begin()
            for message, _, receiver in turns(sides):
                if offer(receiver, forge(message)):
                    break  # well-formed and without proof, as a first message may be
                assert receiver.early_peer in (None, *meeting.ids), "a forged message shows a peer that nobody proved"
                assert offer(receiver, message), "after a forged message the real one was refused"
            else:
                ours, theirs = results(sides)
                assert ours.transcript_hash == theirs.transcript_hash, "a forged message changed the handshake"


def messages_after_the_end_change_nothing(bed: SecurityBed) -> None:
    for meeting in meetings(bed):
        sides = meeting.begin()
        messages, before = shake(sides), results(sides)
        for side in sides:
            for message in (*messages, messages[0] + b"\0", b""):
                offer(side, message)
                assert not side.messages_to_send(), "a message after the end is answered"
        assert results(sides) == before, "a message after the end changed the result"


def messages_of_another_handshake_are_refused(bed: SecurityBed) -> None:
    """Replayed, out of order, or of another peer."""
    for knows_static in modes(bed):
        meeting, stranger = Meeting(bed, knows_static), Meeting(bed, knows_static, "cb")
        recorded = [*shake(meeting.begin()), *shake(stranger.begin())]
        sizes = [len(message) for message in shake(meeting.begin())]
        for number in range(len(sizes)):
            changes = [partial(_instead, other=old) for old in recorded]
            assert_refused(meeting, number, changes, f"in place of message {number + 1} one of another handshake")


def a_replay_gives_nobody_keys(bed: SecurityBed) -> None:
    """A responder may answer a recorded first message, but with keys that only a live initiator can compute."""
    for meeting in meetings(bed):
        sides, recorded = meeting.begin(), list[bytes]()
        for message, sender, receiver in turns(sides):
            deliver(receiver, message)
            recorded += [message] if sender is sides[0] else []
        _, old = results(sides)
        _, again = meeting.begin()
        for message in recorded:
            offer(again, message)
            again.messages_to_send()
        new = again.result
        assert new is None or not {new.send_secret, new.receive_secret} & {old.send_secret, old.receive_secret}, (
            "a replayed handshake leads to the keys of the recorded session"
        )


def a_reflected_message_is_refused(bed: SecurityBed) -> None:
    """An attacker who sends everything back to its sender never becomes a peer."""
    for meeting in meetings(bed):
        for victim, other in ((0, 1), (1, 0)):
            sides = meeting.begin()
            for message, sender, receiver in turns(sides):
                offer(sender if sender is sides[victim] else receiver, message)
            result = sides[victim].result
            proven = {sides[victim].early_peer, result and result.peer_id}
            assert meeting.ids[victim] not in proven, "a node took its own message for another peer's"
            assert victim or result is None, "an initiator that got nothing but its own messages completes"
            assert proven <= {None, meeting.ids[other]}, "a reflected message proved a peer that is not there"


def the_early_peer_is_the_proven_one(bed: SecurityBed) -> None:
    """Trust is asked about it before the responder answers, so it is known as soon as there is a result."""
    for meeting in meetings(bed):
        sides = meeting.begin()
        for message, _, receiver in turns(sides):
            deliver(receiver, message)
            for side, peer_id in zip(sides, meeting.ids[::-1], strict=True):
                assert side.early_peer in (None, peer_id), "the early peer is not the one that is there"
        for side in sides:
            assert side.result is not None and side.early_peer == side.result.peer_id, "the early peer is not told"


def nothing_readable_is_on_the_wire(bed: SecurityBed) -> None:
    for meeting in meetings(bed):
        sides = meeting.begin(b"a secret to the two of them ")
        wire = b"".join(shake(sides))
        ours, _ = results(sides)
        assert ours.send_secret not in wire and ours.receive_secret not in wire, "a message shows a key"
        if bed.hides_peers:
            assert not any(peer.raw in wire for peer in meeting.ids), "a message shows a peer id"
            assert not any(static and static in wire for static in meeting.statics), "a message shows a static key"
            assert b"a secret" not in wire, "a message shows a Hello"


def an_abandoned_handshake_leaves_nothing(bed: SecurityBed) -> None:
    """Strangers begin as many as they like."""
    for meeting in meetings(bed):
        _abandon(meeting, 16)  # what is made once for all
        tracemalloc.start()
        try:
            before = _traced_bytes()
            _abandon(meeting, 64)
            left = (_traced_bytes() - before) / 64
        finally:
            tracemalloc.stop()
        assert left <= MAX_LEFT_BYTES, f"each abandoned handshake leaves {left:.0f} bytes"


def _longer(message: bytes) -> bytes:
    return message + b"\0"


def _twice(message: bytes) -> bytes:
    return message + message


def _too_long(message: bytes) -> bytes:
    return message.ljust(MAX_MESSAGE_BYTES + 1, b"\0")


def _last_changed(message: bytes) -> bytes:
    return _flip(message, 8 * len(message) - 1)


def _flip(message: bytes, bit: int) -> bytes:
    forged = bytearray(message)
    forged[bit // 8] ^= 1 << bit % 8
    return bytes(forged)


def _cut(message: bytes, length: int) -> bytes:
    return message[:length]


def _instead(message: bytes, other: bytes) -> bytes:  # noqa: ARG001
    return other


def _assert_usable(result: HandshakeResult) -> None:
    secrets = {"send_secret": result.send_secret, "receive_secret": result.receive_secret}
    secrets["export_secret"] = result.export_secret
    for name, secret in secrets.items():
        assert len(secret) == 32, f"{name} has {len(secret)} bytes, not 32"
    for (one, secret), (other, another) in combinations(secrets.items(), 2):
        assert secret != another, f"{one} and {other} are the same"
    assert len(result.transcript_hash) >= 16, "a transcript hash this short is not the only one"
    assert result.transcript_hash not in secrets.values(), "the transcript hash is no secret, and must be none of them"


def _abandon(meeting: Meeting, count: int) -> None:
    """Begin that many handshakes, and leave each after another of its messages."""
    for number in range(count):
        for message, _, receiver in islice(turns(meeting.begin()), number % MAX_MESSAGES):
            deliver(receiver, message)


def _traced_bytes() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def _of_packets(check: ProtectionCheck) -> SecurityCheck:
    """The check of what seals a node's packets with this security, under each cipher."""

    def run(bed: SecurityBed) -> None:
        security = bed.make(identity("a"))

        def make(secret: bytes, aead: Aead) -> PacketProtection:
            return security.protection(secret, aead) or AeadProtection(secret, aead)

        for aead in Aead:
            check(partial(make, aead=aead))

    run.__name__ = check.__name__
    return run


SECURITY_CHECKS: tuple[SecurityCheck, ...] = (
    both_sides_agree,
    hellos_of_every_size_arrive,
    messages_come_in_turn,
    two_handshakes_share_nothing,
    the_static_key_lasts,
    another_than_the_expected_peer_is_refused,
    a_wrong_static_key_proves_nobody,
    both_must_have_the_same_prologue,
    a_changed_bit_is_refused,
    a_cut_message_is_refused,
    a_forged_message_kills_nothing,
    messages_after_the_end_change_nothing,
    messages_of_another_handshake_are_refused,
    a_replay_gives_nobody_keys,
    a_reflected_message_is_refused,
    the_early_peer_is_the_proven_one,
    nothing_readable_is_on_the_wire,
    an_abandoned_handshake_leaves_nothing,
    *map(_of_packets, PROTECTION_CHECKS),
)
