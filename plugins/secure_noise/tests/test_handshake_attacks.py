"""The negative matrix: what was not sent by the right peer in this handshake never completes one, and nothing but
`RemoteProtocolError` comes of it.  Each flipped bit and each truncation: `test_conformance`."""

import contextlib
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from peerkit_secure_noise.handshake import NoiseHandshake
from peerkit_secure_noise.handshake_state import HandshakeState
from peerkit_secure_noise.identity_certificate import EPOCH_S, StaticKey
from peerkit_secure_noise.patterns import IK, XX
from peerkit_secure_noise.x25519 import LOW_ORDER_POINTS, key_pair

from peerkit.errors import RemoteProtocolError
from peerkit.security import HandshakeParameters
from plugins.secure_noise.tests.nodes import NOW, PROLOGUE, Tamper, initiate, node, respond, run

PSK = bytes(range(32))
IK_OR_XX = pytest.mark.parametrize("known", [True, False], ids=["IK", "XX"])
WITH_PSK = pytest.mark.parametrize("psk", [None, PSK], ids=["public", "private"])


def pair(known: bool, psk: bytes | None = None) -> tuple[NoiseHandshake, NoiseHandshake]:
    a, b = node(1, psk), node(2, psk)
    return initiate(a, b if known else None, expect=b), respond(b)


def last_reader(sides: tuple[NoiseHandshake, NoiseHandshake], known: bool) -> NoiseHandshake:
    """Who reads the last message: the initiator of IK, the responder of XX."""
    return sides[0] if known else sides[1]


def assert_no_session(sides: tuple[NoiseHandshake, NoiseHandshake], known: bool, change: Tamper) -> None:
    """With the change the side that reads last, and so the session, never completes."""
    with pytest.raises(RemoteProtocolError):
        run(*sides, change)
    assert last_reader(sides, known).result is None


def replaced(index: int, change: Callable[[bytes], bytes]) -> Tamper:
    return lambda i, message: change(message) if i == index else message


def instead(other: bytes, _: bytes) -> bytes:
    return other


def messages(known: bool, psk: bytes | None = None) -> list[bytes]:
    return run(*pair(known, psk))


@IK_OR_XX
def test_messages_of_an_earlier_handshake_are_refused(known: bool) -> None:
    a, b = node(1), node(2)
    target = b if known else None
    recorded = run(initiate(a, target), respond(b))
    for index, old in list(enumerate(recorded))[1:]:
        sides = initiate(a, target), respond(b)
        assert_no_session(sides, known, replaced(index, partial(instead, old)))


@IK_OR_XX
def test_a_replayed_first_message_gives_the_attacker_no_keys(known: bool) -> None:
    """The responder answers it, as it must; its keys are new ones that only the initiator of old could not compute."""
    a, b = node(1), node(2)
    initiator, responder = initiate(a, b if known else None), respond(b)
    recorded = run(initiator, responder)
    again = respond(b)
    again.receive_message(recorded[0])
    (answer,) = again.messages_to_send()
    assert answer != recorded[1]
    if known:
        assert again.result is not None
        assert responder.result is not None
        assert again.result.send_secret != responder.result.send_secret
        assert again.result.receive_secret != responder.result.receive_secret
    else:
        with pytest.raises(RemoteProtocolError):
            again.receive_message(recorded[2])
        assert again.result is None


@IK_OR_XX
@WITH_PSK
def test_a_message_reflected_to_its_sender_is_refused(known: bool, psk: bytes | None) -> None:
    initiator, responder = pair(known, psk)
    (first,) = initiator.messages_to_send()
    for echo in (first, first[1:]):
        with pytest.raises(RemoteProtocolError):
            initiator.receive_message(echo)
    responder.receive_message(first)
    (second,) = responder.messages_to_send()
    with pytest.raises(RemoteProtocolError):
        responder.receive_message(second)
    initiator.receive_message(second)
    for third in initiator.messages_to_send():
        with pytest.raises(RemoteProtocolError):
            initiator.receive_message(third)


@IK_OR_XX
def test_a_handshake_led_back_to_ourselves_is_refused(known: bool) -> None:
    """An attacker joins our dialling side to our listening side."""
    a = node(1)
    with pytest.raises(RemoteProtocolError, match="our"):
        run(initiate(a, a if known else None), respond(a))


def test_another_machine_with_our_identity_is_refused() -> None:
    """Its clock is in the next epoch, so its static key is none of ours; only the identity tells."""
    a = node(1)
    with pytest.raises(RemoteProtocolError, match="our own identity"):
        run(initiate(a), respond(a, now=NOW + EPOCH_S))


