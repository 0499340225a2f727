"""The text form of ids: 56 lower-case base32 characters with a kind and a check.

    base32(type(1) ‖ 32 bytes ‖ check(2)),  check = BLAKE2b("peerkit-text" ‖ type ‖ bytes)[:2]

56 characters without padding fit a DNS label and a disk that ignores case.  The type byte decides the first letter:
a peer id begins with `p`, a content id with `c`.  Source: `docs/wire-format.md` §1.
"""

import base64
import binascii
import hashlib
from enum import IntEnum

from .errors import UsageError


class Kind(IntEnum):
    """What an id names; the value is the type byte."""

    PEER = 0x78  # first five bits 01111 = "p"
    CONTENT = 0x10  # first five bits 00010 = "c"


_WORD = {Kind.PEER: "peer id", Kind.CONTENT: "content id"}
TEXT_CHARS = 56


def _check(kind: int, raw: bytes) -> bytes:
    return hashlib.blake2b(b"peerkit-text" + bytes((kind,)) + raw).digest()[:2]


def encode(kind: Kind, raw: bytes) -> str:
    """The 56-character text of `raw` (exactly 32 bytes)."""
    if len(raw) != 32:
        raise ValueError(f"an id has 32 bytes, not {len(raw)}")
    return base64.b32encode(bytes((kind,)) + raw + _check(kind, raw)).decode("ascii").lower()


def decode(kind: Kind, text: str) -> bytes:
    """The 32 bytes behind `text`.

    Raises:
        UsageError: the text has the wrong length or letters, is an id of another kind, or fails its check (a typing
            error); the sentence says which.
    """
    word = _WORD[kind]
    if len(text) != TEXT_CHARS:
        raise UsageError(f"{text[:64]!r} is not a {word}: it has {len(text)} characters, not {TEXT_CHARS}")
    try:
        data = base64.b32decode(text.upper().encode("ascii"))
    except (binascii.Error, UnicodeEncodeError):
        raise UsageError(f"{text!r} is not a {word}: only the letters a–z and digits 2–7 occur in one") from None
    if data[0] != kind:
        other = _WORD.get(Kind(data[0])) if data[0] in Kind.__members__.values() else None
        raise UsageError(f"{text!r} is {'a ' + other if other else 'something else'}, not a {word}")
    if data[33:] != _check(kind, data[1:33]):
        raise UsageError(f"{text!r} is not a {word}: its check does not match; was it copied whole?")
    return data[1:33]
