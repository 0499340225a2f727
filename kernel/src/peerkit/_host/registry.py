"""Everything that plugins, the kernel and the application register at a node's start, checked and without duplicates.

In: the plugin objects (through the node's own pluggy manager).  Out: `Registered`, or a sentence for every mistake.
Results come in the order of plugin names; pluggy's own order is last registered first.
"""

import difflib
import inspect
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Generic, Protocol

import pluggy

from .._runtime.plugin_call import PluginCode, failure_text
from ..datagram import CircuitTransport, DatagramTransport
from ..discovery import Discovery
from ..errors import PeerkitError
from ..hookspecs import Hooks
from ..operation import Operation
from ..protocol import ProtocolSpec
from ..routine import Routine
from ..security import PlaintextWrapper, Security
from ..transport import StreamTransport
from ..trust import TrustPolicy

AnyOperation = Operation[Any]  # of any request

PREFIX = "peerkit_"
MAX_OFFERS = 1_000  # things of one kind that one plugin registers; more is a mistake in a loop
KINDS = ("wrappers", "transports", "trust_policies", "protocols", "discoveries", "routines", "operations")


@dataclass(slots=True)
class Registered:
    """What the node is made of.  `owners` of a thing are plugin names, `kernel` or `application`."""

    security: Security | None = None
    security_owner: str = ""
    wrappers: list[PlaintextWrapper] = field(default_factory=list)
    wrapper_owners: dict[str, str] = field(default_factory=dict)
    transports: dict[str, StreamTransport] = field(default_factory=dict)
    datagram_transports: dict[str, DatagramTransport] = field(default_factory=dict)
    circuit_transports: dict[str, CircuitTransport] = field(default_factory=dict)
    transport_owners: dict[str, str] = field(default_factory=dict)  # by scheme
    policies: list[tuple[str, TrustPolicy]] = field(default_factory=list)
    protocols: dict[str, ProtocolSpec] = field(default_factory=dict)
    protocol_owners: dict[str, str] = field(default_factory=dict)
    discoveries: list[tuple[str, Discovery]] = field(default_factory=list)
    routines: list[tuple[str, Routine]] = field(default_factory=list)
    operations: list[tuple[str, AnyOperation]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Collected:
    """Attributes:
    problems: a sentence for every mistake.
    conflicts: a sentence for every name that two claim.
    """

    registered: Registered
    problems: list[str]
    conflicts: list[str]


@dataclass(frozen=True, slots=True)
class Extra:
    """What somebody who is no plugin brings: the kernel itself, or the application that embeds the node."""

    owner: str
    protocols: Sequence[ProtocolSpec] = ()
    routines: Sequence[Routine] = ()
    operations: Sequence[AnyOperation] = ()


class _Manager(pluggy.PluginManager):
    """Looks at `peerkit_*` only: pluggy would read every attribute, and so run every property of a plugin object."""

    def parse_hookimpl_opts(self, plugin: object, name: str) -> pluggy.HookimplOpts | None:
        return super().parse_hookimpl_opts(plugin, name) if name.startswith(PREFIX) else None


def new_manager() -> pluggy.PluginManager:
    """The pluggy manager of one node."""
    manager = _Manager("peerkit")
    manager.add_hookspecs(Hooks)
    return manager


def hook_mistakes(plugin: str, obj: object) -> list[str]:
    """What pluggy would pass over in silence: a hook method without its mark, of an unknown name, with defaults."""
    return [*_hook_mistakes(plugin, type(obj))]  # type: ignore[arg-type]  # a class is hashable


@lru_cache(256)  # a process may hold a thousand nodes
def _hook_mistakes(plugin: str, cls: type[object]) -> tuple[str, ...]:
    problems = []
    for name in dir(cls):
        if not name.startswith(PREFIX) or not inspect.isroutine(inspect.getattr_static(cls, name, None)):
            continue
        marks: Mapping[str, object] | None = getattr(getattr(cls, name), "peerkit_impl", None)
        if marks is None:
            problems.append(f"plugin {plugin}: method {name} lacks @hookimpl")
            continue
        if not hasattr(Hooks, name):
            near = difflib.get_close_matches(name, [f"{PREFIX}register_{kind}" for kind in KINDS], 1, 0.6)
            hint = f"; did you mean {near[0]}?" if near else ""
            problems.append(f"plugin {plugin}: there is no hook {name}{hint}")
        if marks.get("wrapper") or marks.get("hookwrapper"):
            problems.append(f"plugin {plugin}: {name} is a hook wrapper; hooks of Peerkit only register")
        taken = inspect.signature(getattr(cls, name)).parameters.values()
        if any(p.default is not inspect.Parameter.empty for p in taken):
            problems.append(f"plugin {plugin}: {name} has default arguments, which are never filled; remove them")
    return tuple(problems)


def collect(
    manager: pluggy.PluginManager,
    wrapper_order: Sequence[str] = (),
    extras: Sequence[Extra] = (),
    beside: Registered | None = None,
) -> Collected:
    """Ask every hook once, put the answers together and look for mistakes and conflicts.

    Args:
        beside: what a running node has already; then only what is new is returned.
    """
    problems: list[str] = []
    conflicts: list[str] = []
    claimed = _claims(beside, {name for name, _ in manager.list_name_plugin()}) if beside is not None else {}

    def offers(kind: str, *types: type[object]) -> list[tuple[str, Any]]:
        items = _ask(manager, f"{PREFIX}register_{kind}", problems)
        items += [(extra.owner, item) for extra in extras for item in getattr(extra, kind, ())]
        return [(owner, item) for owner, item in items if _is_one_of(owner, kind, item, types, problems)]

    def take(what: str, name: str, owner: str) -> bool:
        other = claimed.get((what, name))
        claimed.setdefault((what, name), owner)
        if other is not None:
            both = f"both {other} and {owner}: disable one of them" if other != owner else f"{owner} twice"
            conflicts.append(f"{what} {name} is registered by {both}")
        return other is None

    out = Registered()
    securities: list[tuple[str, Security]] = []
    wrappers: list[PlaintextWrapper] = []
    for owner, item in offers("wrappers", Security, PlaintextWrapper):
        if _lacks(item, Security) == []:
            securities.append((owner, item))
        elif take("wrapper", item.name, owner):
            wrappers.append(item)
            out.wrapper_owners[item.name] = owner
    for owner, transport in offers("transports", StreamTransport, DatagramTransport, CircuitTransport):
        schemes = [s for s in transport.schemes if take("address scheme", s, owner)]
        out.transport_owners |= dict.fromkeys(schemes, owner)
        if _lacks(transport, DatagramTransport) == []:
            out.datagram_transports |= dict.fromkeys(schemes, transport)
        elif _lacks(transport, CircuitTransport) == []:
            out.circuit_transports |= dict.fromkeys(schemes, transport)
        else:
            out.transports |= dict.fromkeys(schemes, transport)
    out.policies = [(o, p) for o, p in offers("trust_policies", TrustPolicy) if take("trust policy", p.name, o)]
    for owner, spec in offers("protocols", ProtocolSpec):
        if take("protocol", spec.id, owner):
            out.protocols[spec.id] = spec
            out.protocol_owners[spec.id] = owner
    out.discoveries = [(o, d) for o, d in offers("discoveries", Discovery) if take("discovery", d.name, o)]
    out.routines = [(o, r) for o, r in offers("routines", Routine) if take("routine", r.name, o)]
    out.operations = [(o, op) for o, op in offers("operations", Operation) if take("operation", op.name, o)]
    if beside is not None and beside.security is not None:
        securities.insert(0, (beside.security_owner, beside.security))
    if len(securities) == 1:
        out.security_owner, out.security = securities[0]
    elif securities:
        names = " and ".join(f"{item.name} of {owner}" for owner, item in securities)
        conflicts.append(f"a node has exactly one security handshake, but there are {names}: disable all but one")
    else:
        problems.append("no enabled plugin brings a security handshake: enable one that does")
    out.wrappers = _in_order(wrappers, wrapper_order, problems)
    return Collected(out, problems, conflicts)


def _claims(registered: Registered, but: Collection[str]) -> dict[tuple[str, str], str]:
    """(kind, name) → who has it; not of those named in `but`, which come again."""
    claims = {("wrapper", name): owner for name, owner in registered.wrapper_owners.items()}
    claims |= {("address scheme", scheme): owner for scheme, owner in registered.transport_owners.items()}
    claims |= {("protocol", id): owner for id, owner in registered.protocol_owners.items()}
    claims |= {("trust policy", policy.name): owner for owner, policy in registered.policies}
    claims |= {("discovery", discovery.name): owner for owner, discovery in registered.discoveries}
    claims |= {("routine", routine.name): owner for owner, routine in registered.routines}
    claims |= {("operation", operation.name): owner for owner, operation in registered.operations}
    return {claim: owner for claim, owner in claims.items() if owner not in but}


def _ask(manager: pluggy.PluginManager, hook: str, problems: list[str]) -> list[tuple[str, object]]:
    items: list[tuple[str, object]] = []
    for impl in sorted(getattr(manager.hook, hook).get_hookimpls(), key=lambda impl: str(impl.plugin_name)):
        register: Callable[[], object] = impl.function
        try:
            with PluginCode(impl.plugin_name, hook, level=logging.DEBUG):
                answer = register()
        except PeerkitError as exc:
            problems.append(f"plugin {impl.plugin_name} failed in {hook}: {failure_text(exc)}")
            continue
        if not isinstance(answer, list | tuple):
            problems.append(
                f"plugin {impl.plugin_name}: {hook} must return a list or tuple, not {type(answer).__name__}"
            )
            continue
        if len(answer) > MAX_OFFERS:
            problems.append(
                f"plugin {impl.plugin_name}: {hook} returned {len(answer):,} things, more than {MAX_OFFERS:,}"
            )
            continue
        items += [(impl.plugin_name, item) for item in answer]
    return items


def _is_one_of(owner: str, kind: str, item: object, types: Sequence[type[object]], problems: list[str]) -> bool:
    lacking = [_lacks(item, wanted) for wanted in types]
    if any(missing == [] for missing in lacking):
        return True
    names = " or ".join(wanted.__name__ for wanted in types)
    text = f"plugin {owner}: {PREFIX}register_{kind} returned {type(item).__name__}, which is not a {names}"
    nearest = min((missing for missing in lacking if missing is not None), key=len, default=None)
    problems.append(f"{text}: it lacks {', '.join(nearest)}" if nearest else text)
    return False


def _lacks(item: object, wanted: type[object]) -> list[str] | None:
    """The members of an interface that `item` has not (`[]`: it fits); `None`: it is not an instance of that class."""
    if not getattr(wanted, "_is_protocol", False):
        return [] if isinstance(item, wanted) else None
    members = {name for base in wanted.__mro__ if base not in (object, Protocol, Generic) for name in vars(base)}
    return sorted(n for n in members if not n.startswith("_") and inspect.getattr_static(item, n, None) is None)


def _in_order(wrappers: list[PlaintextWrapper], order: Sequence[str], problems: list[str]) -> list[PlaintextWrapper]:
    """In the profile's order; those that it does not name come after, by plugin name."""
    by_name = {wrapper.name: wrapper for wrapper in wrappers}
    for name in order:
        if name not in by_name:
            known = ", ".join(by_name) or "none"
            problems.append(f"node.wrappers: no enabled plugin brings the wrapper {name} (there are: {known})")
    return [by_name.pop(name) for name in order if name in by_name] + list(by_name.values())
