"""Peerkit's handshake: which Noise pattern, what the payloads carry, and whom a message proves.

    IK (the responder's static key is known)            XX (it is not)
    -> 1 ‖ e, es, s, ss, {certificate ‖ Hello}          -> 2 ‖ e
    <- e, ee, se, {certificate ‖ Hello}                 <- e, ee, s, es, {certificate ‖ Hello}
                                                        -> s, se, {certificate ‖ Hello}

The first byte of message 1 names the pattern.  With a pre-shared key both are the `psk0` forms, and a stranger's first
message does not verify.  Everything else is fixed in version 1: `25519_ChaChaPoly_BLAKE2s`.

In: messages.  Out: messages, at the end a `HandshakeResult`.  Not here: framing, time-outs, retransmission, trust.
"""

from collections.abc import Callable, Sequence

from peerkit.errors import LimitExceeded, RemoteProtocolError
from peerkit.identity import PeerId, hkdf
from peerkit.security import HandshakeParameters, HandshakeResult

from .handshake_state import HandshakeState
from .identity_certificate import CERTIFICATE_BYTES, CLOCK_TOLERANCE_S, StaticKey, StaticKeys
from .patterns import IK, XX, Pattern
from .x25519 import is_usable

MAX_MESSAGE_BYTES = 8_192  # the carrier's bound; a longer one is refused before anything is computed
MAX_PAYLOAD_BYTES = MAX_MESSAGE_BYTES - 1 - 32 - 48 - CERTIFICATE_BYTES - 16  # 7,991: what fits IK's first message
PATTERN_IK, PATTERN_XX = b"\1", b"\2"
Verify = Callable[[bytes, bytes], tuple[PeerId, int]]


class NoiseHandshake:
    """One side of one handshake; implements `peerkit.security.SecurityHandshake`.

    Args:
        verify: `verify_certificate` for our network.
        psk: of the private network, or `None`.
    """

    def __init__(
        self,
        parameters: HandshakeParameters,
        peer_id: PeerId,
        keys: StaticKeys,
        verify: Verify,
        make_secret: Callable[[], bytes],
        psk: bytes | None = None,
    ) -> None:
        if len(parameters.payload) > MAX_PAYLOAD_BYTES:
            raise LimitExceeded(
                f"a Hello of {len(parameters.payload)} bytes does not fit; at most {MAX_PAYLOAD_BYTES} do"
            )
        self._parameters = parameters
        self._peer_id = peer_id
        self._accepted = keys.accepted(parameters.now_wall)
        self._verify = verify
        self._make_secret = make_secret
        self._psk = psk
        self._key = self._accepted[0]
        self._peer: PeerId | None = None
        self._peer_payload = b""
        self._result: HandshakeResult | None = None
        self._state: HandshakeState | None = None  # a responder has none before message 1
        self._pattern_byte = b""
        if parameters.initiator:
            static = parameters.remote_static
            # A record may carry no key, or a useless one; XX then finds out who is there.
            knows = static is not None and is_usable(static) and not self._is_ours(static)
            self._pattern_byte = PATTERN_IK if knows else PATTERN_XX
            self._state = self._begin(IK if knows else XX, self._key, static if knows else None)

    @property
    def early_peer(self) -> PeerId | None:
        return self._peer

    @property
    def result(self) -> HandshakeResult | None:
        return self._result

    def messages_to_send(self) -> Sequence[bytes]:
        state = self._state
        if state is None or not state.is_our_turn:
            return ()
        start, self._pattern_byte = self._pattern_byte, b""
        # XX's first message is in clear: it carries nothing.
        is_bare = start == PATTERN_XX
        message = start + state.write_message(b"" if is_bare else self._key.certificate + self._parameters.payload)
        if state.is_complete:
            self._complete(state)
        return (message,)

    def receive_message(self, message: bytes) -> None:
        if not 0 < len(message) <= MAX_MESSAGE_BYTES:
            raise RemoteProtocolError(f"a handshake message of {len(message)} bytes is not allowed")
        if self._state is None:
            self._receive_first(message)
            return
        if self._state.is_complete or self._state.is_our_turn:
            raise RemoteProtocolError("a handshake message that is not due")
        state = self._state.copy()
        self._take_payload(state, state.read_message(message))
        self._state = state
        if state.is_complete:
            self._complete(state)

    def _receive_first(self, message: bytes) -> None:
        pattern_byte, message = message[:1], message[1:]
        if pattern_byte == PATTERN_XX:
            state = self._begin(XX, self._key, None)
            if state.read_message(message):
                raise RemoteProtocolError("the first message of XX carries data")
            self._state = state
        elif pattern_byte == PATTERN_IK:
            # The initiator may have read our record before the epoch changed.
            for key in self._accepted:
                state = self._begin(IK, key, None)
                try:
                    payload = state.read_message(message)
                except RemoteProtocolError:
                    if key is self._accepted[-1]:
                        raise
                    continue
                self._take_payload(state, payload)
                self._key, self._state = key, state
                return
        else:
            raise RemoteProtocolError(f"the unknown handshake pattern {pattern_byte[0]}")

    def _begin(self, pattern: Pattern, key: StaticKey, remote_static: bytes | None) -> HandshakeState:
        if self._psk is not None:
            pattern = _PSK_PATTERNS[pattern]
        parameters = self._parameters
        return HandshakeState(
            pattern, parameters.initiator, parameters.prologue, key.pair, self._make_secret, remote_static, self._psk
        )

    def _take_payload(self, state: HandshakeState, payload: bytes) -> None:
        """Check whom the message proves.  Changes nothing before everything is checked."""
        static = state.remote_static
        assert static is not None  # both patterns have sent it with the first payload
        if self._is_ours(static):
            raise RemoteProtocolError("the handshake came back to us: this address is our own, or someone reflects")
        peer_id, not_after = self._verify(static, payload[:CERTIFICATE_BYTES])
        if peer_id == self._peer_id:
            raise RemoteProtocolError("the peer proves our own identity: it runs somewhere else too")
        expected = self._parameters.expected_peer
        if expected is not None and peer_id != expected:
            raise RemoteProtocolError(f"{peer_id.short} answered where {expected.short} was expected")
        if not_after + CLOCK_TOLERANCE_S < self._parameters.now_wall:
            raise RemoteProtocolError(f"the certificate of {peer_id.short} has expired; check both clocks")
        self._peer, self._peer_payload = peer_id, payload[CERTIFICATE_BYTES:]

    def _is_ours(self, static: bytes) -> bool:
        return any(static == key.pair.public for key in self._accepted)

    def _complete(self, state: HandshakeState) -> None:
        assert self._peer is not None
        assert state.remote_static is not None
        send, receive = state.split()
        export = hkdf(state.chaining_key, b"peerkit v1 export", 32, salt=state.hash)
        self._result = HandshakeResult(
            self._peer, self._peer_payload, send, receive, state.hash, export, state.remote_static
        )


_PSK_PATTERNS = {IK: IK.with_psk(0), XX: XX.with_psk(0)}
