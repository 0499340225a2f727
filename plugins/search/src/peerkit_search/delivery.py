"""Postings sorted by the peer that shall keep them, so that a thousand postings for one peer are a few requests."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from peerkit.identity import PeerId
from peerkit.record import PeerRecord

from .codec import StoreItem
from .posting import Posting
from .terms import term_key


@dataclass(frozen=True, slots=True)
class Publication:
    """A posting with its terms as text, in the order of their ids."""

    posting: Posting
    terms: tuple[str, ...]


@dataclass(slots=True)
class Parcel:
    """What one peer shall keep."""

    record: PeerRecord
    items: list[StoreItem] = field(default_factory=list)


def term_keys(publications: Iterable[Publication]) -> list[bytes]:
    """The keys whose nearest peers must be known, each once, in the order of the key space: neighbours follow each
    other, so that one lookup serves many."""
    return sorted({term_key(term) for publication in publications for term in publication.terms})


def sort_by_peer(
    publications: Sequence[Publication],
    nearest: Callable[[bytes], Sequence[PeerRecord]],
    replicas: int,
    only: frozenset[PeerId] | None = None,
) -> list[Parcel]:
    """Args:
    nearest: key → its index peers, nearest first; empty when unknown.
    only: when given, the peers that are to get anything.
    """
    parcels: dict[PeerId, Parcel] = {}
    for publication in publications:
        under: dict[PeerId, int] = {}
        for i, term in enumerate(publication.terms):
            for record in nearest(term_key(term))[:replicas]:
                if only is None or record.peer_id in only:
                    under[record.peer_id] = under.get(record.peer_id, 0) | 1 << i
                    parcels.setdefault(record.peer_id, Parcel(record))
        for peer, bits in under.items():
            parcels[peer].items.append(StoreItem(publication.posting.data, bits))
    return list(parcels.values())