@IK_OR_XX
@WITH_PSK
def test_peers_of_another_network_are_refused(known: bool, psk: bytes | None) -> None:
    a, b = node(1, psk), node(2, psk)
    with pytest.raises(RemoteProtocolError):
        run(initiate(a, b if known else None, prologue=b"one network"), respond(b, prologue=b"another"))


def test_a_certificate_of_another_network_is_refused() -> None:
    """Even if the prologue were the same: signatures name the network."""
    a, b = node(1), node(2, network_id=bytes(32))
    with pytest.raises(RemoteProtocolError, match="not certified"):
        run(initiate(a), respond(b))


@IK_OR_XX
def test_ik_to_the_key_of_another_peer_is_refused(known: bool) -> None:
    a, b, other = node(1), node(2), node(3)
    if known:
        with pytest.raises(RemoteProtocolError):
            run(initiate(a, other), respond(b))
    else:
        with pytest.raises(RemoteProtocolError, match="expected"):
            run(initiate(a, expect=other), respond(b))


@IK_OR_XX
@pytest.mark.parametrize(
    ("ours", "theirs"), [(PSK, None), (None, PSK), (PSK, bytes(32))], ids=["theirs", "ours", "other"]
)
def test_a_stranger_to_a_private_network_gets_no_session(known: bool, ours: bytes | None, theirs: bytes | None) -> None:
    a, b = node(1, theirs), node(2, ours)
    responder = respond(b)
    with pytest.raises(RemoteProtocolError):
        run(initiate(a, b if known else None), responder)
    if ours is not None:  # not even an answer: nobody learns that a node listens here
        assert responder.messages_to_send() == ()


class Impostor:
    """Node 3, with its own static key, that sends a certificate of its choosing."""

    def __init__(self, certificate: bytes) -> None:
        self.node = node(3)
        self.node.keys.accepted(NOW)
        pair = self.node.keys.current(NOW).pair
        self.node.keys._epochs = dict.fromkeys(self.node.keys._epochs, StaticKey(pair, certificate))


@IK_OR_XX
def test_the_certificate_of_another_peer_is_refused_by_the_responder(known: bool) -> None:
    victim, b = node(1), node(2)
    impostor = Impostor(victim.keys.current(NOW).certificate).node
    responder = respond(b)
    with pytest.raises(RemoteProtocolError, match="not certified"):
        run(initiate(impostor, b if known else None), responder)
    assert responder.early_peer is None
    assert responder.result is None


@IK_OR_XX
def test_the_certificate_of_another_peer_is_refused_by_the_initiator(known: bool) -> None:
    a, victim = node(1), node(2)
    impostor = Impostor(victim.keys.current(NOW).certificate).node
    initiator = initiate(a, impostor if known else None, expect=victim)
    with pytest.raises(RemoteProtocolError, match="not certified"):
        run(initiator, respond(impostor))
    assert initiator.result is None


@IK_OR_XX
@pytest.mark.parametrize("length", [0, 1, 103])
def test_a_short_certificate_is_refused(known: bool, length: int) -> None:
    """With an empty Hello behind it, or bytes of the Hello would be read as certificate."""
    b = node(2)
    impostor = Impostor(node(3).keys.current(NOW).certificate[:length]).node
    static = b.security.static_key(NOW) if known else None
    initiator = impostor.security.handshake(HandshakeParameters(True, PROLOGUE, b"", None, static, NOW))
    with pytest.raises(RemoteProtocolError, match="without an identity certificate"):
        run(initiator, respond(b))


def test_a_certificate_extended_in_time_is_refused() -> None:
    certificate = bytearray(node(3).keys.current(NOW).certificate)
    certificate[32] ^= 1  # the first byte of not_after
    with pytest.raises(RemoteProtocolError, match="not certified"):
        run(initiate(Impostor(bytes(certificate)).node), respond(node(2)))


LOW_ORDER = [*sorted(LOW_ORDER_POINTS), *(p[:31] + bytes([p[31] | 0x80]) for p in sorted(LOW_ORDER_POINTS))]


@pytest.mark.parametrize("point", LOW_ORDER, ids=lambda p: p.hex()[:8] + p.hex()[-2:])
@IK_OR_XX
def test_an_ephemeral_key_of_low_order_is_refused(point: bytes, known: bool) -> None:
    b = node(2)
    responder = respond(b)
    with pytest.raises(RemoteProtocolError, match="low order"):
        responder.receive_message((b"\1" if known else b"\2") + point + bytes(200 if known else 0))
    assert responder.messages_to_send() == ()
    initiator, responder = initiate(node(1), b if known else None), respond(b)
    responder.receive_message(*initiator.messages_to_send())
    (second,) = responder.messages_to_send()
    with pytest.raises(RemoteProtocolError, match="low order"):
        initiator.receive_message(point + second[32:])
    initiator.receive_message(second)


