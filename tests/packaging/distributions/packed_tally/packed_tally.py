"""A protocol of somebody else, with a codec of its own: plain `struct`, no protobuf.

    request: { number i64 }*        at most 64 of them
    answer:  how many u32 ‖ sum i64

In: a peer's numbers.  Out: how many and how much all peers have sent so far.
"""

import struct
from collections.abc import Sequence

from peerkit import ProtocolSpec, Request
from peerkit.errors import RemoteProtocolError
from peerkit.plugin import PluginContext, PluginSpec, Settings, hookimpl

PROTOCOL = "example.org/tally"
NUMBER, ANSWER = struct.Struct("!q"), struct.Struct("!Iq")
MAX_NUMBERS = 64
MAX_SUM = (1 << 63) - 1


def encode_numbers(numbers: Sequence[int]) -> bytes:
    return b"".join(map(NUMBER.pack, numbers))


def decode_numbers(data: bytes) -> list[int]:
    """Raises `RemoteProtocolError`."""
    if len(data) % NUMBER.size or len(data) > MAX_NUMBERS * NUMBER.size:
        raise RemoteProtocolError(f"a tally takes up to {MAX_NUMBERS} numbers of 8 bytes, not {len(data)} bytes")
    return [number for (number,) in NUMBER.iter_unpack(data)]


def decode_answer(data: bytes) -> tuple[int, int]:
    """How many, and their sum.  Raises `RemoteProtocolError`."""
    if len(data) != ANSWER.size:
        raise RemoteProtocolError(f"a tally's answer has {ANSWER.size} bytes, not {len(data)}")
    count, total = ANSWER.unpack(data)
    return count, total


class PackedTally:
    """One per node."""

    def __init__(self, ctx: PluginContext[Settings]) -> None:
        self._count = self._sum = 0

    @hookimpl
    def peerkit_register_protocols(self) -> Sequence[ProtocolSpec]:
        return [ProtocolSpec(PROTOCOL, "1.0.0", on_request=self._answer)]

    def _answer(self, request: Request) -> bytes:
        numbers = decode_numbers(request.payload)
        self._count = (self._count + len(numbers)) % (1 << 32)
        self._sum = max(-MAX_SUM, min(MAX_SUM, self._sum + sum(numbers)))
        return ANSWER.pack(self._count, self._sum)


plugin = PluginSpec(Settings, PackedTally)
