"""A plaintext wrapper that pads passes the checks; each check fails on one that breaks just its promise."""

import itertools
import zlib
from collections.abc import Callable

import pytest

from peerkit.errors import RemoteProtocolError
from peerkit.security import PlaintextWrapper
from peerkit.testing.wrapper_checks import WRAPPER_CHECKS, WrapperCheck
from peerkit.transport import Buffer

BLOCK_BYTES = 64
MAX_BYTES = 131_072


class Padding:
    """Fills up to whole blocks: plaintext ‖ 0x80 ‖ zeros."""

    def __init__(self) -> None:
        self.name = "padding"
        self.overhead = BLOCK_BYTES

    def wrap(self, plaintext: Buffer) -> bytes:
        return bytes(plaintext) + b"\x80" + bytes(-(len(plaintext) + 1) % BLOCK_BYTES)

    def unwrap(self, data: Buffer) -> bytes:
        plaintext = bytes(data).rstrip(b"\0")
        if len(data) % BLOCK_BYTES or not plaintext.endswith(b"\x80") or len(data) > MAX_BYTES:
            raise RemoteProtocolError("a record is not padded as it must be")
        return plaintext[:-1]


class LosesZeros(Padding):
    def unwrap(self, data: Buffer) -> bytes:
        return super().unwrap(data).rstrip(b"\0")


class UnderstatesItself(Padding):
    def __init__(self) -> None:
        super().__init__()
        self.overhead = 1


class Counts(Padding):
    def __init__(self) -> None:
        super().__init__()
        self.sent, self.received = itertools.count(), itertools.count()

    def wrap(self, plaintext: Buffer) -> bytes:
        return super().wrap(bytes([next(self.sent) % 256]) + plaintext)

    def unwrap(self, data: Buffer) -> bytes:
        plaintext = super().unwrap(data)
        if not plaintext or plaintext[0] != next(self.received) % 256:
            raise RemoteProtocolError("a record is not the next")
        return plaintext[1:]


class GivesTheCallersBuffer(Padding):
    def unwrap(self, data: Buffer) -> bytes:
        return memoryview(data)[: len(super().unwrap(data))]  # type: ignore[return-value]


class Stumbles(Padding):
    def unwrap(self, data: Buffer) -> bytes:
        data[0]
        return super().unwrap(data)


class Shrinks(Padding):
    def wrap(self, plaintext: Buffer) -> bytes:
        return zlib.compress(plaintext, 1)

    def unwrap(self, data: Buffer) -> bytes:
        try:
            return zlib.decompress(data)
        except zlib.error:
            raise RemoteProtocolError("a record does not unpack") from None


class NamesItselfAnew(Padding):
    numbers = itertools.count()

    def __init__(self) -> None:
        super().__init__()
        self.name = f"padding {next(self.numbers)}"


SABOTEURS: dict[str, tuple[Callable[[], PlaintextWrapper], str]] = {
    "what_was_wrapped_unwraps": (LosesZeros, "1 bytes came back changed"),
    "its_overhead_is_true": (UnderstatesItself, "wrapping 1 bytes adds 63, more than 1"),
    "each_call_stands_alone": (Counts, "what was lost, repeated or reordered spoils the others"),
    "buffers_stay_the_callers": (GivesTheCallersBuffer, "what was unwrapped still stands in the caller's buffer"),
    "what_it_did_not_wrap_is_refused_or_harmless": (Stumbles, "may raise RemoteProtocolError and nothing else"),
    "a_bomb_is_refused": (Shrinks, r"unwrapping \d+ bytes that hold 262144 gave 262144 bytes"),
    "both_ends_name_it_alike": (NamesItselfAnew, "the name must be the same on every node"),
}
EVERY_CHECK = pytest.mark.parametrize("check", WRAPPER_CHECKS, ids=lambda check: check.__name__)


@EVERY_CHECK
def test_padding_passes_the_check(check: WrapperCheck) -> None:
    check(Padding)


@EVERY_CHECK
def test_the_check_sees_the_broken_wrapper(check: WrapperCheck) -> None:
    broken, sentence = SABOTEURS[check.__name__]
    with pytest.raises(AssertionError, match=sentence):
        check(broken)


def test_no_saboteur_is_without_its_check() -> None:
    assert set(SABOTEURS) == {check.__name__ for check in WRAPPER_CHECKS}
