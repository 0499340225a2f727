"""Who provides what to whom, and in which order plugins are made.  Pure.

In: the enabled plugins with their capabilities.  Out: an order with providers before those that require them, the
chosen providers of each capability, and a sentence for everything that does not fit, naming both sides.
"""

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from ..plugin import AnyCapability

KERNEL = "the kernel"


@dataclass(frozen=True, slots=True)
class Party:
    """One enabled plugin."""

    name: str
    provides: tuple[AnyCapability, ...] = ()
    requires: tuple[AnyCapability, ...] = ()
    uses: tuple[AnyCapability, ...] = ()


@dataclass(frozen=True, slots=True)
class Wiring:
    """Attributes:
    order: plugin names, providers first, otherwise by name.
    providers: capability name → plugins, by name; more than one only where the token says `many`.
    problems: one sentence each.
    """

    order: tuple[str, ...]
    providers: Mapping[str, tuple[str, ...]]
    problems: tuple[str, ...]


def wire(
    parties: Sequence[Party],
    kernel: Collection[str] = (),
    chosen: Mapping[str, str] | None = None,
    elsewhere: Mapping[str, Sequence[str]] | None = None,
) -> Wiring:
    """Connect the parties.

    Args:
        kernel: capabilities that the kernel provides.
        chosen: capability → the one plugin that shall provide it (`[node] providers`).
        elsewhere: capability → installed plugins that are not enabled and would provide it; for the sentences.
    """
    problems: list[str] = []
    providers = _choose(parties, kernel, chosen or {}, problems)
    for party in parties:
        for capability in party.requires:
            if capability.name not in kernel and not providers.get(capability.name):
                problems.append(_unmet(party.name, capability.name, [*providers, *kernel], (elsewhere or {})))
    required = {p.name: _behind(p, p.requires, providers) for p in parties}
    optional = {p.name: _behind(p, p.uses, providers) for p in parties}
    order = _sort(required, optional, problems)
    return Wiring(order, providers, tuple(problems))


def _choose(
    parties: Sequence[Party], kernel: Collection[str], chosen: Mapping[str, str], problems: list[str]
) -> dict[str, tuple[str, ...]]:
    offers: dict[str, list[str]] = {}
    many: dict[str, bool] = {}
    for party in sorted(parties, key=lambda p: p.name):
        for capability in party.provides:
            if capability.name in kernel:
                problems.append(f"{party.name} provides {capability.name}, which {KERNEL} provides")
                continue
            offers.setdefault(capability.name, []).append(party.name)
            many[capability.name] = many.get(capability.name, True) and capability.many
    for name, plugin in sorted(chosen.items()):
        if plugin not in offers.get(name, ()):
            able = ", ".join(offers.get(name, ())) or "no enabled plugin does"
            problems.append(f"node.providers: {plugin} does not provide {name} ({able})")
        else:
            offers[name] = [plugin]
    for name, plugins in offers.items():
        if len(plugins) > 1 and not many[name]:
            problems.append(
                f"{' and '.join(plugins)} both provide {name}, of which there can be one: disable one of them, "
                f'or choose with [node] providers = {{ "{name}" = "{plugins[0]}" }}'
            )
    return {name: tuple(plugins) for name, plugins in offers.items()}


def _unmet(plugin: str, name: str, known: Sequence[str], elsewhere: Mapping[str, Sequence[str]]) -> str:
    text = f"{plugin} requires {name}, which no enabled plugin provides"
    if elsewhere.get(name):
        return f"{text}; {' or '.join(elsewhere[name])} would: enable it"
    near = difflib.get_close_matches(name, known, 1, 0.8)
    return f"{text}; there is {near[0]}" if near else text


def _behind(party: Party, wanted: Sequence[AnyCapability], providers: Mapping[str, Sequence[str]]) -> set[str]:
    return {plugin for capability in wanted for plugin in providers.get(capability.name, ())} - {party.name}


def _sort(required: Mapping[str, set[str]], optional: Mapping[str, set[str]], problems: list[str]) -> tuple[str, ...]:
    """Names after all that they require; what they only use comes before too, unless that would close a circle."""
    order: list[str] = []
    left = sorted(required)
    while left:
        done = set(order)
        ready = next((n for n in left if required[n] | optional[n] <= done), None)
        ready = ready or next((n for n in left if required[n] <= done), None)
        if ready is None:
            problems.append(f"plugins require each other in a circle: {' → '.join(_circle(required, left))}")
            return (*order, *left)
        order.append(ready)
        left.remove(ready)
    return tuple(order)


def _circle(required: Mapping[str, set[str]], left: Sequence[str]) -> list[str]:
    path = [left[0]]
    while True:
        step = min(n for n in required[path[-1]] if n in left)
        if step in path:
            return [*path[path.index(step) :], step]
        path.append(step)
