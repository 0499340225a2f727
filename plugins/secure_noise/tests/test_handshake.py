"""What a completed handshake proves and gives."""

import pytest
from peerkit_secure_noise.handshake import MAX_MESSAGE_BYTES, MAX_PAYLOAD_BYTES
from peerkit_secure_noise.identity_certificate import EPOCH_S, OVERLAP_S
from peerkit_secure_noise.x25519 import LOW_ORDER_POINTS

from peerkit.errors import LimitExceeded, RemoteProtocolError
from peerkit.security import HandshakeParameters
from plugins.secure_noise.tests.nodes import NOW, PROLOGUE, Node, initiate, node, respond, results, run

PSK = bytes(range(32))
IK_OR_XX = pytest.mark.parametrize("known", [True, False], ids=["IK", "XX"])
WITH_PSK = pytest.mark.parametrize("psk", [None, PSK], ids=["public", "private"])


@IK_OR_XX
@WITH_PSK
def test_both_sides_learn_who_the_other_is_and_share_all_secrets(known: bool, psk: bytes | None) -> None:
    a, b = node(1, psk), node(2, psk)
    initiator, responder = initiate(a, b if known else None, expect=b), respond(b)
    sent = run(initiator, responder)
    assert len(sent) == (2 if known else 3)
    ra, rb = results(initiator, responder)
    assert (ra.peer_id, rb.peer_id) == (b.identity.peer_id, a.identity.peer_id)
    assert (ra.payload, rb.payload) == (b"hello of the responder", b"hello of the initiator")
    assert (ra.send_secret, ra.receive_secret) == (rb.receive_secret, rb.send_secret)
    assert (ra.transcript_hash, ra.export_secret) == (rb.transcript_hash, rb.export_secret)
    assert (ra.remote_static, rb.remote_static) == (b.security.static_key(NOW), a.security.static_key(NOW))
    assert len({ra.send_secret, ra.receive_secret, ra.transcript_hash, ra.export_secret}) == 4


@IK_OR_XX
def test_two_handshakes_of_the_same_peers_share_nothing(known: bool) -> None:
    a, b = node(1), node(2)
    seen: set[bytes] = set()
    for _ in range(2):
        initiator, responder = initiate(a, b if known else None), respond(b)
        seen.update(run(initiator, responder))
        result, _ = results(initiator, responder)
        seen |= {result.send_secret, result.receive_secret, result.transcript_hash, result.export_secret}
    assert len(seen) == 2 * (4 + (2 if known else 3))


@IK_OR_XX
def test_no_message_shows_a_long_term_id_or_the_hello(known: bool) -> None:
    a, b = node(1), node(2)
    wire = b"".join(run(initiate(a, b if known else None), respond(b)))
    for n in (a, b):
        for secret in (
            n.identity.peer_id.raw,
            n.security.static_key(NOW),
            n.keys.current(NOW).certificate[40:],
            b"hello",
        ):
            assert secret not in wire


def test_messages_add_the_documented_bytes() -> None:
    """README: IK 201 + 152, XX 33 + 200 + 168; psk0 adds 16 to the first message of XX."""
    hello = len(b"hello of the initiator")
    a, b, pa, pb = node(1), node(2), node(1, PSK), node(2, PSK)
    assert [len(m) for m in run(initiate(a, b), respond(b))] == [201 + hello, 152 + hello]
    assert [len(m) for m in run(initiate(a), respond(b))] == [33, 200 + hello, 168 + hello]
    assert [len(m) for m in run(initiate(pa, pb), respond(pb))] == [201 + hello, 152 + hello]
    assert [len(m) for m in run(initiate(pa), respond(pb))] == [49, 200 + hello, 168 + hello]


def test_ik_shows_the_initiator_before_the_responder_answers() -> None:
    a, b = node(1), node(2)
    initiator, responder = initiate(a, b), respond(b)
    assert responder.early_peer is None
    responder.receive_message(*initiator.messages_to_send())
    assert responder.early_peer == a.identity.peer_id
    assert responder.result is None


def test_xx_shows_the_responder_before_the_initiator_shows_itself() -> None:
    a, b = node(1), node(2)
    initiator, responder = initiate(a), respond(b)
    responder.receive_message(*initiator.messages_to_send())
    assert responder.early_peer is None
    initiator.receive_message(*responder.messages_to_send())
    assert initiator.early_peer == b.identity.peer_id
    assert initiator.result is None


