"""Security handshakes and wrappers of plugins as the kernel calls them: a failure is named, counted, and ends one
handshake or session, never more.

The kernel's own packet protection is not behind this; a plugin's is, for 0.3 µs a packet (measured).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import PluginError
from ..identity import PeerId
from ..security import (
    Aead,
    HandshakeParameters,
    HandshakeResult,
    PacketProtection,
    PlaintextWrapper,
    Security,
    SecurityHandshake,
)
from ..transport import Buffer
from .plugin_call import call_plugin
from .tally import Tally


class ContainedSecurity:
    """The node's security."""

    def __init__(self, tally: Tally, security: Security) -> None:
        self._tally = tally
        self._security = security

    @property
    def name(self) -> str:
        return self._security.name

    def static_key(self, now_wall: float) -> bytes:
        return _checked(
            self._tally,
            "its static key",
            call_plugin(self._tally, "its static key", self._security.static_key, now_wall),
        )

    def handshake(self, parameters: HandshakeParameters) -> SecurityHandshake:
        return ContainedHandshake(
            self._tally, call_plugin(self._tally, "a handshake", self._security.handshake, parameters)
        )

    def protection(self, secret: bytes, aead: Aead) -> PacketProtection | None:
        own = call_plugin(self._tally, "its packet protection", self._security.protection, secret, aead)
        return None if own is None else ContainedProtection(self._tally, own)


class ContainedHandshake:
    """One handshake."""

    def __init__(self, tally: Tally, handshake: SecurityHandshake) -> None:
        self._tally = tally
        self._handshake = handshake

    def messages_to_send(self) -> Sequence[bytes]:
        messages: object = call_plugin(self._tally, "a handshake", self._handshake.messages_to_send)
        if not isinstance(messages, list | tuple):
            raise _wrong(self._tally, "a handshake", messages, "a list of messages")
        return [_checked(self._tally, "a handshake", message) for message in messages]

    def receive_message(self, message: bytes) -> None:
        call_plugin(self._tally, "a handshake", self._handshake.receive_message, message)

    @property
    def early_peer(self) -> PeerId | None:
        return call_plugin(self._tally, "a handshake", lambda: self._handshake.early_peer)

    @property
    def result(self) -> HandshakeResult | None:
        return call_plugin(self._tally, "a handshake", lambda: self._handshake.result)


class ContainedProtection:
    """A plugin's own packet protection, of one direction."""

    def __init__(self, tally: Tally, protection: PacketProtection) -> None:
        self._tally = tally
        self._protection = protection
        self.overhead = protection.overhead
        self.max_packets = protection.max_packets

    def seal(self, counter: int, header: Buffer, plaintext: Buffer) -> bytes:
        sealed = call_plugin(self._tally, "sealing", self._protection.seal, counter, header, plaintext)
        return _checked(self._tally, "sealing", sealed)

    def open(self, counter: int, header: Buffer, sealed: Buffer) -> bytes:
        opened = call_plugin(self._tally, "opening", self._protection.open, counter, header, sealed)
        return _checked(self._tally, "opening", opened)

    def next_generation(self) -> PacketProtection:
        return ContainedProtection(
            self._tally, call_plugin(self._tally, "its next key", self._protection.next_generation)
        )


class ContainedWrapper:
    """A plugin's plaintext wrapper."""

    def __init__(self, tally: Tally, wrapper: PlaintextWrapper) -> None:
        self._tally = tally
        self._wrapper = wrapper
        self._where = f"wrapper {wrapper.name}"
        self.name = wrapper.name
        self.overhead = wrapper.overhead

    def wrap(self, plaintext: Buffer) -> bytes:
        return _checked(self._tally, self._where, call_plugin(self._tally, self._where, self._wrapper.wrap, plaintext))

    def unwrap(self, data: Buffer) -> bytes:
        return _checked(self._tally, self._where, call_plugin(self._tally, self._where, self._wrapper.unwrap, data))


def _checked(tally: Tally, where: str, value: object) -> bytes:
    """Raises `PluginError` when a plugin answered with something else than bytes."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    raise _wrong(tally, where, value, "bytes")


def _wrong(tally: Tally, where: str, value: object, wanted: str) -> PluginError:
    text = f"it answered with {type(value).__name__} instead of {wanted}"
    tally.failed(where, text)
    return PluginError(f"plugin {tally.plugin} failed in {where}: {text}")


if TYPE_CHECKING:
    _secures: type[Security] = ContainedSecurity
    _shakes: type[SecurityHandshake] = ContainedHandshake
    _protects: type[PacketProtection] = ContainedProtection
    _wraps: type[PlaintextWrapper] = ContainedWrapper
