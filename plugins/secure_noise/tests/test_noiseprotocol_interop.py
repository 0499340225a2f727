"""Against `noiseprotocol`, an independent implementation; it also covers psk0, which has no public vectors."""

import random

import pytest
from noise.connection import Keypair, NoiseConnection
from peerkit_secure_noise.cipher_state import CipherState
from peerkit_secure_noise.handshake_state import SUITE, HandshakeState
from peerkit_secure_noise.identity_certificate import verify_certificate
from peerkit_secure_noise.patterns import IK, XX, Pattern
from peerkit_secure_noise.x25519 import key_pair

from plugins.secure_noise.tests.nodes import NETWORK, NOW, PROLOGUE, initiate, node, respond

PSK = bytes(range(100, 132))
RNG = random.Random(5)
OURS, THEIRS = key_pair(b"o" * 32), key_pair(b"t" * 32)


def foreign(pattern: Pattern, initiator: bool, remote_static: bytes | None = None) -> NoiseConnection:
    connection = NoiseConnection.from_name(f"Noise_{pattern.name}_{SUITE}".encode())
    if initiator:
        connection.set_as_initiator()
    else:
        connection.set_as_responder()
    connection.set_prologue(PROLOGUE)
    if pattern.has_psk:
        connection.set_psks(PSK)
    connection.set_keypair_from_private_bytes(Keypair.STATIC, THEIRS.secret)
    if pattern.responder_pre and initiator:
        assert remote_static is not None
        connection.set_keypair_from_public_bytes(Keypair.REMOTE_STATIC, remote_static)
    connection.start_handshake()
    return connection


@pytest.mark.parametrize("we_initiate", [True, False])
@pytest.mark.parametrize(
    "pattern", [IK, XX, IK.with_psk(0), XX.with_psk(0), IK.with_psk(2), XX.with_psk(3)], ids=lambda p: p.name
)
def test_state_machine_completes_with_the_other_implementation(pattern: Pattern, we_initiate: bool) -> None:
    theirs = foreign(pattern, not we_initiate, OURS.public)
    remote = THEIRS.public if we_initiate and pattern.responder_pre else None
    psk = PSK if pattern.has_psk else None
    ours = HandshakeState(pattern, we_initiate, PROLOGUE, OURS, lambda: RNG.randbytes(32), remote, psk)
    for i in range(len(pattern.messages)):
        payload = f"payload {i}".encode() * i
        if ours.is_our_turn:
            assert bytes(theirs.read_message(ours.write_message(payload))) == payload
        else:
            assert ours.read_message(bytes(theirs.write_message(payload))) == payload
    assert ours.is_complete
    assert theirs.handshake_finished
    assert ours.hash == theirs.get_handshake_hash()
    assert ours.remote_static == THEIRS.public
    send, receive = ours.split()
    assert theirs.decrypt(CipherState(send).encrypt_with_ad(b"", b"there")) == b"there"
    assert CipherState(receive).decrypt_with_ad(b"", theirs.encrypt(b"and back")) == b"and back"


@pytest.mark.parametrize("psk", [None, PSK])
def test_our_ik_is_answered_by_a_responder_built_on_the_other_implementation(psk: bytes | None) -> None:
    """The whole handshake with payloads: the other implementation is given node 2's key and certificate."""
    a, b = node(1, psk), node(2, psk)
    key = b.keys.current(NOW)
    connection = NoiseConnection.from_name(f"Noise_IK{'psk0' if psk else ''}_{SUITE}".encode())
    connection.set_as_responder()
    connection.set_prologue(PROLOGUE)
    if psk:
        connection.set_psks(psk)
    connection.set_keypair_from_private_bytes(Keypair.STATIC, key.pair.secret)
    connection.start_handshake()

    handshake = initiate(a, to=b, expect=b)
    (first,) = handshake.messages_to_send()
    assert first[:1] == b"\1"
    payload = bytes(connection.read_message(first[1:]))
    static = a.security.static_key(NOW)
    assert verify_certificate(NETWORK, static, payload[:104])[0] == a.identity.peer_id
    assert payload[104:] == b"hello of the initiator"
    handshake.receive_message(bytes(connection.write_message(key.certificate + b"hello from elsewhere")))

    result = handshake.result
    assert result is not None
    assert result.peer_id == b.identity.peer_id
    assert result.payload == b"hello from elsewhere"
    assert result.transcript_hash == connection.get_handshake_hash()
    assert connection.decrypt(CipherState(result.send_secret).encrypt_with_ad(b"", b"x")) == b"x"


@pytest.mark.parametrize("psk", [None, PSK])
def test_an_xx_initiator_built_on_the_other_implementation_is_answered(psk: bytes | None) -> None:
    a, b = node(1, psk), node(2, psk)
    key = a.keys.current(NOW)
    connection = NoiseConnection.from_name(f"Noise_XX{'psk0' if psk else ''}_{SUITE}".encode())
    connection.set_as_initiator()
    connection.set_prologue(PROLOGUE)
    if psk:
        connection.set_psks(psk)
    connection.set_keypair_from_private_bytes(Keypair.STATIC, key.pair.secret)
    connection.start_handshake()

    handshake = respond(b)
    handshake.receive_message(b"\2" + bytes(connection.write_message(b"")))
    assert handshake.early_peer is None
    (second,) = handshake.messages_to_send()
    assert bytes(connection.read_message(second))[104:] == b"hello of the responder"
    handshake.receive_message(bytes(connection.write_message(key.certificate + b"hello from elsewhere")))

    result = handshake.result
    assert result is not None
    assert result.peer_id == a.identity.peer_id
    assert result.payload == b"hello from elsewhere"
    assert CipherState(result.receive_secret).decrypt_with_ad(b"", connection.encrypt(b"x")) == b"x"
