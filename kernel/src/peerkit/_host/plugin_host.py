"""Builds and runs the plugins of one node.

The steps, in this order:

    host = PluginHost(resolved)                       judges all that is enabled, raises all problems at once
    registered = host.load(services, capabilities)    builds the objects in order, asks the hooks
    await host.start()                                awaits every `start()`, before the node listens
    host.start_runs()                                 starts every `run()` under the supervisor
    await host.close()                                the reverse; transports after the sessions

While the node runs, `stop` and `start_one` do the same for one plugin; see `run_time_control`.
"""

import asyncio
import inspect
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import pluggy

from .._config.profile import Explanation, Resolved
from .._runtime.plugin_call import PluginCode, failure_text, run_plugin
from .._runtime.services import Services
from .._runtime.supervisor import Kept, Supervisor
from .._runtime.tally import Tally
from ..capabilities import DIAGNOSIS, Capability, Diagnosis, Finding
from ..errors import PeerkitError, PluginConflictError, PluginLoadError, Unavailable
from .capability_board import CapabilityBoard
from .context import HostContext
from .entry_points import InstalledPlugin, installed_plugins
from .plan import AnySpec, Candidate, Plan, PluginStatus, make_plan
from .registry import Extra, Registered, collect, hook_mistakes, new_manager

T = TypeVar("T")

START_S = 30.0  # how long a plugin's start() may take; a large database is checked in that time
DIAGNOSE_S = 10.0
CLOSE_S = 5.0  # how long a plugin's close() may take before it is given up


@dataclass(slots=True)
class _Built:
    name: str
    obj: object
    context: HostContext
    kept: Kept | None = None
    is_closed: bool = False


@dataclass(frozen=True, slots=True)
class PluginUsage:
    """What one plugin did and holds.

    Attributes:
        limits: of tasks, timers and subscriptions.
        restarts: of its run.
    """

    tally: Tally
    tasks: int
    timers: int
    subscriptions: int
    limits: Mapping[str, int]
    restarts: int


