"""Enables, disables and restarts plugins of a running node.

What may change is a matter of kind: see `docs/decisions/run-time-control.md`.  Every change is judged on the whole
profile as at a start, before anything is touched; then the plugins that require a changed one are stopped first and
started last.  The profile is the user's file and stays as it is.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from .._config.layers import nest, parse_value
from .._config.problems import nearest
from .._config.profile import Resolved
from .._runtime.registrations import Registrations
from ..capabilities import DATAGRAM_ENDPOINTS
from ..errors import ConfigError, PeerkitError, PluginError, PluginLoadError, UsageError
from .plan import AnySpec, Plan
from .plugin_host import PluginHost

SET_BY = "plugins.restart --set"
SWITCHED_OFF = "it was switched off; `peerkit plugins enable {}` starts it again, and so does a restart of the node"


@dataclass(frozen=True, slots=True)
class Change:
    """What was done to one plugin.

    Attributes:
        with_it: others that were stopped and started again, since they require it.
        sessions_without: sessions that had begun without a protocol of its: they get it when they are made anew.
        tasks_left: tasks of it that refuse to end.
    """

    name: str
    with_it: tuple[str, ...] = ()
    sessions_without: int = 0
    tasks_left: int = 0


class RunTimeControl:
    """One change at a time."""

    def __init__(self, host: PluginHost, registrations: Registrations) -> None:
        self._host = host
        self._registrations = registrations
        self._lock = asyncio.Lock()

    async def enable(self, name: str) -> Change:
        """Start a plugin that is not enabled, or try one again that failed.

        Raises:
            UsageError: it runs, or it is of a kind that needs a restart of the node.
            ConfigError, PluginLoadError: what is wrong; nothing has changed.
        """
        async with self._lock:
            if name in self._host.running():
                raise UsageError(f"plugin {name} runs already; `peerkit plugins restart {name}` starts it anew")
            before = self._host.resolved
            plan = self._plan(_with(before, name))
            self._check_kind(name, plan.candidates[name].spec)
            self._host.adopt(plan)
            try:
                without = await self._start(name, shut=False)
            except PluginLoadError as exc:
                self._host.adopt(self._host.plan(before))
                self._host.note(name, "; ".join(exc.problems))
                raise _failure(name, exc, "it stays off") from exc
            return Change(name, sessions_without=without)

    async def disable(self, names: Sequence[str]) -> list[Change]:
        """Stop plugins, those that require others first.

        Raises:
            UsageError: one does not run or is of a kind that needs a restart of the node, or others require it.
        """
        async with self._lock:
            running = self._host.running()
            failed = [row.name for row in self._host.status() if row.enabled and row.name not in running]
            for name in names:
                if name not in failed:
                    self._check_runs(name, running)
                    self._check_kind(name, running[name])
            also = [name for name in self._dependents(names) if name not in names]
            if also:
                raise UsageError(
                    f"{', '.join(also)} {'requires' if len(also) == 1 else 'require'} {' and '.join(names)}: "
                    f"disable all at once, `peerkit plugins disable {' '.join([*names, *also])}`"
                )
            plan = self._plan(_without(self._host.resolved, names))
            changes = []
            for name in (*reversed([name for name in running if name in names]), *(n for n in names if n in failed)):
                if name in failed:  # its trust policies may be shut since
                    self._registrations.remove(name, shut=False)
                    changes.append(Change(name))
                else:
                    changes.append(Change(name, tasks_left=await self._stop(name, shut=False)))
                self._host.switched_off[name] = SWITCHED_OFF.format(name)
            self._host.adopt(plan)
            return changes

    async def restart(self, name: str, sets: Sequence[str] = ()) -> Change:
        """Stop a plugin and start it anew, and with it those that require it.

        Args:
            sets: `key=value` of its settings, on top of those that it has.

        Raises:
            UsageError: it does not run, or it, or what requires it, is of a kind that needs a restart of the node.
            ConfigError: a setting is wrong; nothing has changed.
            PluginError: it did not start; the sentence says whether it runs on with the settings of before.
        """
        async with self._lock:
            running = self._host.running()
            self._check_runs(name, running)
            for other in (name, *(dependents := self._dependents([name]))):
                self._check_kind(other, running[other], "" if other == name else f", and it requires {name}")
            before = self._host.resolved
            plan = self._plan(_set(before, name, sets))
            chain = [name, *dependents]
            left = 0
            for other in reversed(chain):
                left += await self._stop(other, shut=True)
            self._host.adopt(plan)
            try:
                without = [await self._start(other, shut=True) for other in chain]
            except PluginLoadError as exc:
                raise _failure(name, exc, await self._go_back(before, chain)) from exc
            return Change(name, tuple(dependents), without[0], left)

    async def _go_back(self, before: Resolved, chain: Sequence[str]) -> str:
        """Start again as it was what does not run of `chain`; returns the sentence about it."""
        self._host.adopt(self._host.plan(before))
        try:
            for other in chain:
                if other not in self._host.running():
                    await self._start(other, shut=True)
        except PluginLoadError as exc:
            off = [other for other in chain if other not in self._host.running()]
            for other in off[1:]:
                self._host.note(other, f"it requires {off[0]}, which was not started")
            why = "; ".join(exc.problems)
            return f"nor does it with the settings of before ({why}), so {' and '.join(off)} cannot run now"
        return "it runs on with the settings of before"

    async def _start(self, name: str, shut: bool) -> int:
        """Raises `PluginLoadError`; then nothing of it is left, but with `shut` its trust policies deny everything."""
        new = await self._host.start_one(name, self._registrations.registered)
        try:
            without = self._registrations.add(name, new)
        except PeerkitError as exc:
            self._registrations.remove(name, shut)
            await self._host.stop(name)
            raise PluginLoadError(exc.problems if isinstance(exc, PluginLoadError) else [str(exc)]) from exc
        self._host.switched_off.pop(name, None)
        self._host.start_runs()
        return without

    async def _stop(self, name: str, shut: bool) -> int:
        self._registrations.remove(name, shut)
        return await self._host.stop(name)

    def _plan(self, resolved: Resolved) -> Plan:
        try:
            return self._host.plan(resolved)
        except PluginLoadError as exc:
            raise PluginError("; ".join(exc.problems)) from exc

    def _dependents(self, names: Sequence[str]) -> list[str]:
        """Those that cannot be without one of `names`, in the order of starting."""
        running, gone = self._host.running(), set(names)
        out: list[str] = []
        for name, spec in running.items():  # providers come first
            if name not in gone and any(self._is_only_provider(gone, c.name, running) for c in spec.requires):
                gone.add(name)
                out.append(name)
        return out

    def _is_only_provider(self, gone: Collection[str], capability: str, running: Mapping[str, AnySpec]) -> bool:
        providers = [name for name, spec in running.items() if any(c.name == capability for c in spec.provides)]
        return bool(providers) and all(name in gone for name in providers)

    def _check_runs(self, name: str, running: Mapping[str, AnySpec]) -> None:
        if name not in running:
            raise UsageError(f"plugin {name} does not run{nearest(name, running)}")

    def _check_kind(self, name: str, spec: AnySpec | None, why: str = "") -> None:
        """Raises `UsageError` for a kind that lives as long as the node."""
        registered = self._registrations.registered
        what = ""
        if name in (registered.security_owner, *registered.wrapper_owners.values()):
            what = "wraps the packets of every session"
        elif name in registered.transport_owners.values():
            what = "brings a transport, which sessions run on"
        elif spec is not None and any(c.name == DATAGRAM_ENDPOINTS.name for c in (*spec.requires, *spec.uses)):
            what = "takes datagrams from the node's own sockets"
        if what:
            raise UsageError(f"plugin {name} {what}{why}: change the profile and restart the node")


def _failure(name: str, error: PluginLoadError, state: str) -> PluginError:
    return PluginError(f"plugin {name} was not started: {'; '.join(error.problems)}; {state}")


def _with(resolved: Resolved, name: str) -> Resolved:
    disabled = {other: layer for other, layer in resolved.disabled.items() if other != name}
    return replace(resolved, enabled=tuple(dict.fromkeys([*resolved.enabled, name])), disabled=disabled)


def _without(resolved: Resolved, names: Sequence[str]) -> Resolved:
    enabled = tuple(name for name in resolved.enabled if name not in names)
    return replace(resolved, enabled=enabled, disabled={**resolved.disabled, **dict.fromkeys(names, "plugins.disable")})


def _set(resolved: Resolved, name: str, sets: Sequence[str]) -> Resolved:
    """Raises `ConfigError` for what is no `key=value`."""
    table: dict[str, object] = dict(resolved.plugins.get(name, {}))
    origins = dict(resolved.origins)
    for text in sets:
        key, equals, value = text.partition("=")
        path = [part.strip() for part in key.split(".")]
        if not equals or not all(path):
            raise ConfigError([f"--set {text!r}: write key=value, a setting of {name} and its new value"])
        table = _laid(table, nest(path, parse_value(value.strip())))
        origins[f"plugins.{name}.{'.'.join(path)}"] = SET_BY
    return replace(resolved, plugins={**resolved.plugins, name: table}, origins=origins)


def _laid(below: Mapping[str, object], above: Mapping[str, object]) -> dict[str, object]:
    out = dict(below)
    for key, value in above.items():
        under = out.get(key)
        out[key] = _laid(under, value) if isinstance(under, Mapping) and isinstance(value, Mapping) else value
    return out
