"""The search messages as plain Python values.  The only module that imports the generated code.

Every decoder takes bytes from outside: it checks the length before it parses and the number of repetitions before it
walks them, and raises nothing but `RemoteProtocolError`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from google.protobuf.message import DecodeError

from peerkit.errors import RemoteProtocolError

from .terms import MAX_ALTERNATIVES, MAX_QUERY_WORDS, MAX_TERMS, TERM_ID_BYTES
from .wire.v1 import search_pb2 as pb

MAX_MESSAGE_BYTES = 65_536
MAX_ITEMS = 128  # of one Store; 128 × (512 + ticket) fits 64 KiB only just
MAX_HITS = 100  # of one answer; bounds what the asker verifies for one request to some 7 ms
MAX_TYPE_CHARS = 48
TICKET_BYTES = 32
MAX_WAIT_MS = 24 * 3_600_000


class OutcomeCode(IntEnum):
    """What became of one stored item."""

    STORED = 0
    WAIT = 1  # come back after `wait_s` with the ticket
    REFUSED = 2


@dataclass(frozen=True, slots=True)
class StoreItem:
    """A signed posting to keep, the numbers of the terms to index it under (bits), and a ticket or `b""`."""

    posting: bytes
    index_under: int
    ticket: bytes = b""


@dataclass(frozen=True, slots=True)
class StoreRequest:
    items: tuple[StoreItem, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer to one `StoreItem`."""

    code: OutcomeCode
    wait_s: float = 0.0
    ticket: bytes = b""


@dataclass(frozen=True, slots=True)
class StoreAnswer:
    outcomes: tuple[Outcome, ...]


# One word: alternatives, each a set of term ids that must all be there.
WordIds = tuple[frozenset[bytes], ...]


@dataclass(frozen=True, slots=True)
class QueryRequest:
    """Attributes:
    key: the id of the term whose list is searched.
    type: empty, a MIME type, or its first half.
    """

    key: bytes
    words: tuple[WordIds, ...]
    limit: int
    type: str = ""


@dataclass(frozen=True, slots=True)
class Hit:
    """A signed posting and a hash of the network prefix that the answerer got it from (0: local or unknown)."""

    posting: bytes
    neighbourhood: int = 0


@dataclass(frozen=True, slots=True)
class QueryAnswer:
    hits: tuple[Hit, ...]
    matches: int
    count: int


@dataclass(frozen=True, slots=True)
class CountRequest:
    terms: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class CountAnswer:
    counts: tuple[int, ...]


Request = StoreRequest | QueryRequest | CountRequest
Answer = StoreAnswer | QueryAnswer | CountAnswer


@dataclass(frozen=True, slots=True)
class PostingFields:
    """`Posting`, unchecked but for the split of its terms."""

    publisher: bytes
    content: bytes
    sequence: int
    expires_ms: int
    withdrawn: bool
    title: str
    size_bytes: int
    type: str
    terms: bytes


def encode_posting(fields: PostingFields) -> bytes:
    return pb.Posting(
        publisher=fields.publisher,
        content=fields.content,
        sequence=fields.sequence,
        expires_ms=fields.expires_ms,
        withdrawn=fields.withdrawn,
        title=fields.title,
        size_bytes=fields.size_bytes,
        type=fields.type,
        terms=fields.terms,
    ).SerializeToString()


def decode_posting(data: bytes) -> PostingFields:
    """The caller has checked the length."""
    m = pb.Posting()
    _parse(m, data)
    return PostingFields(
        m.publisher, m.content, m.sequence, m.expires_ms, m.withdrawn, m.title, m.size_bytes, m.type, m.terms
    )


def encode_request(request: Request) -> bytes:
    match request:
        case StoreRequest(items):
            return pb.Request(
                store=pb.Store(
                    items=[pb.Item(posting=i.posting, index_under=i.index_under, ticket=i.ticket) for i in items]
                )
            ).SerializeToString()
        case QueryRequest(key, words, limit, type_):
            rows = [pb.Word(alternatives=[b"".join(sorted(ids)) for ids in word]) for word in words]
            return pb.Request(query=pb.Query(key=key, words=rows, limit=limit, type=type_)).SerializeToString()
        case CountRequest(terms):
            return pb.Request(count=pb.Count(terms=b"".join(terms))).SerializeToString()


def decode_request(data: bytes) -> Request:
    message = pb.Request()
    _parse(message, data)
    kind = message.WhichOneof("kind")
    if kind == "store":
        items = message.store.items
        if not 1 <= len(items) <= MAX_ITEMS:
            raise RemoteProtocolError(f"a store request has {len(items)} items, not 1 to {MAX_ITEMS}")
        return StoreRequest(tuple(StoreItem(i.posting, i.index_under, _ticket(i.ticket)) for i in items))
    if kind == "query":
        return _query(message.query)
    if kind == "count":
        return CountRequest(split_ids(message.count.terms, MAX_TERMS))
    raise RemoteProtocolError("a search request is of an unknown kind")


