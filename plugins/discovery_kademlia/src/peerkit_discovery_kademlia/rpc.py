"""The answering side: what a peer asks is answered from the routing table and the stores.  Pure, one call per request.

Order of checks: rate, trust, bytes, then the store's own bounds.  Only peers that our own probe confirmed and that did
not fail since are passed on, and nobody on the wide area is told of addresses that are local here.
"""

from collections.abc import Callable
from dataclasses import dataclass

from peerkit.address import Address
from peerkit.clock import Rng
from peerkit.errors import LimitExceeded, RemoteProtocolError
from peerkit.identity import PeerId
from peerkit.trust import Action

from . import codec
from .announcement import read_announcement
from .codec import AddProvider, Answer, FindNode, GetProviders, GetValue, Ping, Provider, PutValue
from .diversity import Neighbourhood
from .keys import to_int
from .namespaces import Namespace, check_value
from .provider_store import ProviderStore
from .rate_limits import RateLimits
from .routing_table import K, RoutingTable
from .value_store import ValueStore

PROVIDER_BUDGET_BYTES = 36_000  # with 20 nodes of ≤ 1,152 bytes an answer stays below 64 KiB
SPARE = 12  # entries looked at beyond k, since some are not passed on
FAR = 3 * K  # a value is refused when we know so many peers nearer to its key: nobody will look for it here


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks.

    Attributes:
        record: its signed peer record as it came, or empty.
        address: where its session comes from.
        where: the neighbourhood of that.
    """

    peer_id: PeerId
    record: bytes
    address: Address
    where: Neighbourhood


class Server:
    """Args:
    allow: raises `TrustDenied` when the gate says no.
    own_provider: our own announcement of a key, if we provide it.
    grant: what lets a peer ping us by datagrams; see `ping.py`.
    """

    def __init__(
        self,
        table: RoutingTable,
        providers: ProviderStore,
        values: ValueStore,
        network_id: bytes,
        rng: Rng,
        allow: Callable[[Action, Asker], None],
        own_provider: Callable[[bytes], Provider | None] = lambda key: None,  # noqa: ARG005
        grant: Callable[[PeerId], bytes] = lambda asker: b"",  # noqa: ARG005
    ) -> None:
        self._table = table
        self._providers = providers
        self._values = values
        self._network_id = network_id
        self._rng = rng
        self._allow = allow
        self._own_provider = own_provider
        self._grant = grant
        self._rates = RateLimits()

    @property
    def refused(self) -> int:
        """Requests turned away by the rate limits."""
        return self._rates.refused

    def answer(self, payload: bytes, asker: Asker, now: float, now_wall: float) -> bytes:
        """The answer's bytes.

        Raises:
            RemoteProtocolError: the request breaks the rules.
            LimitExceeded: it comes too fast, or a store is full.
            TrustDenied: the gate refused.
        """
        request = codec.decode_request(payload)
        if isinstance(request, AddProvider | PutValue):
            items = len(request.announcements) if isinstance(request, AddProvider) else 1
            self._rates.store(asker.peer_id.raw, asker.where, items, now)
            self._allow(Action.STORE, asker)
        else:
            self._rates.lookup(asker.peer_id.raw, now)
            self._allow(Action.LOOKUP, asker)
        match request:
            case FindNode(key):
                answer = Answer(self._nodes(key, asker))
            case GetProviders(key):
                answer = Answer(self._nodes(key, asker), self._known_providers(key))
            case GetValue(namespace, key):
                answer = Answer(self._nodes(key, asker), value=self._values.get(namespace, key))
            case AddProvider(announcements):
                answer = Answer(kept=self._keep_providers(announcements, asker, now, now_wall))
            case PutValue():
                self._keep_value(request, asker, now, now_wall)
                answer = Answer(kept=1)
            case Ping():
                answer = Answer(grant=self._grant(asker.peer_id))
        return codec.encode_answer(answer)

    def own_answer(self, key: bytes) -> Answer:
        """What we ourselves know of a key's providers."""
        return Answer(providers=self._known_providers(key))

    def _nodes(self, key: bytes, asker: Asker) -> list[bytes]:
        asking, may_be_local = asker.peer_id.raw, asker.address.is_local
        found = [
            entry.wire
            for entry in self._table.closest(to_int(key), K + SPARE)
            if not entry.misses and (entry.where or may_be_local) and entry.record.peer_id.raw != asking
        ]
        return found[:K]

    def _known_providers(self, key: bytes) -> list[Provider]:
        own = self._own_provider(key)
        found = [own] if own is not None else []
        found += self._providers.get(key, codec.MAX_PROVIDERS - len(found), self._rng)
        size = 0
        for i, provider in enumerate(found):
            size += len(provider.announcement) + len(provider.record) + 8
            if size > PROVIDER_BUDGET_BYTES:
                return found[:i]
        return found

    def _keep_providers(self, announcements: tuple[bytes, ...], asker: Asker, now: float, now_wall: float) -> int:
        """Keep what can be kept.  Raises the last `LimitExceeded` when that is nothing."""
        kept = 0
        refusal: LimitExceeded | None = None
        for wire in announcements:
            announcement = read_announcement(wire, self._network_id, now_wall, asker.peer_id)
            try:
                self._providers.add(announcement, asker.record, asker.where, now, now_wall)
                kept += 1
            except LimitExceeded as exc:
                refusal = exc
        if refusal is not None and not kept:
            raise refusal
        return kept

    def _keep_value(self, put: PutValue, asker: Asker, now: float, now_wall: float) -> None:
        nearer = self._table.closest(to_int(put.key), FAR)
        if len(nearer) == FAR and nearer[-1].key ^ to_int(put.key) < self._table.own_key ^ to_int(put.key):
            raise LimitExceeded(f"we know {FAR} peers that are nearer to this key")
        checked = check_value(put.namespace, put.key, put.value, self._network_id, now_wall)
        if put.namespace == Namespace.PEER and checked.author != asker.peer_id:
            raise RemoteProtocolError("a peer record may be stored by its own peer only")
        self._values.put(put.namespace, put.key, put.value, checked, asker.where, asker.peer_id.raw, now, now_wall)
