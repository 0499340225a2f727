"""What a security plugin gives: the handshake that proves who is there, and the keys.

Security is a handshake, not a filter.  It is sans-IO: messages in, messages out.  What comes after it (sealing records
or packets, changing keys) is `PacketProtection`, the kernel's unless the plugin brings its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from .identity import PeerId
from .transport import Buffer


class Aead(IntEnum):
    """Bulk ciphers; the number is on the wire."""

    AES_256_GCM = 1
    CHACHA20_POLY1305 = 2


@dataclass(frozen=True, slots=True)
class HandshakeParameters:
    """What the kernel gives to one handshake.

    Attributes:
        initiator: whether we opened the connection.
        prologue: bytes that both sides must have the same (version, network, pipe binding).
        payload: our Hello.
        expected_peer: who must answer; any other peer makes the handshake fail.
        remote_static: the other side's long-term key from its signed record, when known: allows one round trip.
        now_wall: unix seconds, for certificates.
    """

    initiator: bool
    prologue: bytes
    payload: bytes
    expected_peer: PeerId | None = None
    remote_static: bytes | None = None
    now_wall: float = 0.0


@dataclass(frozen=True, slots=True)
class HandshakeResult:
    """A proven peer.

    Attributes:
        peer_id: proven by the handshake.
        payload: the other side's Hello.
        send_secret, receive_secret: 32 bytes each, input of the `PacketProtection`.
        transcript_hash: the same at both ends of this handshake and nowhere else.
        export_secret: 32 bytes; `export` derives from it.
        remote_static: the other side's long-term handshake key.
    """

    peer_id: PeerId
    payload: bytes
    send_secret: bytes
    receive_secret: bytes
    transcript_hash: bytes
    export_secret: bytes
    remote_static: bytes


class SecurityHandshake(Protocol):
    """One handshake, one side.  The carrier frames its messages; each is at most 8 KiB."""

    def messages_to_send(self) -> Sequence[bytes]:
        """Messages that are due now, in order; call after construction and after each `receive_message`."""
        ...

    def receive_message(self, message: bytes) -> None:
        """Take the other side's next message.  After a failure the state is as before, so a forged message kills
        nothing on a datagram transport.

        Raises:
            RemoteProtocolError: it does not verify, or proves a peer other than the expected one.
        """
        ...

    @property
    def early_peer(self) -> PeerId | None:
        """The peer that the other side's first message showed, before we answer (`None` while unknown): trust is asked
        here, so that a refused peer gets silence."""
        ...

    @property
    def result(self) -> HandshakeResult | None:
        """Set once the handshake is complete on this side.  A responder still waits for the first sealed record."""
        ...


class Security(Protocol):
    """A security plugin's object; exactly one per node."""

    @property
    def name(self) -> str: ...

    def static_key(self, now_wall: float) -> bytes:
        """Our long-term handshake key for the peer record (32 bytes, or empty)."""
        ...

    def handshake(self, parameters: HandshakeParameters) -> SecurityHandshake:
        """A new one.  Raises `LimitExceeded`: our Hello is longer than its messages can carry; 7,900 bytes must fit."""
        ...

    def protection(self, secret: bytes, aead: Aead) -> PacketProtection | None:
        """The plugin's own packet protection, or `None` for the kernel's."""
        ...


class PacketProtection(Protocol):
    """Seals and opens with one direction's key."""

    @property
    def overhead(self) -> int:
        """Bytes that sealing adds."""
        ...

    @property
    def max_packets(self) -> int:
        """Packets that one key may seal."""
        ...

    def seal(self, counter: int, header: Buffer, plaintext: Buffer) -> bytes: ...

    def open(self, counter: int, header: Buffer, sealed: Buffer) -> bytes:
        """Raises `VerificationFailed` when the packet is not what was sealed."""
        ...

    def next_generation(self) -> PacketProtection:
        """The protection with the next key."""
        ...


class PlaintextWrapper(Protocol):
    """Transforms the plaintext of a record before it is sealed and after it is opened (padding, another codec).
    Fixed when a session starts, in the profile's order, the same at both ends.  One object serves all sessions; what it
    wraps may be lost, repeated and reordered, so no call depends on another.  Buffers belong to the caller."""

    @property
    def name(self) -> str: ...

    @property
    def overhead(self) -> int:
        """Most bytes that `wrap` adds."""
        ...

    def wrap(self, plaintext: Buffer) -> bytes: ...

    def unwrap(self, data: Buffer) -> bytes:
        """At most 131,072 bytes.  Raises `RemoteProtocolError` when the data was not made by `wrap`, or holds more."""
        ...
