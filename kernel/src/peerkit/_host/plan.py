"""Which plugins a node shall have, and whether they can be had: judged before any of them is built.

In: the resolved profile, what is installed, and specs handed in by the application.  Out: the plugins in the order of
building with their validated settings, or every problem at once.  Only enabled plugins are imported.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from .. import __version__
from .._config.problems import nearest, validate
from .._config.profile import Explanation, Resolved, explain_table
from .._runtime.plugin_call import PluginCode, failure_text
from ..capabilities import KERNEL_CAPABILITIES, Capability
from ..errors import ConfigError, PeerkitError, PluginLoadError
from ..plugin import AnyCapability, PluginSpec
from .entry_points import InstalledPlugin
from .version_range import misfit
from .wiring import Party, Wiring, wire

AnySpec = PluginSpec[Any]


@dataclass(slots=True)
class Candidate:
    """One enabled plugin.

    Attributes:
        installed: `None` when the application handed the spec in.
        spec, settings: `None` after a problem.
        error: why it cannot be built, or why it failed; empty when all is well.
    """

    name: str
    installed: InstalledPlugin | None
    spec: AnySpec | None = None
    settings: BaseModel | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class PluginStatus:
    """A row of `peerkit plugins`."""

    name: str
    version: str
    distribution: str
    enabled: bool
    running: bool
    provides: tuple[str, ...]
    requires: tuple[str, ...]
    error: str


@dataclass(slots=True)
class Plan:
    """Attributes:
    candidates: the enabled plugins, in the order of building.
    settings_problems: of the profile and of plugins' settings.
    plugin_problems: of plugins that cannot be had or do not fit together.
    """

    resolved: Resolved
    installed: Mapping[str, InstalledPlugin]
    candidates: dict[str, Candidate] = field(default_factory=dict)
    wiring: Wiring = field(default_factory=lambda: Wiring((), {}, ()))
    settings_problems: list[str] = field(default_factory=list)
    plugin_problems: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Raise every problem at once.

        Raises:
            PluginLoadError: a plugin cannot be had; the settings' problems are listed too.
            ConfigError: only settings are wrong.
        """
        if self.plugin_problems:
            raise PluginLoadError([*self.plugin_problems, *self.settings_problems])
        if self.settings_problems:
            raise ConfigError(self.settings_problems)

    def explain(self) -> tuple[Explanation, ...]:
        """Every setting of the node and of its enabled plugins, with the layer that it came from."""
        out = list(self.resolved.explain())
        for name, candidate in sorted(self.candidates.items()):
            if candidate.settings is not None:
                table = candidate.settings.model_dump(mode="json")
                out += explain_table(table, f"plugins.{name}", self.resolved.origins)
        return tuple(out)

    def statuses(
        self, running: Mapping[str, str] | None = None, switched_off: Mapping[str, str] | None = None
    ) -> tuple[PluginStatus, ...]:
        """All installed and all enabled plugins by name.

        Args:
            switched_off: plugin → why, of those that ran and were switched off.
            running: plugin → why it is down, empty while it is up; plugins that are not there do not run.
        """
        rows = []
        for name in sorted({*self.installed, *self.candidates, *(switched_off or {})}):
            candidate, installed = self.candidates.get(name), self.installed.get(name)
            if candidate is not None:
                installed = candidate.installed
            spec = candidate.spec if candidate else None
            down = (running or {}).get(name)
            rows.append(
                PluginStatus(
                    name,
                    installed.version if installed else "",
                    installed.distribution if installed else "",
                    candidate is not None,
                    down == "",
                    _names(spec.provides) if spec else installed.provides if installed else (),
                    _names(spec.requires) if spec else installed.requires if installed else (),
                    (candidate.error if candidate else (switched_off or {}).get(name, "")) or down or "",
                )
            )
        return tuple(rows)


