"""What a person can ask of search."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated

from pydantic import Field

from peerkit.operation import Arg, Call, Column, Model, Operation, View

from .codec import MAX_TYPE_CHARS


class SearchRequest(Model):
    """Find shared content whose name holds all the words."""

    words: Annotated[tuple[str, ...], Field(min_length=1), Arg(positional=True, metavar="WORDS", help="all must match")]
    limit: Annotated[int, Field(ge=1, le=100), Arg(short="n", help="results at most")] = 20
    type: Annotated[
        str,
        Field(max_length=MAX_TYPE_CHARS),
        Arg(short="t", help="a MIME type or its first half: video, audio/flac, folder"),
    ] = ""
    local: Annotated[bool, Arg(help="only what this node knows, without asking the network")] = False


class SearchHit(Model):
    """One content.

    Attributes:
        score: higher is better; comparable within one search only.
        sources: peers known to serve it.
    """

    content_id: str
    name: str
    size_bytes: int
    type: str
    publisher: str
    score: float
    sources: int


def search_operation(
    handler: Callable[[SearchRequest, Call], Awaitable[Sequence[SearchHit]]],
) -> Operation[SearchRequest]:
    """The `search` operation."""
    return Operation(
        "search",
        SearchRequest,
        SearchHit,
        handler,
        reach="any",
        many=True,
        summary="Find shared content by the words of its name",
        view=View(
            "table",
            (
                Column("name", "name"),
                Column("size_bytes", "size", "bytes"),
                Column("type", "type"),
                Column("sources", "sources"),
                Column("score", "score"),
                Column("content_id", "content id"),
            ),
            empty="nothing found; all words must match",
        ),
        one_shot=True,
    )
