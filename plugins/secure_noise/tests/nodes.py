"""Identities with the plugin's security, and a pair of handshakes driven by hand."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from peerkit_secure_noise.handshake import NoiseHandshake
from peerkit_secure_noise.identity_certificate import EPOCH_S, StaticKeys
from peerkit_secure_noise.security import NoiseSecurity

from peerkit.identity import Identity
from peerkit.record import Signed
from peerkit.security import HandshakeParameters, HandshakeResult

NETWORK = bytes(range(32))
NOW = 660.5 * EPOCH_S  # the middle of an epoch
PROLOGUE = b"peerkit, and so on"
Tamper = Callable[[int, bytes], bytes]


@dataclass(frozen=True)
class Node:
    identity: Identity
    security: NoiseSecurity
    keys: StaticKeys


def node(number: int, psk: bytes | None = None, network_id: bytes = NETWORK) -> Node:
    """The same number gives the same node, its ephemeral keys too."""
    identity = Identity(bytes([number]) * 32)

    def sign(purpose: str, body: bytes) -> Signed:
        return Signed(body, identity.sign(purpose, network_id, body))

    keys = StaticKeys(identity.peer_id, identity.derive_secret, sign)
    return Node(identity, NoiseSecurity(identity.peer_id, network_id, keys, random.Random(number), psk), keys)


def initiate(
    a: Node, to: Node | None = None, expect: Node | None = None, prologue: bytes = PROLOGUE, now: float = NOW
) -> NoiseHandshake:
    """IK when `to` is given, else XX."""
    static = to.security.static_key(now) if to else None
    expected = expect.identity.peer_id if expect else None
    return a.security.handshake(HandshakeParameters(True, prologue, b"hello of the initiator", expected, static, now))


def respond(b: Node, prologue: bytes = PROLOGUE, now: float = NOW) -> NoiseHandshake:
    return b.security.handshake(HandshakeParameters(False, prologue, b"hello of the responder", now_wall=now))


def run(
    initiator: NoiseHandshake, responder: NoiseHandshake, tamper: Tamper = lambda _, message: message
) -> list[bytes]:
    """Carry messages until nobody has one; `tamper(index, message)` may change them.  Returns them as sent."""
    sent: list[bytes] = []
    sides = (initiator, responder)
    while True:
        moved = False
        for sender, receiver in (sides, sides[::-1]):
            for message in sender.messages_to_send():
                sent.append(message)
                moved = True
                receiver.receive_message(tamper(len(sent) - 1, message))
        if not moved:
            return sent


def results(initiator: NoiseHandshake, responder: NoiseHandshake) -> tuple[HandshakeResult, HandshakeResult]:
    assert initiator.result is not None
    assert responder.result is not None
    return initiator.result, responder.result
