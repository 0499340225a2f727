"""A security plugin of somebody else: fresh X25519 keys, signed by the identity (SIGMA-I), in three messages.

    -> e
    <- e ‖ {peer id ‖ signature ‖ Hello}
    -> {peer id ‖ signature ‖ Hello}

`{…}` is ChaCha20-Poly1305 under a key of this handshake and role.  A signature covers the role and a hash of the
prologue and both fresh keys; each later key covers all messages before it.  There are no static keys.

Source: H. Krawczyk, SIGMA, CRYPTO 2003, §5.2; the encryption is the MAC that ties an identity to the key.
"""

import hashlib
from collections.abc import Callable, Sequence

import nacl.bindings as sodium
import nacl.exceptions

from peerkit.errors import LimitExceeded, RemoteProtocolError, VerificationFailed
from peerkit.identity import PEER_ID_BYTES, SIGNATURE_BYTES, PeerId, hkdf, verify
from peerkit.plugin import PluginContext, PluginSpec, Settings, hookimpl
from peerkit.security import Aead, HandshakeParameters, HandshakeResult, PacketProtection, Security

KEY_BYTES, TAG_BYTES = 32, 16
PROOF_BYTES = PEER_ID_BYTES + SIGNATURE_BYTES
MAX_MESSAGE_BYTES = 8_192
MAX_HELLO_BYTES = MAX_MESSAGE_BYTES - KEY_BYTES - PROOF_BYTES - TAG_BYTES
PURPOSE = "signed-keys"
INITIATOR, RESPONDER = b"initiator", b"responder"


class SignedKeys:
    """One per node."""

    name = "signed_keys"

    def __init__(self, ctx: PluginContext[Settings]) -> None:
        self.ctx = ctx

    @hookimpl
    def peerkit_register_wrappers(self) -> Sequence[Security]:
        return [self]

    def static_key(self, now_wall: float) -> bytes:
        return b""

    def handshake(self, parameters: HandshakeParameters) -> "SignedKeysHandshake":
        """Raises `LimitExceeded` when our own Hello is too long."""
        return SignedKeysHandshake(
            parameters, self.ctx.peer_id, self.ctx.network_id, self._sign, self.ctx.rng.randbytes
        )

    def protection(self, secret: bytes, aead: Aead) -> PacketProtection | None:
        return None

    def _sign(self, body: bytes) -> bytes:
        return self.ctx.sign(PURPOSE, body).signature


class SignedKeysHandshake:
    """One side.  `receive_message` changes nothing before all of a message is checked."""

    def __init__(
        self,
        parameters: HandshakeParameters,
        peer_id: PeerId,
        network_id: bytes,
        sign: Callable[[bytes], bytes],
        randbytes: Callable[[int], bytes],
    ) -> None:
        if len(parameters.payload) > MAX_HELLO_BYTES:
            raise LimitExceeded(f"a Hello of {len(parameters.payload)} bytes does not fit; {MAX_HELLO_BYTES} do")
        self._parameters, self._peer_id, self._network_id, self._sign = parameters, peer_id, network_id, sign
        self._secret = randbytes(KEY_BYTES)
        self._public = sodium.crypto_scalarmult_base(self._secret)
        self._shared = self._hash = b""  # both once the other side's fresh key is here
        self._due = [self._public] if parameters.initiator else []
        self._peer: PeerId | None = None
        self._hello = b""
        self._result: HandshakeResult | None = None

    @property
    def early_peer(self) -> PeerId | None:
        return self._peer

    @property
    def result(self) -> HandshakeResult | None:
        return self._result

    def messages_to_send(self) -> Sequence[bytes]:
        due, self._due = self._due, []
        return due

    def receive_message(self, message: bytes) -> None:
        if len(message) > MAX_MESSAGE_BYTES or self._result is not None:
            raise RemoteProtocolError("a handshake message that is too long or not due")
        if self._parameters.initiator:
            self._receive_second(message)
        elif not self._hash:
            self._receive_first(message)
        else:
            self._receive_third(message)

    def _receive_first(self, message: bytes) -> None:
        if len(message) != KEY_BYTES:
            raise RemoteProtocolError(f"a fresh key has {KEY_BYTES} bytes, not {len(message)}")
        shared = self._agree(message)
        self._shared, self._hash = shared, self._mix(self._parameters.prologue, message, self._public)
        sealed = self._seal(self._shared, self._hash, self._hash, RESPONDER)
        self._due = [self._public + sealed]
        self._first, self._hash = self._hash, self._mix(self._hash, sealed)

    def _receive_second(self, message: bytes) -> None:
        theirs, sealed = message[:KEY_BYTES], message[KEY_BYTES:]
        if len(theirs) != KEY_BYTES:
            raise RemoteProtocolError("the second message has no fresh key")
        shared = self._agree(theirs)
        first = self._mix(self._parameters.prologue, self._public, theirs)
        self._peer, self._hello = self._open(shared, first, first, RESPONDER, sealed)
        second = self._mix(first, sealed)
        proof = self._seal(shared, first, second, INITIATOR)
        self._due = [proof]
        self._complete(shared, self._mix(second, proof))

    def _receive_third(self, message: bytes) -> None:
        self._peer, self._hello = self._open(self._shared, self._first, self._hash, INITIATOR, message)
        self._complete(self._shared, self._mix(self._hash, message))

    def _agree(self, theirs: bytes) -> bytes:
        try:
            return sodium.crypto_scalarmult(self._secret, theirs)
        except nacl.exceptions.CryptoError:
            raise RemoteProtocolError("the other side's fresh key is a point of low order") from None

    def _seal(self, shared: bytes, fresh: bytes, salt: bytes, role: bytes) -> bytes:
        plain = self._peer_id.raw + self._sign(role + fresh) + self._parameters.payload
        return sodium.crypto_aead_chacha20poly1305_ietf_encrypt(plain, None, bytes(12), hkdf(shared, role, 32, salt))

    def _open(self, shared: bytes, fresh: bytes, salt: bytes, role: bytes, sealed: bytes) -> tuple[PeerId, bytes]:
        """Whom the message proves, and its Hello."""
        if len(sealed) < PROOF_BYTES + TAG_BYTES:
            raise RemoteProtocolError("a handshake message without a proof")
        try:
            plain = sodium.crypto_aead_chacha20poly1305_ietf_decrypt(
                sealed, None, bytes(12), hkdf(shared, role, 32, salt)
            )
            peer = PeerId(plain[:PEER_ID_BYTES])
            verify(peer, PURPOSE, self._network_id, role + fresh, plain[PEER_ID_BYTES:PROOF_BYTES])
        except (nacl.exceptions.CryptoError, VerificationFailed):
            raise RemoteProtocolError("the other side does not prove who it is") from None
        if peer == self._peer_id or self._parameters.expected_peer not in (None, peer):
            raise RemoteProtocolError(f"{peer.short} answered, which is not who was expected")
        return peer, plain[PROOF_BYTES:]

    def _complete(self, shared: bytes, transcript: bytes) -> None:
        assert self._peer is not None
        to_responder, to_initiator, export = (
            hkdf(shared, label, 32, transcript) for label in (b"to responder", b"to initiator", b"export")
        )
        send, receive = to_initiator, to_responder
        if self._parameters.initiator:
            send, receive = receive, send
        self._result = HandshakeResult(self._peer, self._hello, send, receive, transcript, export, b"")

    @staticmethod
    def _mix(*parts: bytes) -> bytes:
        return hashlib.sha256(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).digest()


plugin = PluginSpec(Settings, SignedKeys)
