"""What is installed, read from the metadata of distributions; nothing is imported.

A plugin's distribution has one entry point in the group `peerkit`, and repeats the capabilities of its spec in three
more groups, whose entries are named `<plugin>.<capability>` and refer to the token::

    [project.entry-points.peerkit]
    search = "peerkit_search.plugin:plugin"

    [project.entry-points."peerkit.requires"]
    "search.peerkit.content_routing/1" = "peerkit.capabilities:CONTENT_ROUTING"

So the names are known without import, and every value is a reference that can be loaded.
"""

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import metadata

GROUP = "peerkit"
PROVIDES, REQUIRES, USES = "peerkit.provides", "peerkit.requires", "peerkit.uses"


@dataclass(frozen=True, slots=True)
class InstalledPlugin:
    """One entry point of the group `peerkit`.

    Attributes:
        requirements: the distribution's `Requires-Dist` lines.
        provides, requires, uses: names of capabilities.
        load: imports the module and returns what the entry point names.
        rivals: other distributions that install a plugin of this name.
    """

    name: str
    distribution: str
    version: str
    requirements: tuple[str, ...]
    load: Callable[[], object]
    provides: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    rivals: tuple[str, ...] = ()


def installed_plugins() -> dict[str, InstalledPlugin]:
    """Name → plugin, for all that this interpreter can see.  Read (≈ 10 ms) once per process and search path: a process
    may hold a thousand nodes, and what is installed while it runs counts at its next start."""
    return dict(_read_plugins(tuple(sys.path)))


@lru_cache(maxsize=4)
def _read_plugins(_search_path: tuple[str, ...]) -> dict[str, InstalledPlugin]:
    entries = metadata.entry_points()
    names: dict[str, dict[tuple[str, str], None]] = {}
    for group in (PROVIDES, REQUIRES, USES):
        for entry in entries.select(group=group):
            owner, _, capability = entry.name.partition(".")
            names.setdefault(f"{group} {owner}", {})[(_distribution(entry), capability)] = None
    found: dict[str, InstalledPlugin] = {}
    for entry in sorted(entries.select(group=GROUP), key=lambda e: (e.name, _distribution(e))):
        distribution = _distribution(entry)

        def declared(group: str, entry: metadata.EntryPoint = entry, owner: str = distribution) -> tuple[str, ...]:
            return tuple(sorted(name for dist, name in names.get(f"{group} {entry.name}", {}) if dist == owner))

        plugin = InstalledPlugin(
            entry.name,
            distribution,
            entry.dist.version if entry.dist else "",
            tuple((entry.dist.requires or ()) if entry.dist else ()),
            entry.load,
            declared(PROVIDES),
            declared(REQUIRES),
            declared(USES),
        )
        found[entry.name] = _merge(found.get(entry.name), plugin)
    return found


def _merge(first: InstalledPlugin | None, second: InstalledPlugin) -> InstalledPlugin:
    if first is None or first.distribution == second.distribution:
        return second
    return replace(first, rivals=(*first.rivals, second.distribution))


def _distribution(entry: metadata.EntryPoint) -> str:
    return _name(entry.dist) if entry.dist else "?"


@lru_cache(maxsize=256)  # each time anew it would read and parse the file of metadata
def _name(distribution: metadata.Distribution) -> str:
    return distribution.name


def declared_differently(installed: InstalledPlugin, **spec: Iterable[str]) -> list[str]:
    """Where entry-point groups and the spec (`provides=`, `requires=`, `uses=`: names) disagree, a sentence each."""
    problems = []
    for group, names in spec.items():
        there, here = set(getattr(installed, group)), set(names)
        for name in sorted(here - there):
            problems.append(
                f'{installed.name}: its spec {group} {name}, but no entry point of "{GROUP}.{group}" says so'
            )
        for name in sorted(there - here):
            problems.append(
                f'{installed.name}: an entry point of "{GROUP}.{group}" names {name}, but its spec does not'
            )
    return problems