@pytest.mark.parametrize("point", LOW_ORDER, ids=lambda p: p.hex()[:8] + p.hex()[-2:])
def test_a_static_key_of_low_order_is_refused(point: bytes) -> None:
    """An attacker whose own arithmetic is free can send one under valid encryption in XX."""
    b = node(2)
    responder = respond(b)
    attacker = HandshakeState(XX, True, PROLOGUE, key_pair(b"x" * 32), lambda: b"e" * 32)
    responder.receive_message(b"\2" + attacker.write_message(b""))
    attacker.read_message(*responder.messages_to_send())
    sealed = attacker._state.encrypt_and_hash(point)
    with pytest.raises(RemoteProtocolError, match="low order"):
        responder.receive_message(sealed + bytes(200))


def test_a_second_first_message_is_refused_and_changes_nothing() -> None:
    a, b, c = node(1), node(2), node(3)
    initiator, responder = initiate(a, b), respond(b)
    responder.receive_message(*initiator.messages_to_send())
    with pytest.raises(RemoteProtocolError, match="not due"):
        responder.receive_message(*initiate(c, b).messages_to_send())
    assert responder.early_peer == a.identity.peer_id
    initiator.receive_message(*responder.messages_to_send())
    assert initiator.result is not None


@IK_OR_XX
def test_messages_after_the_end_are_refused(known: bool) -> None:
    sides = pair(known)
    sent = run(*sides)
    before = [side.result for side in sides]
    for side in sides:
        for message in sent:
            with pytest.raises(RemoteProtocolError, match="not due"):
                side.receive_message(message)
    assert [side.result for side in sides] == before


def test_data_in_the_clear_first_message_is_refused() -> None:
    responder = respond(node(2))
    (first,) = initiate(node(1)).messages_to_send()
    with pytest.raises(RemoteProtocolError, match="carries data"):
        responder.receive_message(first + b"data")


def test_an_unknown_pattern_is_refused() -> None:
    responder = respond(node(2))
    for byte in (0, *range(3, 256)):
        with pytest.raises(RemoteProtocolError, match="unknown handshake pattern"):
            responder.receive_message(bytes([byte]) + bytes(200))


def test_the_pattern_byte_cannot_be_bent() -> None:
    for known in (True, False):
        (first,) = initiate(node(1), node(2) if known else None).messages_to_send()
        with pytest.raises(RemoteProtocolError):
            respond(node(2)).receive_message(bytes([first[0] ^ 3]) + first[1:])


A, B = node(1), node(2)
FIRST_BYTES = st.sampled_from([b"", b"\1", b"\2", b"\1" + bytes(range(32)), b"\2" + bytes(range(32))])


def waiting(kind: str) -> NoiseHandshake:
    """A side that waits for a message: fresh responder, responder of XX after message 1, initiators."""
    if kind == "responder":
        return respond(B)
    initiator = initiate(A, B if kind == "IK initiator" else None)
    first = initiator.messages_to_send()[0]
    if kind != "XX responder":
        return initiator
    responder = respond(B)
    responder.receive_message(first)
    responder.messages_to_send()
    return responder


@pytest.mark.parametrize("kind", ["responder", "XX responder", "IK initiator", "XX initiator"])
@settings(max_examples=60, deadline=None)
@given(start=FIRST_BYTES, rest=st.binary(max_size=400), copies=st.integers(1, 40))
@example(start=b"", rest=b"", copies=1)
def test_any_bytes_raise_nothing_but_the_peers_fault(kind: str, start: bytes, rest: bytes, copies: int) -> None:
    side = waiting(kind)
    with contextlib.suppress(RemoteProtocolError):
        side.receive_message(start + rest * copies)
    assert side.result is None
    assert side.early_peer is None


@settings(max_examples=60, deadline=None)
@given(payload=st.binary(max_size=300), known=st.booleans())
def test_any_authentic_payload_raises_nothing_but_the_peers_fault(payload: bytes, known: bool) -> None:
    """An attacker with keys of his own gets behind the encryption; no identity comes of it."""
    responder = respond(B)
    own = key_pair(b"x" * 32)
    static = B.security.static_key(NOW)
    state = HandshakeState(IK if known else XX, True, PROLOGUE, own, lambda: b"e" * 32, static if known else None)
    if known:
        message = b"\1" + state.write_message(payload)
    else:
        responder.receive_message(b"\2" + state.write_message(b""))
        state.read_message(*responder.messages_to_send())
        message = state.write_message(payload)
    with pytest.raises(RemoteProtocolError):
        responder.receive_message(message)
    assert responder.early_peer is None
