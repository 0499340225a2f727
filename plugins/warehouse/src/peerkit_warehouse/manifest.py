"""A folder as content: the list of its files, deterministic, so that one folder has one id.

    version u8 = 1 ‖ count u32 ‖ { kind u8 ‖ path length u16 ‖ path ‖ size u64 ‖ content id(33) }*

sorted by the path's UTF-8 bytes.  Kind 0 is a file, 1 an empty folder (size 0, id of zero bytes, not looked at).  Paths
are relative with `/`, made of safe names, unique on every disk.  Not protobuf: its encoding is not canonical.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from peerkit.errors import RemoteProtocolError, UsageError

from .content_id import BLAKE3_64K, WIRE_BYTES, ContentId
from .merkle_tree import MAX_SIZE
from .safe_name import MAX_PATH_BYTES, check_unique, safe_path

VERSION = 1
MAX_ENTRIES = 65_536  # a manifest that makes us create more files is refused: inode exhaustion
MAX_MANIFEST_BYTES = 16 * 1024 * 1024  # read into memory whole

_HEAD = struct.Struct("!BI")
_ENTRY = struct.Struct("!BH")
_TAIL = struct.Struct(f"!Q{WIRE_BYTES}s")
_NO_ID = bytes((BLAKE3_64K,)) + bytes(32)


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a folder; `content` is `None` for an empty folder."""

    path: str
    size: int
    content: ContentId | None


@dataclass(frozen=True, slots=True)
class Manifest:
    """A folder's entries, sorted by path."""

    entries: tuple[Entry, ...]

    @property
    def total_bytes(self) -> int:
        """Size of all files together."""
        return sum(e.size for e in self.entries)

    @property
    def files(self) -> Sequence[Entry]:
        return [e for e in self.entries if e.content is not None]

    @classmethod
    def of(cls, entries: Sequence[Entry]) -> "Manifest":
        """Of a folder on our disk.

        Raises:
            UsageError: a path may not be shared, two collide, or there are too many.
        """
        if len(entries) > MAX_ENTRIES:
            raise UsageError(
                f"a folder of {len(entries):,} files is too large (at most {MAX_ENTRIES:,}): share its parts"
            )
        checked = [Entry(safe_path(e.path), e.size, e.content) for e in entries]
        _check(checked)
        manifest = cls(tuple(sorted(checked, key=lambda e: e.path.encode())))
        if len(manifest.to_bytes()) > MAX_MANIFEST_BYTES:
            raise UsageError("the folder's list of files is longer than 16 MiB: share its parts")
        return manifest

    def to_bytes(self) -> bytes:
        out = [_HEAD.pack(VERSION, len(self.entries))]
        for entry in self.entries:
            path = entry.path.encode()
            out.append(_ENTRY.pack(entry.content is None, len(path)) + path)
            out.append(_TAIL.pack(entry.size, _NO_ID if entry.content is None else entry.content.to_wire()))
        return b"".join(out)

    @classmethod
    def from_bytes(cls, data: bytes) -> "Manifest":
        """From outside.

        Raises:
            RemoteProtocolError: too long, malformed, not sorted, or with paths that may not be made here.
        """
        if len(data) > MAX_MANIFEST_BYTES:
            raise RemoteProtocolError(f"a folder's list of {len(data)} bytes is longer than 16 MiB")
        try:
            entries = _parse(data)
            _check(entries)
        except (struct.error, UnicodeDecodeError):
            raise RemoteProtocolError("a folder's list of files is malformed") from None
        except UsageError as exc:
            raise RemoteProtocolError(f"a folder's list of files is refused: {exc}") from None
        return cls(tuple(entries))


def _parse(data: bytes) -> list[Entry]:
    version, count = _HEAD.unpack_from(data)
    if version != VERSION:
        raise RemoteProtocolError(f"a folder's list has version {version}, we know {VERSION}")
    if count > MAX_ENTRIES:
        raise RemoteProtocolError(f"a folder's list has {count} entries, more than {MAX_ENTRIES}")
    entries, at, last = [], _HEAD.size, b""
    for _ in range(count):
        kind, length = _ENTRY.unpack_from(data, at)
        at += _ENTRY.size
        if kind > 1 or not 0 < length <= MAX_PATH_BYTES:
            raise RemoteProtocolError("a folder's list holds an entry of an unknown kind or length")
        raw = data[at : at + length]
        at += length
        size, wire = _TAIL.unpack_from(data, at)
        at += _TAIL.size
        if raw <= last or size > (0 if kind else MAX_SIZE) or (kind and wire != _NO_ID):
            raise RemoteProtocolError("a folder's list is not sorted, or a size is impossible")
        last = raw
        path = raw.decode("utf-8")
        if safe_path(path) != path:
            raise RemoteProtocolError("a folder's list holds a name that is not in NFC")
        entries.append(Entry(path, size, None if kind else ContentId.from_wire(wire)))
    if at != len(data):
        raise RemoteProtocolError("a folder's list goes on after its last entry")
    return entries


def _check(entries: Sequence[Entry]) -> None:
    check_unique([e.path for e in entries if e.content is not None], [e.path for e in entries if e.content is None])
    if sum(e.size for e in entries) > MAX_SIZE:
        raise UsageError("the folder is larger than any disk")
