"""What a running node took from its plugins: takes that of one away, and adds that of another.

Sessions agree on protocols when they begin.  A protocol that goes is refused from then on, and one that comes back is
spoken again on the sessions that had agreed on it; a session that had not gets it when it is made anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from .._session import hello
from ..trust import Question, Verdict
from .own_record import OwnRecord
from .pool import RuntimePool
from .routines import RoutineScheduler
from .supervisor import Supervisor
from .trust_gate import TrustGate
from .upkeep import Upkeep

if TYPE_CHECKING:
    from .._control.registry import OperationRegistry
    from .._host.registry import Registered

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ShutPolicy:
    """Stands for a policy whose plugin is being started anew: until then nobody passes."""

    name: str

    def decide(self, question: Question) -> Verdict | None:
        return Verdict(False, "the plugin of this policy does not run")


class Registrations:
    """Args:
    registered: what the node began with; kept up to date here.
    """

    def __init__(
        self,
        registered: Registered,
        supervisor: Supervisor,
        gate: TrustGate,
        routines: RoutineScheduler,
        operations: OperationRegistry,
        pool: RuntimePool,
        own: OwnRecord,
        upkeep: Upkeep,
    ) -> None:
        self.registered = registered
        self._tallies = supervisor.tallies
        self._gate = gate
        self._routines = routines
        self._operations = operations
        self._pool = pool
        self._own = own
        self._upkeep = upkeep

    def remove(self, owner: str, shut: bool) -> None:
        """Nothing of `owner` is called any more; what runs of it is cancelled, and peers are refused.

        Args:
            shut: its trust policies deny everything until it is there again; else they are gone.
        """
        all_ = self.registered
        closed = [(by, ShutPolicy(policy.name)) for by, policy in all_.policies if by == owner and shut]
        all_.policies = [*_without(all_.policies, owner), *closed]
        self._bind_policies()
        all_.discoveries = _without(all_.discoveries, owner)
        self._upkeep.discoveries = list(all_.discoveries)
        all_.routines = _without(all_.routines, owner)
        self._routines.remove(owner)
        all_.operations = _without(all_.operations, owner)
        self._operations.remove(owner)
        gone = [id for id, by in all_.protocol_owners.items() if by == owner]
        for id in gone:
            del all_.protocols[id], all_.protocol_owners[id]
            self._pool.context.async_handlers.pop(id, None)
            for peer in self._pool.peers():
                peer.stop_protocol(id)
            for session in self._pool.sessions():
                session.withdraw(id)
        if gone:
            self._protocols_changed()
        self._own.advertise(owner, ())

    def add(self, owner: str, new: Registered) -> int:
        """Take what `owner` registered; its routines start.

        Returns:
            How many sessions had begun without a protocol that it brings.

        Raises:
            PluginConflictError, PluginLoadError: an operation or routine cannot be taken; `remove` takes back the rest.
        """
        all_, terms = self.registered, self._pool.context.terms
        hello.check_room(replace(terms, protocols={**terms.protocols, **new.protocols}))
        for by, operation in new.operations:
            self._operations.add(by, operation)
            all_.operations.append((by, operation))
        for by, routine in new.routines:
            self._routines.add(by, routine)
            all_.routines.append((by, routine))
        all_.policies = [*_without(all_.policies, owner), *new.policies]
        self._bind_policies()
        all_.discoveries = sorted([*all_.discoveries, *new.discoveries], key=lambda pair: pair[0])
        self._upkeep.discoveries = list(all_.discoveries)
        all_.protocols |= new.protocols
        all_.protocol_owners |= new.protocol_owners
        without: set[object] = set()
        for id in new.protocols:
            for session in self._pool.sessions():
                if not session.restore(id):
                    without.add(session)
            for peer in self._pool.peers():
                if id in peer.protocols:
                    peer.start_protocol(id)
        if new.protocols:
            self._protocols_changed()
        self._routines.start_all(owner)
        return len(without)

    def _bind_policies(self) -> None:
        self.registered.policies.sort(key=lambda pair: pair[0])
        self._gate.bind([(self._tallies.of(owner), policy) for owner, policy in self.registered.policies])

    def _protocols_changed(self) -> None:
        """In the Hellos to come, and in our record."""
        context = self._pool.context
        context.terms = replace(context.terms, protocols=dict(self.registered.protocols))
        context.hello_cache.clear()
        self._own.speak({spec.id: spec.version for spec in self.registered.protocols.values()})


def _without(pairs: Sequence[tuple[str, T]], owner: str) -> list[tuple[str, T]]:
    return [pair for pair in pairs if pair[0] != owner]
