"""Where a peer can be reached: what the caller gave, else the address book, else the plugins that route to peers."""

from collections.abc import Callable, Sequence
from functools import partial

from .._pool.address_book import AddressBook
from ..address import Address, Contact
from ..capabilities import PeerRouting
from ..errors import PeerkitError
from ..identity import PeerId
from ..record import PeerRecord
from ..session import DialTarget
from .dialing import Target
from .plugin_call import call_plugin_async


class Whereabouts:
    """Args:
    routings: tells who can be asked now, by plugin: one after the other for a peer of whom only the id was given.
    """

    def __init__(self, book: AddressBook, routings: Callable[[], Sequence[tuple[str, PeerRouting]]]) -> None:
        self._book = book
        self._routings = routings

    def target(self, target: DialTarget) -> Target:
        """What is known without asking anybody; of an unknown peer id there is no address."""
        if isinstance(target, Address | Contact):
            record = self._book.get(target.peer_id) if target.peer_id is not None else None
            addresses = (target,) if isinstance(target, Address) else target.addresses
            return Target(target.peer_id, addresses, record.static_key if record else b"")
        if isinstance(target, PeerRecord):
            return _of(target)
        record = self._book.get(target)
        return Target(target, (), is_bare=True) if record is None else _of(record, is_bare=True)

    async def elsewhere(self, target: Target) -> Target | None:
        """Addresses of a bare id that were not in `target`; `None` when nobody knows any."""
        if not target.is_bare or target.peer_id is None:
            return None
        for name, routing in self._routings():
            try:
                record = await call_plugin_async(name, "find_peer", partial(_find, routing, target.peer_id))
            except PeerkitError:
                continue  # it is down, or knows nobody: the next may
            if record is not None and not set(record.addresses).issubset(target.addresses):
                return _of(record)
        return None


async def _find(routing: PeerRouting, peer_id: PeerId) -> PeerRecord | None:
    return await routing.find_peer(peer_id)  # looked up now: a plugin that is down raises here


def _of(record: PeerRecord, is_bare: bool = False) -> Target:
    return Target(record.peer_id, record.addresses, record.static_key, is_bare)
