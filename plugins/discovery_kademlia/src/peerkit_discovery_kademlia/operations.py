"""What a person can ask of the table and of lookups.  Pure: models and declarations."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any

from peerkit import text_form
from peerkit.errors import UsageError
from peerkit.operation import Arg, Call, Column, Model, Nothing, Operation, View

from .keys import KEY_BYTES, key_of_peer, to_bytes


class LookupRequest(Model):
    """Find the peers nearest to a peer, a content or a key, and show the way there."""

    target: Annotated[str, Arg(positional=True, metavar="TARGET", help="a peer id, a content id, or 64 hex digits")]


class TraceStep(Model):
    """One event of a lookup.

    Attributes:
        at_s: since its start.
        event: asked, answered or failed.
        nodes: peers that an answer named.
    """

    at_s: float
    event: str
    peer_id: str
    nodes: int = 0


class NearPeer(Model):
    """Attributes:
    shared_bits: length of the common prefix of its key and the target.
    """

    peer_id: str
    addresses: tuple[str, ...]
    shared_bits: int


class LookupAnswer(Model):
    """Attributes:
    key: the target, in hex.
    hops: answers in the chain that led to the nearest peer.
    exact: every one of the nearest answered.
    """

    key: str
    hops: int
    queried: int
    exact: bool
    seconds: float
    found: int
    closest: tuple[NearPeer, ...]
    trace: tuple[TraceStep, ...]


class TableRow(Model):
    """One entry of the routing table."""

    bucket: int
    peer_id: str
    address: str
    age_s: float
    silent_s: float
    misses: int
    dialled: bool


def key_of_target(text: str) -> bytes:
    """Raises `UsageError` when it is none of the three kinds."""
    if len(text) == 2 * KEY_BYTES:
        try:
            return bytes.fromhex(text)
        except ValueError:
            raise UsageError(f"{text!r} is not a key: 64 hex digits are one") from None
    if text[:1] == "c":
        return text_form.decode(text_form.Kind.CONTENT, text)
    return to_bytes(key_of_peer(text_form.decode(text_form.Kind.PEER, text)))


def lookup_operation(handler: Callable[[LookupRequest, Call], Awaitable[LookupAnswer]]) -> Operation[LookupRequest]:
    columns = [
        Column("key", "key"),
        Column("hops", "hops"),
        Column("queried", "peers asked"),
        Column("found", "found"),
        Column("exact", "exact", "bool"),
        Column("seconds", "took", "seconds"),
    ]
    return Operation(
        "dht.lookup",
        LookupRequest,
        LookupAnswer,
        handler,
        summary="Find the peers nearest to a key and show the way there",
        view=View("fields", columns),
    )


def table_operation(handler: Callable[[Nothing, Call], Awaitable[Sequence[TableRow]]]) -> Operation[Nothing]:
    columns = [
        Column("bucket", "bucket"),
        Column("peer_id", "peer", "id"),
        Column("address", "address"),
        Column("age_s", "known for", "seconds"),
        Column("silent_s", "last heard", "seconds"),
        Column("misses", "misses"),
        Column("dialled", "dialled", "bool"),
    ]
    return Operation(
        "dht.table",
        Nothing,
        TableRow,
        handler,
        many=True,
        summary="Show the routing table",
        view=View("table", columns, empty="the routing table is empty"),
    )


# Any: operations of different requests in one list, as the hook returns them.
AnyOperation = Operation[Any]
