"""What an application or plugin speaks with its peers, and how two sides agree on it.

Three ways to talk, all of them streams on the wire: a *request* (one message, one answer), a *message* (no answer), and
a raw *stream*; plus unreliable datagrams.  Bodies are bytes: protobuf, JSON or your own codec, nothing below cares.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from .errors import UsageError

if TYPE_CHECKING:
    from .session import Peer, Session, Stream

MAX_PROTOCOL_ID_CHARS = 64
MAX_VERSION_CHARS = 32
MAX_REQUEST_BYTES = 65_536


@dataclass(slots=True)
class Request:
    """One request from a peer, given to `on_request`.

    Attributes:
        session: whom it came from; `session.peer_id` is proven.
        protocol: the protocol's id.
        payload: the body, complete.
    """

    session: Session
    protocol: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class ProtocolSpec:
    """One protocol of one node.

    Attributes:
        id: a name nobody else uses, at most 64 characters; `example.org/echo`.
        version: ours, as PEP 440 reads it.
        accepts: the versions of the other side that we can speak with, a PEP 440 specifier as `>=1.0,<2` (the comma
            list of Karyon's `"0.2.0, >0.1.0"` too, see `from_rule`); empty means exactly `version`.
        mandatory: a peer that does not speak it, or in a version that we do not accept, cannot be a member.
        on_peer: started as a task for every peer that joins the pool and speaks this protocol; cancelled when the peer
            leaves.  One at a time for each peer.
        on_stream: called as a task for each stream that a peer opens.  When it returns, both directions are finished;
            when it raises, the stream is reset.
        on_request: called with a whole request; what it returns is the answer.  A plain function runs at once, without
            a task, and must not block (5 µs against 60 µs, measured on the first prototype); an async one runs as a
            task.  Raising a `PeerkitError` gives the asker a `RemoteFailure` with its code and sentence.
        on_message: called with a whole message that wants no answer.
        on_datagram: called with each unreliable datagram.
        max_request_bytes: longest body of a request or message that we take; longer ones reset the stream.
        max_concurrent: streams and requests of one peer that run at once; more wait.  Stops a peer from making us hold
            unbounded tasks.
        timeout_s: deadline of one `on_request` or `on_message` call.
    """

    id: str
    version: str
    accepts: str = ""
    mandatory: bool = False
    on_peer: Callable[[Peer], Awaitable[None]] | None = None
    on_stream: Callable[[Stream], Awaitable[None]] | None = None
    on_request: Callable[[Request], bytes | Awaitable[bytes]] | None = None
    on_message: Callable[[Request], Awaitable[None] | None] | None = None
    on_datagram: Callable[[Session, bytes], None] | None = None
    max_request_bytes: int = MAX_REQUEST_BYTES
    max_concurrent: int = 64
    timeout_s: float = 30.0

    def __post_init__(self) -> None:
        if not 1 <= len(self.id) <= MAX_PROTOCOL_ID_CHARS or not self.id.isprintable():
            raise UsageError(
                f"{self.id[:80]!r} is not a protocol id: it needs 1 to {MAX_PROTOCOL_ID_CHARS} printable characters"
            )
        try:
            Version(self.version)
            SpecifierSet(self.accepts)
        except (InvalidVersion, InvalidSpecifier) as exc:
            raise UsageError(f"protocol {self.id}: {exc}") from exc

    @classmethod
    def from_rule(cls, id: str, rule: str, **kwargs: object) -> ProtocolSpec:
        """With Karyon's one-string rule: `"0.2.0, >0.1.0"` = our version, then what we accept; one part means both."""
        version, _, accepts = rule.partition(",")
        return cls(id, version.strip(), accepts.strip(), **kwargs)  # type: ignore[arg-type]

    def takes(self, version: str) -> bool:
        """Whether we can speak with a peer whose version is `version` (text from outside: malformed means no)."""
        return len(version) <= MAX_VERSION_CHARS and _satisfies(version, self.accepts or f"=={self.version}")


@dataclass(frozen=True, slots=True)
class Offer:
    """One protocol as the other side offers it in its Hello."""

    id: str
    version: str
    accepts: str
    mandatory: bool


@dataclass(frozen=True, slots=True)
class Agreement:
    """What two sides share.

    Attributes:
        protocols: id → the *other* side's version.
        refused: one sentence per mandatory protocol that the two do not share; a member session must have none.
    """

    protocols: Mapping[str, str]
    refused: tuple[str, ...]


def negotiate(ours: Mapping[str, ProtocolSpec], theirs: Mapping[str, Offer]) -> Agreement:
    """Agree on protocols.  Both sides compute this from the two Hellos, so both come to the same result, whatever the
    order of messages and whoever dialled."""
    shared: dict[str, str] = {}
    refused: list[str] = []
    for spec in ours.values():
        offer = theirs.get(spec.id)
        if offer is None:
            if spec.mandatory:
                refused.append(f"the peer does not speak {spec.id}, which is mandatory here")
            continue
        if spec.takes(offer.version) and _accepted(spec.version, offer):
            shared[spec.id] = offer.version
        elif spec.mandatory or offer.mandatory:
            refused.append(f"{spec.id} {spec.version} here and {offer.version[:32]} there do not accept each other")
    refused += [
        f"we do not speak {o.id}, which is mandatory there" for o in theirs.values() if o.mandatory and o.id not in ours
    ]
    return Agreement(shared, tuple(refused))


def _accepted(our_version: str, offer: Offer) -> bool:
    return _satisfies(our_version, offer.accepts or f"=={offer.version}")


@lru_cache(1024)  # every session asks the same few; parsing costs 40 µs
def _satisfies(version: str, specifier: str) -> bool:
    """Texts from outside: malformed means no."""
    try:
        return SpecifierSet(specifier).contains(Version(version), prereleases=True)
    except (InvalidSpecifier, InvalidVersion):
        return False
