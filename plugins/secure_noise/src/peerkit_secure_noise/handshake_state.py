"""`HandshakeState` of Noise (§5.3): walks a pattern's tokens, one message at a time.

In: messages, payloads, keys.  Out: messages, payloads, the remote static key, at the end the two `split` keys.
Not here: who a static key belongs to (`identity_certificate.py`), which pattern is used (`handshake.py`).

Source: The Noise Protocol Framework, revision 34.
"""

from collections.abc import Callable

from peerkit.errors import LocalProtocolError, RemoteProtocolError

from .patterns import Pattern, Token
from .symmetric_state import SymmetricState
from .x25519 import KEY_BYTES, KeyPair, is_usable, key_pair, shared_secret

SUITE = "25519_ChaChaPoly_BLAKE2s"


class HandshakeState:
    """One side of one handshake.

    Args:
        make_secret: gives 32 random bytes for the ephemeral key.
        remote_static: needed by an initiator whose pattern has it as a pre-message.
        psk: 32 bytes, needed by a pattern with a `psk` modifier.
    """

    __slots__ = (
        "_e",
        "_has_psk",
        "_initiator",
        "_make_secret",
        "_messages",
        "_psk",
        "_re",
        "_s",
        "_state",
        "_step",
        "remote_static",
    )

    def __init__(
        self,
        pattern: Pattern,
        initiator: bool,
        prologue: bytes,
        static: KeyPair,
        make_secret: Callable[[], bytes],
        remote_static: bytes | None = None,
        psk: bytes | None = None,
    ) -> None:
        if pattern.has_psk != (psk is not None) or (pattern.responder_pre and initiator) != (remote_static is not None):
            raise LocalProtocolError(f"the keys given do not fit the pattern {pattern.name}")
        self._messages = pattern.messages
        self._has_psk = psk is not None
        self._initiator = initiator
        self._make_secret = make_secret
        self._psk = psk
        self._s = static
        self._e: KeyPair | None = None
        self._re: bytes | None = None
        self.remote_static = remote_static
        self._step = 0
        self._state = SymmetricState(f"Noise_{pattern.name}_{SUITE}".encode("ascii"))
        self._state.mix_hash(prologue)
        if pattern.responder_pre:
            known = remote_static if initiator else static.public
            assert known is not None
            self._state.mix_hash(known)

    def copy(self) -> "HandshakeState":
        twin = HandshakeState.__new__(HandshakeState)
        twin._messages, twin._has_psk, twin._initiator = self._messages, self._has_psk, self._initiator
        twin._make_secret, twin._psk = self._make_secret, self._psk
        twin._s, twin._e, twin._re = self._s, self._e, self._re
        twin.remote_static, twin._step = self.remote_static, self._step
        twin._state = self._state.copy()
        return twin

    @property
    def is_complete(self) -> bool:
        return self._step == len(self._messages)

    @property
    def is_our_turn(self) -> bool:
        return not self.is_complete and (self._step % 2 == 0) == self._initiator

    @property
    def hash(self) -> bytes:
        """After the last message the same at both ends and nowhere else."""
        return self._state.hash

    @property
    def chaining_key(self) -> bytes:
        return self._state.chaining_key

    def write_message(self, payload: bytes) -> bytes:
        """Our next message.  Raises `LocalProtocolError` when it is not our turn."""
        if not self.is_our_turn:
            raise LocalProtocolError("it is the other side's turn in this handshake")
        state, out = self._state, []
        for token in self._messages[self._step]:
            match token:
                case Token.E:
                    self._e = key_pair(self._make_secret())
                    out.append(self._e.public)
                    self._mix_ephemeral(self._e.public)
                case Token.S:
                    out.append(state.encrypt_and_hash(self._s.public))
                case _:
                    self._mix(token)
        out.append(state.encrypt_and_hash(payload))
        self._step += 1
        return b"".join(out)

    def read_message(self, message: bytes) -> bytes:
        """The payload of the other side's next message.  After a failure this state is spoilt: read on a `copy`.

        Raises:
            RemoteProtocolError: too short, does not verify, a point of low order, or our own ephemeral key sent back.
            LocalProtocolError: it is our turn.
        """
        if self.is_complete or self.is_our_turn:
            raise LocalProtocolError("it is our turn in this handshake")
        state, at = self._state, 0
        for token in self._messages[self._step]:
            match token:
                case Token.E:
                    self._re, at = _take(message, at, KEY_BYTES), at + KEY_BYTES
                    if not is_usable(self._re):
                        raise RemoteProtocolError("the peer's ephemeral key is a point of low order")
                    if self._e is not None and self._re == self._e.public:
                        raise RemoteProtocolError("the peer sent our own ephemeral key back")
                    self._mix_ephemeral(self._re)
                case Token.S:
                    length = KEY_BYTES + state.cipher.overhead
                    self.remote_static = state.decrypt_and_hash(_take(message, at, length))
                    at += length
                    if not is_usable(self.remote_static):
                        raise RemoteProtocolError("the peer's static key is a point of low order")
                case _:
                    self._mix(token)
        payload = state.decrypt_and_hash(message[at:])
        self._step += 1
        return payload

    def split(self) -> tuple[bytes, bytes]:
        """The keys to send and to receive with.  Raises `LocalProtocolError` before the last message."""
        if not self.is_complete:
            raise LocalProtocolError("this handshake is not complete")
        first, second = self._state.split()
        return (first, second) if self._initiator else (second, first)

    def _mix_ephemeral(self, public: bytes) -> None:
        self._state.mix_hash(public)
        if self._has_psk:
            self._state.mix_key(public)  # §9.2: or the psk would encrypt two first messages alike

    def _mix(self, token: Token) -> None:
        if token is Token.PSK:
            assert self._psk is not None
            self._state.mix_key_and_hash(self._psk)
            return
        ours, theirs = token.value if self._initiator else reversed(token.value)
        secret = self._e if ours == "e" else self._s
        public = self._re if theirs == "e" else self.remote_static
        assert secret is not None  # the patterns name no key before it was exchanged
        assert public is not None
        self._state.mix_key(shared_secret(secret.secret, public))


def _take(message: bytes, at: int, length: int) -> bytes:
    part = message[at : at + length]
    if len(part) != length:
        raise RemoteProtocolError("a handshake message is too short")
    return part
