"""A posting: what a publisher says about one piece of content, signed, at most 512 bytes.

It carries the document's full set of terms, so that the index peers of *one* word can answer for all words of a query.
A *tombstone* is a posting with a higher sequence that withdraws the content; it keeps the terms, so that it is found
wherever the posting was.  Checked in order of cost: length, type, form, signature.
"""

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from peerkit.errors import RemoteProtocolError, VerificationFailed
from peerkit.identity import PEER_ID_BYTES, PeerId, verify
from peerkit.record import Signed

from . import codec
from .codec import MAX_TYPE_CHARS
from .terms import MAX_TERMS, TERM_ID_BYTES, term_id

MAX_POSTING_BYTES = 512  # the whole Signed; 100 of them answer a query in less than 64 KiB
MAX_BODY_BYTES = MAX_POSTING_BYTES - 69  # the signature, three tags and lengths
MAX_TITLE_BYTES = 144
LIFE_S = 24 * 3600.0  # as every signed record lives, PROTOCOL §1
MAX_AHEAD_S = 600.0  # how far a publisher's clock may be ahead of ours
PURPOSE = "search-posting"
ALGORITHM = 1  # BLAKE3 tree; the only one there is
CONTENT_BYTES = 33

_BAD = frozenset({"Cc", "Cs", "Co", "Cn", "Zl", "Zp"})
# Marks that turn the direction of text: a title must not show `exe.fdp` as `pdf.exe`.
_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")


@dataclass(frozen=True, slots=True)
class Posting:
    """Attributes:
    content: algorithm ‖ root, 33 bytes.
    sequence: higher replaces lower for the same publisher and content.
    expires_at: unix seconds.
    withdrawn: a tombstone; title, size and type are then empty.
    title: at most 144 bytes of UTF-8, clean enough to print.
    terms: ids of the document's terms, 1 to 24.
    data: the bytes to pass on (`Signed`).
    """

    publisher: PeerId
    content: bytes
    sequence: int
    expires_at: float
    withdrawn: bool
    title: str
    size_bytes: int
    type: str
    terms: tuple[bytes, ...]
    data: bytes = field(repr=False)

    @property
    def root(self) -> bytes:
        return self.content[1:]


def clean_title(name: str) -> str:
    """`name` as a title: without characters that a title may not have, cut to 144 bytes."""
    kept = "".join("\ufffd" if not _is_clean(char) else char for char in unicodedata.normalize("NFC", name))
    data = kept.encode("utf-8", "replace")
    return kept if len(data) <= MAX_TITLE_BYTES else data[: MAX_TITLE_BYTES - 3].decode("utf-8", "ignore") + "…"


def _is_clean(char: str) -> bool:
    return char not in _TURNING and unicodedata.category(char) not in _BAD


def make_posting(
    sign: Callable[[str, bytes], Signed],
    publisher: PeerId,
    root: bytes,
    title: str,
    size_bytes: int,
    type: str,
    terms: Sequence[str],
    sequence: int,
    now_wall: float,
    withdrawn: bool = False,
    life_s: float = LIFE_S,
) -> Posting:
    """Sign one.

    Args:
        sign: `PluginContext.sign`.
        root: 32 bytes.
        terms: the document's terms, as `Analyzer.document_terms` gives them; at least one.
    """
    ids = tuple(dict.fromkeys(term_id(term) for term in terms))[:MAX_TERMS]
    expires_ms = int((now_wall + life_s) * 1000)
    fields = codec.PostingFields(
        publisher.raw,
        bytes((ALGORITHM,)) + root,
        sequence,
        expires_ms,
        withdrawn,
        "" if withdrawn else clean_title(title),
        0 if withdrawn else size_bytes,
        "" if withdrawn else type[:MAX_TYPE_CHARS],
        b"".join(ids),
    )
    signed = sign(PURPOSE, codec.encode_posting(fields))
    return _posting(fields, ids, signed.to_bytes())


@dataclass(frozen=True, slots=True)
class Unverified:
    """A posting whose form is right and whose signature was not looked at yet."""

    posting: Posting
    signed: Signed

    def verify(self, network_id: bytes) -> Posting:
        """Raises `RemoteProtocolError` when it is not signed by its publisher."""
        try:
            verify(self.posting.publisher, PURPOSE, network_id, self.signed.body, self.signed.signature)
        except VerificationFailed as exc:
            raise RemoteProtocolError(f"a posting is not signed by its publisher: {exc}") from exc
        return self.posting


def read_posting(data: bytes, now_wall: float) -> Unverified:
    """Check everything but the signature.

    Raises:
        RemoteProtocolError: too long, malformed, with a field that may not be so, expired, or living too long.
    """
    if len(data) > MAX_POSTING_BYTES:
        raise RemoteProtocolError(f"a posting of {len(data)} bytes is longer than {MAX_POSTING_BYTES}")
    signed = Signed.from_bytes(data, MAX_BODY_BYTES)
    fields = codec.decode_posting(signed.body)
    if len(fields.publisher) != PEER_ID_BYTES or len(fields.content) != CONTENT_BYTES or fields.content[0] != ALGORITHM:
        raise RemoteProtocolError("a posting has a publisher or content id that is none")
    ids = codec.split_ids(fields.terms, MAX_TERMS)
    if len(set(ids)) != len(ids):
        raise RemoteProtocolError("a posting names a term twice")
    if len(fields.title.encode()) > MAX_TITLE_BYTES or not (
        fields.title.isprintable() or all(map(_is_clean, fields.title))
    ):
        raise RemoteProtocolError("a posting's title is too long or holds control characters")
    if len(fields.type) > MAX_TYPE_CHARS or not (fields.type.isascii() and fields.type.isprintable()):
        raise RemoteProtocolError("a posting's type is too long or not plain text")
    if fields.withdrawn and (fields.title or fields.size_bytes or fields.type):
        raise RemoteProtocolError("a tombstone describes its content")
    if not fields.withdrawn and not fields.title.strip():
        raise RemoteProtocolError("a posting has no title")
    left_s = fields.expires_ms / 1000 - now_wall
    if not 0 < left_s <= LIFE_S + MAX_AHEAD_S:
        raise RemoteProtocolError("a posting has expired or claims to live for more than 24 h")
    return Unverified(_posting(fields, ids, data), signed)


def own_posting(data: bytes) -> Posting:
    """A posting that we made ourselves, expired or not, back from our own database."""
    fields = codec.decode_posting(Signed.from_bytes(data, MAX_BODY_BYTES).body)
    return _posting(fields, codec.split_ids(fields.terms, MAX_TERMS), data)


def _posting(fields: codec.PostingFields, ids: tuple[bytes, ...], data: bytes) -> Posting:
    return Posting(
        PeerId(fields.publisher),
        fields.content,
        fields.sequence,
        fields.expires_ms / 1000,
        fields.withdrawn,
        fields.title,
        fields.size_bytes,
        fields.type,
        ids,
        data,
    )


assert TERM_ID_BYTES * MAX_TERMS + MAX_TITLE_BYTES + MAX_TYPE_CHARS + 107 <= MAX_BODY_BYTES  # the fixed fields and tags