def _query(message: pb.Query) -> QueryRequest:
    if (
        len(message.key) != TERM_ID_BYTES
        or not 1 <= len(message.words) <= MAX_QUERY_WORDS
        or len(message.type) > MAX_TYPE_CHARS
    ):
        raise RemoteProtocolError("a query has a key, a number of words or a type of a wrong length")
    words: list[WordIds] = []
    for word in message.words:
        if not 1 <= len(word.alternatives) <= MAX_ALTERNATIVES:
            raise RemoteProtocolError(
                f"a query word has {len(word.alternatives)} alternatives, not 1 to {MAX_ALTERNATIVES}"
            )
        words.append(tuple(frozenset(split_ids(ids, MAX_ALTERNATIVES)) for ids in word.alternatives))
    return QueryRequest(message.key, tuple(words), min(max(message.limit, 1), MAX_HITS), message.type)


def encode_answer(answer: Answer) -> bytes:
    match answer:
        case StoreAnswer(outcomes):
            rows = [
                pb.Outcome(code=o.code, wait_ms=min(round(o.wait_s * 1000), MAX_WAIT_MS), ticket=o.ticket)
                for o in outcomes
            ]
            return pb.Answer(store=pb.StoreAnswer(outcomes=rows)).SerializeToString()
        case QueryAnswer(hits, matches, count):
            found = [pb.Hit(posting=h.posting, neighbourhood=h.neighbourhood) for h in hits]
            return pb.Answer(query=pb.QueryAnswer(hits=found, matches=matches, count=count)).SerializeToString()
        case CountAnswer(counts):
            return pb.Answer(count=pb.CountAnswer(counts=counts)).SerializeToString()


def decode_answer(data: bytes) -> Answer:
    message = pb.Answer()
    _parse(message, data)
    kind = message.WhichOneof("kind")
    if kind == "store":
        if len(message.store.outcomes) > MAX_ITEMS:
            raise RemoteProtocolError("a store answer has too many outcomes")
        return StoreAnswer(tuple(_outcome(o) for o in message.store.outcomes))
    if kind == "query":
        if len(message.query.hits) > MAX_HITS:
            raise RemoteProtocolError("a query answer has too many hits")
        hits = tuple(Hit(h.posting, h.neighbourhood) for h in message.query.hits)
        return QueryAnswer(hits, message.query.matches, message.query.count)
    if kind == "count":
        if len(message.count.counts) > MAX_TERMS:
            raise RemoteProtocolError("a count answer has too many counts")
        return CountAnswer(tuple(message.count.counts))
    raise RemoteProtocolError("a search answer is of an unknown kind")


def _outcome(message: pb.Outcome) -> Outcome:
    if message.code not in OutcomeCode.__members__.values() or message.wait_ms > MAX_WAIT_MS:
        raise RemoteProtocolError("a store answer has an outcome that does not exist")
    return Outcome(OutcomeCode(message.code), message.wait_ms / 1000, _ticket(message.ticket))


def _ticket(data: bytes) -> bytes:
    if len(data) not in (0, TICKET_BYTES):
        raise RemoteProtocolError(f"a ticket has {len(data)} bytes, not {TICKET_BYTES}")
    return data


def split_ids(data: bytes, most: int) -> tuple[bytes, ...]:
    """The term ids in `data`, 1 to `most`.  Raises `RemoteProtocolError` for any other number."""
    count, rest = divmod(len(data), TERM_ID_BYTES)
    if rest or not 1 <= count <= most:
        raise RemoteProtocolError(f"{len(data)} bytes are not 1 to {most} term ids")
    return tuple(data[i : i + TERM_ID_BYTES] for i in range(0, len(data), TERM_ID_BYTES))


def chunked(items: Sequence[StoreItem]) -> list[tuple[StoreItem, ...]]:
    """Cut into requests of at most 128 items and some 30,000 bytes: half of what is allowed, so that an index peer that
    checks them for many publishers at once answers each soon."""
    chunks: list[tuple[StoreItem, ...]] = []
    chunk: list[StoreItem] = []
    size = 0
    for item in items:
        cost = len(item.posting) + len(item.ticket) + 16
        if chunk and (len(chunk) == MAX_ITEMS or size + cost > 30_000):
            chunks.append(tuple(chunk))
            chunk, size = [], 0
        chunk.append(item)
        size += cost
    if chunk:
        chunks.append(tuple(chunk))
    return chunks


def _parse(message: pb.Posting | pb.Request | pb.Answer, data: bytes) -> None:
    if len(data) > MAX_MESSAGE_BYTES:
        raise RemoteProtocolError(f"a search message of {len(data)} bytes is longer than 64 KiB")
    try:
        message.ParseFromString(data)
    except DecodeError as exc:
        raise RemoteProtocolError("a search message is malformed") from exc
