"""Bytes that a stranger may send where a plugin expects a message: made from valid ones, and from nothing."""

import random
from collections.abc import Iterator, Sequence

FLIPS = 8  # of each sample; hypothesis of the plugin's own tests looks further
CUTS = 6
LENGTHS = (1, 2, 3, 8, 31, 32, 33, 64, 255, 1_024, 4_096)


def hostile_bytes(samples: Sequence[bytes] = (), longest: int = 65_536, seed: int = 0) -> list[bytes]:
    """Empty, random, repeated, cut off, with flipped bits, doubled, with something behind, and as long as allowed.

    Args:
        samples: valid messages.
        longest: nothing is longer than this.
        seed: the same gives the same.
    """
    found = dict.fromkeys(data[:longest] for data in _all(samples, longest, random.Random(seed)))
    return [data for data in found if data not in samples]


def _all(samples: Sequence[bytes], longest: int, rng: random.Random) -> Iterator[bytes]:
    yield b""
    for byte in (0x00, 0x08, 0x0A, 0x7F, 0x80, 0xFF):  # also what protobuf reads as tags and endless numbers
        yield bytes([byte])
        yield bytes([byte]) * 64
    yield b"\xed\xa0\x80 \xff\xfe \x00 \xe2\x80\xae"  # no UTF-8, a surrogate, NUL, right-to-left
    yield b"[" * 2_000  # nested without end, where a parser recurses
    for length in LENGTHS:
        yield rng.randbytes(length)
    for sample in samples:
        yield from _of(sample, rng)
        yield sample + bytes(max(0, longest - len(sample)))
    yield bytes(longest)
    yield rng.randbytes(longest)


def _of(sample: bytes, rng: random.Random) -> Iterator[bytes]:
    size = len(sample)
    if not size:
        return
    yield sample + sample
    yield sample + b"\x00"
    yield sample[:-1]
    yield sample[1:]
    yield sample[::-1]
    for _ in range(CUTS):
        yield sample[: rng.randrange(size)]
    for _ in range(FLIPS):
        changed = bytearray(sample)
        changed[rng.randrange(size)] ^= 1 << rng.randrange(8)
        yield bytes(changed)
    for value in (0x00, 0xFF):  # a length that says too little or too much
        changed = bytearray(sample)
        changed[rng.randrange(size)] = value
        yield bytes(changed)
