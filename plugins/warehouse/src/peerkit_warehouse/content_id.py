"""What content is called: the root of its Merkle tree.

On the wire `algorithm(1) ‖ root(32)`; in text 56 characters that begin with `c` (`peerkit.text_form`), which stand for
algorithm 1.  Whoever knows the id can verify kind, size and every range.  Source: `docs/wire-format.md`, content.
"""

from dataclasses import dataclass
from enum import IntEnum

from peerkit.errors import RemoteProtocolError
from peerkit.text_form import Kind as TextKind
from peerkit.text_form import decode, encode

BLAKE3_64K = 1  # the only algorithm of version 1: keyed BLAKE3, leaves of 64 KiB
WIRE_BYTES = 33


class ContentKind(IntEnum):
    """What the bytes under an id are."""

    FILE = 0
    FOLDER = 1  # the bytes are a manifest


@dataclass(frozen=True, slots=True)
class ContentId:
    """The name of one piece of content."""

    root: bytes

    def __post_init__(self) -> None:
        if len(self.root) != 32:
            raise ValueError(f"a content id has 32 bytes, not {len(self.root)}")

    @classmethod
    def parse(cls, text: str) -> "ContentId":
        """From the text form.  Raises `UsageError` that says what is wrong with it."""
        return cls(decode(TextKind.CONTENT, text))

    @classmethod
    def from_wire(cls, data: bytes) -> "ContentId":
        """Raises `RemoteProtocolError` for a wrong length or an unknown algorithm."""
        if len(data) != WIRE_BYTES:
            raise RemoteProtocolError(f"a content id has {WIRE_BYTES} bytes, not {len(data)}")
        if data[0] != BLAKE3_64K:
            raise RemoteProtocolError(f"content hash algorithm {data[0]} is unknown")
        return cls(data[1:])

    def to_wire(self) -> bytes:
        return bytes((BLAKE3_64K,)) + self.root

    @property
    def key(self) -> bytes:
        """The 32 bytes under which providers are announced."""
        return self.root

    @property
    def short(self) -> str:
        """Ten characters for logs; not unique."""
        return str(self)[:10]

    def __str__(self) -> str:
        return encode(TextKind.CONTENT, self.root)

    def __repr__(self) -> str:
        return f"<ContentId {self.short}>"