class PluginHost:
    """Args:
    resolved: the profile, with its problems.
    given: specs that the application hands in, by name.
    installed: what is installed; read from the interpreter's metadata unless told.

    Raises:
        PluginLoadError: an enabled plugin is missing, does not fit, cannot be imported or cannot be wired.
        ConfigError: a setting of the node or of a plugin is wrong.
    """

    def __init__(
        self,
        resolved: Resolved,
        given: Mapping[str, AnySpec] | None = None,
        installed: Mapping[str, InstalledPlugin] | None = None,
    ) -> None:
        self._given = given
        self._installed = installed_plugins() if installed is None else installed
        self._plan = make_plan(resolved, self._installed, given)
        self._plan.check()
        self._built: list[_Built] = []
        self._manager: pluggy.PluginManager = new_manager()
        self._services: Services
        self._supervisor: Supervisor | None = None
        self._board = CapabilityBoard({}, {}, self._down_by_name)
        self._closed = False
        self.switched_off: dict[str, str] = {}  # while the node runs: plugin → why it does not, in words

    def explain(self) -> tuple[Explanation, ...]:
        """Every setting of the node and its plugins, with the layer that it came from."""
        return self._plan.explain()

    def status(self) -> list[PluginStatus]:
        """All installed and all enabled plugins; disabled ones are not imported for it."""
        return list(self._plan.statuses({built.name: self._down(built) for built in self._built}, self.switched_off))

    def tally(self, plugin: str) -> Tally:
        """What was counted of its code since the node started."""
        assert self._supervisor is not None, "load comes first"
        return self._supervisor.tallies.of(plugin)

    def load(self, services: Services, capabilities: Mapping[str, object], extras: Sequence[Extra] = ()) -> Registered:
        """Build every plugin object and collect what they register.

        Args:
            capabilities: the kernel's own, by name.
            extras: protocols, routines and operations of the kernel and of the application.

        Raises:
            PluginConflictError: two claim one name; the sentence names both.
            PluginLoadError: anything else, and all of it.
        """
        self._services, self._supervisor = services, services.supervisor
        board = self._board = CapabilityBoard(
            capabilities, self._plan.wiring.providers, self._down_by_name, services.supervisor.tallies.of
        )
        problems: list[str] = []
        for candidate in self._plan.candidates.values():
            self._build(candidate, services, board, problems)
        for built in self._built:
            problems += self._register(built)
        collected = collect(self._manager, self._plan.resolved.node.wrappers, extras)
        if problems or collected.problems:
            # A plugin that could not be built registers nothing; what is missing for that reason is no news.
            problems += collected.conflicts
            problems += [] if problems and len(self._built) < len(self._plan.candidates) else collected.problems
            raise PluginLoadError(problems)
        if collected.conflicts:
            raise PluginConflictError("; ".join(collected.conflicts))
        return collected.registered

    def providers(self, capability: Capability[T]) -> list[tuple[str, T]]:
        """(plugin, object) for those who provide it, by plugin name."""
        return self._board.providers(capability)

    def require(self, capability: Capability[T]) -> T:
        """What the first provider of a capability offers.  Raises `Unavailable` when there is none."""
        for _, obj in self.providers(capability):
            return obj
        raise Unavailable(f"no enabled plugin provides {capability.name}; `peerkit plugins --json` tells which would")

    async def diagnose(self) -> list[tuple[str, Finding]]:
        """What every plugin that looks after the node's health finds now, by plugin; one that fails is a finding."""
        asked = self._board.providers(DIAGNOSIS)
        answers = await asyncio.gather(*(self._findings(name, diagnosis) for name, diagnosis in asked))
        return [(name, finding) for (name, _), findings in zip(asked, answers, strict=True) for finding in findings]

    async def _findings(self, name: str, diagnosis: Diagnosis) -> Sequence[Finding]:
        try:
            async with asyncio.timeout(DIAGNOSE_S):
                found: object = await diagnosis.diagnose()
            if isinstance(found, list | tuple) and all(isinstance(finding, Finding) for finding in found):
                return found
            return [Finding(name, "problem", f"plugin {name} answered with something else than findings")]
        except TimeoutError:
            return [Finding(name, "problem", f"plugin {name} did not answer within {DIAGNOSE_S:g} s")]
        except PeerkitError as exc:
            return [Finding(name, "problem", f"plugin {name} cannot tell: {failure_text(exc)}")]

    async def start(self) -> None:
        """Await `start()` of every plugin that has one, in the order of building; what they read from the disk is there
        before the first peer is.

        Raises:
            PluginLoadError: one failed or took longer than 30 s; all failures are named.
        """
        problems = [problem for built in self._built for problem in await self._start(built)]
        if problems:
            raise PluginLoadError(problems)

    async def _start(self, built: _Built) -> list[str]:
        begin = getattr(built.obj, "start", None)
        if begin is None:
            return []
        tally = self.tally(built.name)
        try:
            async with asyncio.timeout(START_S):
                await run_plugin(tally, "start", begin)
        except TimeoutError:
            tally.failed("start", late := f"its start took longer than {START_S:g} s", is_told=True)
            return [f"plugin {built.name}: {late}"]
        except PeerkitError as exc:
            return [f"plugin {built.name} failed to start: {failure_text(exc)}"]
        return []

    def start_runs(self) -> None:
        """Start `run()` of every plugin that has one, in the order of building."""
        assert self._supervisor is not None, "load comes first"
        for built in self._built:
            run = getattr(built.obj, "run", None)
            if run is not None and built.kept is None:
                built.kept = self._supervisor.keep(built.name, "run", run)

    async def close(self, but: Collection[str] = ()) -> None:
        """Stop the plugins in the reverse order: cancel `run()`, call `close()` (5 s at most), cancel what is left.
        Those named in `but` run on until the next call.  Idempotent."""
        if self._supervisor is None:
            return
        self._closed = True
        for built in reversed(self._built):
            if not built.is_closed and built.name not in but:
                await self._close(built, self._supervisor)

    async def _close(self, built: _Built, supervisor: Supervisor) -> None:
        built.is_closed = True
        if built.kept is not None:
            await supervisor.end(built.kept)
        close = getattr(built.obj, "close", None)
        if close is not None:
            tally, late = supervisor.tallies.of(built.name), f"it took longer than {CLOSE_S:g} s"
            try:
                async with asyncio.timeout(CLOSE_S):
                    await run_plugin(tally, "close", close)
            except TimeoutError:
                tally.failed("close", late, is_told=True)
                supervisor.report(built.name, "close", late, -1)
            except PeerkitError as exc:
                supervisor.report(built.name, "close", failure_text(exc), -1)
        built.context.close()
        await supervisor.cancel(built.name)

    # -- while the node runs -------------------------------------------------------------------------------------

    @property
    def resolved(self) -> Resolved:
        """The profile, with what was changed since the start."""
        return self._plan.resolved

    def plan(self, resolved: Resolved) -> Plan:
        """Judge a changed profile as at the start.  Raises what is wrong with it."""
        plan = make_plan(resolved, self._installed, self._given)
        plan.check()
        return plan

    def adopt(self, plan: Plan) -> None:
        """From now on that is what shall run."""
        self._plan, self._board.chosen = plan, plan.wiring.providers

    def note(self, name: str, why: str) -> None:
        """Why it does not run, for `status`."""
        candidate = self._plan.candidates.get(name)
        if candidate is not None:
            candidate.error = why
        else:
            self.switched_off[name] = why

    def usage(self) -> dict[str, PluginUsage]:
        """Plugin → what it did and holds, of those that were built."""
        return {built.name: self._usage(built) for built in self._built}

    def _usage(self, built: _Built) -> PluginUsage:
        tally, kept, context = self.tally(built.name), built.kept, built.context
        tasks = self._services.supervisor.count(built.name)
        restarts = kept.failures if kept is not None else 0
        return PluginUsage(tally, tasks, context.timers, context.subscriptions, context.limits, restarts)

    def running(self) -> dict[str, AnySpec]:
        """What is built now, providers first, with the spec of each."""
        specs = {name: candidate.spec for name, candidate in self._plan.candidates.items()}
        return {built.name: spec for built in self._built if (spec := specs.get(built.name)) is not None}

    async def stop(self, name: str) -> int:
        """Stop one plugin and let go of all that it held.  Nothing is registered of it any more.

        Returns:
            Its tasks that refuse to end.
        """
        built = next(built for built in self._built if built.name == name)
        await self._close(built, self._services.supervisor)
        await built.context.close_databases()
        self._forget(built)
        return self._services.supervisor.count(name)

    def _forget(self, built: _Built) -> None:
        self._board.withdraw(built.name)
        if self._manager.is_registered(built.obj):
            self._manager.unregister(built.obj)
        self._built.remove(built)

    async def start_one(self, name: str, beside: Registered) -> Registered:
        """Build one plugin of the adopted plan, ask its hooks and await its `start`; its run is for `start_runs`.

        Raises:
            PluginLoadError: any of it failed, and nothing of it is left.
        """
        candidate, problems = self._plan.candidates[name], list[str]()
        candidate.error = ""
        self._build(candidate, self._services, self._board, problems)
        if problems:
            self._board.withdraw(name)
            raise PluginLoadError(problems)
        built = self._built[-1]
        try:
            problems += self._register(built)
            if problems:
                raise PluginLoadError(problems)
            manager = new_manager()
            manager.register(built.obj, name)
            collected = collect(manager, beside=beside)
            problems += [*collected.problems, *collected.conflicts]
            if collected.registered.transport_owners or collected.registered.wrappers:
                problems.append(f"plugin {name} brings a transport or a wrapper: enable it in the profile and restart")
            if not problems:
                problems += await self._start(built)
            if problems:
                raise PluginLoadError(problems)
        except BaseException as exc:
            candidate.error = "; ".join(exc.problems) if isinstance(exc, PluginLoadError) else "it was not started"
            await self.stop(name)
            raise
        return collected.registered

    def _build(self, candidate: Candidate, services: Services, board: CapabilityBoard, problems: list[str]) -> None:
        spec, settings = candidate.spec, candidate.settings
        assert spec is not None and settings is not None, "the plan was checked"
        built = {b.name for b in self._built}
        for capability in spec.requires:
            providers = self._plan.wiring.providers.get(capability.name, ())
            failed = [name for name in providers if name not in built and name != candidate.name]
            if failed:
                candidate.error = f"plugin {candidate.name} needs {capability.name} of {failed[0]}, which failed"
                problems.append(candidate.error)
                return
        context = HostContext(candidate.name, settings, services, board, spec.provides, (*spec.requires, *spec.uses))
        try:
            with PluginCode(candidate.name, "its factory", level=logging.DEBUG):
                obj = spec.factory(context)
        except PeerkitError as exc:
            context.close()
            candidate.error = f"plugin {candidate.name} failed to start: {failure_text(exc)}"
            problems.append(candidate.error)
            return
        context.in_factory = False
        for capability in spec.provides:
            if not board.is_provided(capability.name, candidate.name):
                problems.append(f"plugin {candidate.name} does not provide {capability.name}, but its spec says so")
        self._built.append(_Built(candidate.name, obj, context))

    def _register(self, built: _Built) -> list[str]:
        problems = hook_mistakes(built.name, built.obj)
        for name in ("start", "run", "close"):
            method = getattr(built.obj, name, None)
            if method is not None and not inspect.iscoroutinefunction(method):
                problems.append(f"plugin {built.name}: {name} must be an async method")
        if problems:
            return problems
        try:
            self._manager.register(built.obj, built.name)
            self._manager.check_pending()
        except (pluggy.PluginValidationError, ValueError) as exc:
            return [f"plugin {built.name}: {exc}"]
        return []

    def _down_by_name(self, name: str) -> str:
        return next((self._down(built) for built in self._built if built.name == name), "")

    def _down(self, built: _Built) -> str:
        """Why its run is down, or an empty text."""
        if self._closed:
            return "the node has stopped"
        return built.kept.error if built.kept is not None and built.kept.is_down else ""
