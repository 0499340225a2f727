"""The state machine against the public vectors of the cacophony collection."""

import json
from pathlib import Path
from typing import TypedDict

import pytest
from peerkit_secure_noise.cipher_state import CipherState
from peerkit_secure_noise.handshake_state import SUITE, HandshakeState
from peerkit_secure_noise.patterns import IK, XX
from peerkit_secure_noise.x25519 import key_pair

PATTERNS = {p.name: p for p in (IK, XX, IK.with_psk(2), XX.with_psk(3))}


class Message(TypedDict):
    payload: str
    ciphertext: str


class Vector(TypedDict, total=False):
    protocol_name: str
    init_prologue: str
    init_static: str
    init_ephemeral: str
    init_remote_static: str
    init_psks: list[str]
    resp_static: str
    resp_ephemeral: str
    handshake_hash: str
    messages: list[Message]


VECTORS: list[Vector] = json.loads((Path(__file__).parent / "data/noise_vectors.json").read_text())["vectors"]


def test_every_pattern_has_a_vector() -> None:
    assert {v["protocol_name"] for v in VECTORS} == {f"Noise_{name}_{SUITE}" for name in PATTERNS}


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["protocol_name"])
def test_handshake_and_transport_match_the_vector(vector: Vector) -> None:
    pattern = PATTERNS[vector["protocol_name"].split("_")[1]]
    prologue = bytes.fromhex(vector["init_prologue"])
    psk = bytes.fromhex(vector["init_psks"][0]) if "init_psks" in vector else None
    remote = bytes.fromhex(vector["init_remote_static"]) if "init_remote_static" in vector else None
    statics = [key_pair(bytes.fromhex(vector[k])) for k in ("init_static", "resp_static")]
    ephemerals = [bytes.fromhex(vector[k]) for k in ("init_ephemeral", "resp_ephemeral")]
    initiator = HandshakeState(pattern, True, prologue, statics[0], lambda: ephemerals[0], remote, psk)
    responder = HandshakeState(pattern, False, prologue, statics[1], lambda: ephemerals[1], None, psk)

    handshake, transport = vector["messages"][: len(pattern.messages)], vector["messages"][len(pattern.messages) :]
    sender, receiver = initiator, responder
    for message in handshake:
        payload, wire = bytes.fromhex(message["payload"]), bytes.fromhex(message["ciphertext"])
        assert sender.write_message(payload) == wire
        assert receiver.read_message(wire) == payload
        sender, receiver = receiver, sender

    assert initiator.is_complete
    assert responder.is_complete
    assert initiator.hash == responder.hash == bytes.fromhex(vector["handshake_hash"])
    assert initiator.remote_static == statics[1].public
    assert responder.remote_static == statics[0].public
    assert initiator.split() == responder.split()[::-1]

    # The vectors go on alternating; each direction has its own key.
    ciphers = {True: CipherState(initiator.split()[0]), False: CipherState(responder.split()[0])}
    for message in transport:
        sealed = ciphers[sender is initiator].encrypt_with_ad(b"", bytes.fromhex(message["payload"]))
        assert sealed == bytes.fromhex(message["ciphertext"])
        sender, receiver = receiver, sender