def test_messages_are_given_once() -> None:
    a, b = node(1), node(2)
    initiator, responder = initiate(a, b), respond(b)
    assert responder.messages_to_send() == ()
    (first,) = initiator.messages_to_send()
    assert initiator.messages_to_send() == ()
    responder.receive_message(first)
    assert len(responder.messages_to_send()) == 1
    assert responder.messages_to_send() == ()


@IK_OR_XX
def test_another_peer_than_the_expected_one_is_refused(known: bool) -> None:
    a, b, other = node(1), node(2), node(3)
    initiator, responder = initiate(a, b if known else None, expect=other), respond(b)
    with pytest.raises(RemoteProtocolError, match="expected"):
        run(initiator, responder)
    assert initiator.result is None
    assert initiator.early_peer is None


def previous_epoch(after_epoch_s: float) -> tuple[Node, Node, float, float]:
    """Two nodes, a time in one epoch, and a time this long after its end."""
    end = 700 * EPOCH_S
    return node(1), node(2), end - 3_600.0, end + after_epoch_s


def test_ik_to_a_rotated_key_works_for_48_hours() -> None:
    a, b, then, now = previous_epoch(OVERLAP_S - 1)
    stale = b.security.static_key(then)
    assert stale != b.security.static_key(now)
    initiator = a.security.handshake(HandshakeParameters(True, PROLOGUE, b"", None, stale, now))
    responder = respond(b, now=now)
    run(initiator, responder)
    result, _ = results(initiator, responder)
    assert result.peer_id == b.identity.peer_id
    assert result.remote_static == stale


def test_ik_to_a_rotated_key_fails_after_48_hours() -> None:
    a, b, then, now = previous_epoch(OVERLAP_S)
    stale = b.security.static_key(then)
    initiator = a.security.handshake(HandshakeParameters(True, PROLOGUE, b"", None, stale, now))
    with pytest.raises(RemoteProtocolError):
        run(initiator, respond(b, now=now))


@IK_OR_XX
def test_an_expired_certificate_is_refused(known: bool) -> None:
    """The peer's clock stands still in an old epoch; ours does not."""
    a, b, then, now = previous_epoch(OVERLAP_S + 601)
    static = b.security.static_key(then) if known else None
    initiator = a.security.handshake(HandshakeParameters(True, PROLOGUE, b"", None, static, now))
    with pytest.raises(RemoteProtocolError, match="expired"):
        run(initiator, respond(b, now=then))


def test_a_certificate_is_taken_a_little_after_its_end() -> None:
    """Clocks of honest machines differ by minutes."""
    a, b, then, now = previous_epoch(OVERLAP_S + 599)
    static = b.security.static_key(then)
    initiator = a.security.handshake(HandshakeParameters(True, PROLOGUE, b"", None, static, now))
    responder = respond(b, now=then)
    run(initiator, responder)
    assert initiator.result is not None


@pytest.mark.parametrize("useless", [b"", b"short", *sorted(LOW_ORDER_POINTS)], ids=lambda k: k.hex()[:8] or "empty")
def test_a_record_with_a_useless_key_leads_to_xx(useless: bytes) -> None:
    a, b = node(1), node(2)
    initiator = a.security.handshake(HandshakeParameters(True, PROLOGUE, b"", None, useless, NOW))
    assert len(run(initiator, respond(b))) == 3
    assert initiator.result is not None


def test_the_longest_hello_fits_and_a_longer_one_is_our_own_error() -> None:
    a, b = node(1), node(2)
    hello = bytes(MAX_PAYLOAD_BYTES)
    for static in (b.security.static_key(NOW), None):
        initiator = a.security.handshake(HandshakeParameters(True, PROLOGUE, hello, None, static, NOW))
        responder = b.security.handshake(HandshakeParameters(False, PROLOGUE, hello, now_wall=NOW))
        sent = run(initiator, responder)
        assert max(map(len, sent)) <= MAX_MESSAGE_BYTES
        assert results(initiator, responder)[1].payload == hello
    with pytest.raises(LimitExceeded, match="7991"):
        a.security.handshake(HandshakeParameters(True, PROLOGUE, hello + b"x", None, None, NOW))


def test_the_kernel_seals_the_records() -> None:
    from peerkit.security import Aead

    assert node(1).security.protection(bytes(32), Aead.AES_256_GCM) is None