def make_plan(
    resolved: Resolved, installed: Mapping[str, InstalledPlugin], given: Mapping[str, AnySpec] | None = None
) -> Plan:
    """Judge everything; nothing is raised (see `Plan.check`).

    Args:
        given: specs by name, enabled without being named in the profile (unless it disables them) and put in the
            place of installed plugins of the same name.
    """
    given = given or {}
    plan = Plan(resolved, installed, settings_problems=list(resolved.problems))
    known = {*installed, *given}
    _check_names(plan, known)
    wanted = dict.fromkeys([*resolved.enabled, *(name for name in given if name not in resolved.disabled)])
    for name in sorted(wanted):
        candidate = plan.candidates[name] = Candidate(name, None if name in given else installed.get(name))
        problem = _load(candidate, given.get(name), known)
        if problem:
            candidate.error = problem
            plan.plugin_problems.append(problem)
        elif candidate.spec is not None:
            problems = _validate(candidate, candidate.spec, resolved.plugins.get(name, {}))
            plan.settings_problems += problems
            candidate.error = "; ".join(problems)
    _wire(plan)
    return plan


def _check_names(plan: Plan, known: set[str]) -> None:
    resolved = plan.resolved
    for name, layer in resolved.disabled.items():
        if name not in known:
            plan.settings_problems.append(
                f"node.disable: there is no plugin {name!r} ({layer}){nearest(name, {*known, *resolved.enabled})}"
            )
    for name in resolved.plugins:
        if name not in known and name not in resolved.enabled:
            plan.settings_problems.append(f"plugins.{name}: no plugin of that name is installed{nearest(name, known)}")


def _load(candidate: Candidate, given: AnySpec | None, known: set[str]) -> str:
    """Fill in the spec; returns what is in the way."""
    name, installed = candidate.name, candidate.installed
    spec: object = given
    if given is None:
        if installed is None:
            hint = nearest(name, known) or f": install peerkit-{name.replace('_', '-')}"
            return f"plugin {name} is enabled but not installed{hint}"
        if installed.rivals:
            rivals = " and ".join((installed.distribution, *installed.rivals))
            return f"plugin {name} is installed by {rivals}: uninstall all but one"
        problem = misfit(installed.distribution, installed.version, installed.requirements, __version__)
        if problem:
            return f"plugin {name}: {problem}"
        try:
            with PluginCode(name, "its import", level=logging.DEBUG):
                spec = installed.load()
        except PeerkitError as exc:
            return (
                f"plugin {name} ({installed.distribution} {installed.version}) cannot be imported: {failure_text(exc)}"
            )
    if not isinstance(spec, PluginSpec):
        return f"plugin {name}: its entry point names a {type(spec).__name__}, not a PluginSpec"
    model: object = spec.settings
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return f"plugin {name}: the settings of its spec are not a pydantic model"
    candidate.spec = spec
    return ""


def _validate(candidate: Candidate, spec: AnySpec, table: Mapping[str, object]) -> list[str]:
    """Fill in the settings; returns what is wrong.  Validators are the plugin's code."""
    path = f"plugins.{candidate.name}"
    try:
        with PluginCode(candidate.name, "its settings", level=logging.DEBUG):
            candidate.settings, problems = validate(spec.settings, table, path)
    except PeerkitError as exc:
        return [f"{path}: the plugin failed to check its settings: {failure_text(exc)}"]
    return problems


def _wire(plan: Plan) -> None:
    parties = []
    for candidate in plan.candidates.values():
        spec = candidate.spec
        if spec is not None:
            parties.append(Party(candidate.name, tuple(spec.provides), tuple(spec.requires), tuple(spec.uses)))
        elif candidate.installed is not None:  # its failure must not be told again as others' unmet requirements
            declared = candidate.installed.provides
            parties.append(Party(candidate.name, tuple(Capability(name, many=True) for name in declared)))
    elsewhere: dict[str, list[str]] = {}
    for name, installed in sorted(plan.installed.items()):
        if name not in plan.candidates:
            for capability in installed.provides:
                elsewhere.setdefault(capability, []).append(name)
    plan.wiring = wire(parties, KERNEL_CAPABILITIES, plan.resolved.node.providers, elsewhere)
    plan.plugin_problems += plan.wiring.problems
    plan.candidates = {name: plan.candidates[name] for name in plan.wiring.order} | plan.candidates


def _names(capabilities: Sequence[AnyCapability]) -> tuple[str, ...]:
    return tuple(sorted(capability.name for capability in capabilities))
