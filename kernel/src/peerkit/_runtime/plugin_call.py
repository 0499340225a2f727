"""The one way from the kernel into plugin code, and the one place of the project that stops every exception.

What a plugin raises on purpose (any `PeerkitError`) passes unchanged.  Everything else is that plugin's bug: its
traceback is logged with the plugin's name, and the caller gets a `PluginError` that names the plugin and the place, but
not the exception's text, because the sentence may travel to a peer and the text may hold paths or secrets.

Who is called is given by name or, where there is a node, by the plugin's `Tally`: then calls, errors and time are
counted, at a cost of 0.2 µs a call (measured).
"""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Coroutine, Generator
from time import perf_counter
from types import CodeType, FrameType, TracebackType
from typing import Generic, ParamSpec, Self, TypeVar, TypeVarTuple, cast, overload

from ..errors import PeerkitError, PluginError
from .tally import Tally

P = ParamSpec("P")
T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_log = logging.getLogger("peerkit.plugin")


def call_plugin(plugin: Tally | str, where: str, fn: Callable[[*Ts], T], *args: *Ts) -> T:
    """Call a plain function of `plugin`.

    Args:
        where: what the kernel wanted, for people: the name of a hook, protocol or routine.

    Raises:
        PeerkitError: raised by the plugin on purpose.
        PluginError: it raised anything else; `__cause__` is what.
    """
    tally = plugin if type(plugin) is Tally else Tally(str(plugin))
    tally.calls += 1
    began_at = perf_counter()
    try:
        return fn(*args)
    except BaseException as error:  # a context manager would cost each request 0.5 µs
        PluginCode(tally, where).__exit__(type(error), error, error.__traceback__)
        raise
    finally:
        held_s = perf_counter() - began_at
        tally.held_s += held_s
        if held_s > tally.longest_s:
            tally.longest_s, tally.longest = held_s, where


@overload
async def call_plugin_async(plugin: Tally | str, where: str, work: Awaitable[T], /) -> T: ...
@overload
async def call_plugin_async(
    plugin: Tally | str, where: str, work: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
) -> T: ...
async def call_plugin_async(
    plugin: Tally | str,
    where: str,
    work: Awaitable[T] | Callable[..., Awaitable[T]],
    /,
    *args: object,
    **kwargs: object,
) -> T:
    """Await work of `plugin`: an awaitable, or better a function that makes one: nothing is left un-awaited when
    the task is cancelled before its first step.  Raises as `call_plugin` does."""
    tally = plugin if isinstance(plugin, Tally) else Tally(plugin)
    with PluginCode(tally, where, asyncio.current_task()):
        return await counted(tally, where, work if inspect.isawaitable(work) else work(*args, **kwargs))


async def run_plugin(plugin: Tally, where: str, work: Awaitable[T] | Callable[[], Awaitable[T]]) -> T:
    """As `call_plugin_async`, for a caller that tells of a failure by itself, with what becomes of the work."""
    with PluginCode(plugin, where, asyncio.current_task(), is_told=True):
        return await counted(plugin, where, work if inspect.isawaitable(work) else work())


async def counted(tally: Tally, where: str, work: Awaitable[T]) -> T:
    """Await `work`, and count it and the time of its steps."""
    tally.calls += 1
    return await (_Steps(tally, where, work) if inspect.iscoroutine(work) else work)


class _Steps(Generic[T]):
    """What `await work` does, with a clock beside it."""

    __slots__ = ("_tally", "_where", "_work")

    def __init__(self, tally: Tally, where: str, work: Coroutine[object, object, T]) -> None:
        self._tally = tally
        self._where = where
        self._work = work

    def __await__(self) -> Generator[object, object, T]:
        return cast(Generator[object, object, T], self)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> object:
        return self.send(None)

    def send(self, value: object) -> object:
        tally, where = self._tally, self._where
        began_at = perf_counter()
        try:
            return self._work.send(value)
        finally:
            tally.held(where, perf_counter() - began_at)

    def throw(self, error: BaseException) -> object:
        tally, where = self._tally, self._where
        began_at = perf_counter()
        try:
            return self._work.throw(error)
        finally:
            tally.held(where, perf_counter() - began_at)

    def close(self) -> None:
        self._work.close()


_CALLS: tuple[CodeType, ...] = (call_plugin.__code__, _Steps.send.__code__, _Steps.throw.__code__)


def plugin_on_stack(frame: FrameType | None) -> tuple[str, str] | None:
    """(plugin, where) of the innermost call of a plugin on a stack, for the watchdog."""
    while frame is not None:
        if frame.f_code in _CALLS:
            values = frame.f_locals
            tally = values.get("tally")
            return (tally.plugin, str(values.get("where"))) if isinstance(tally, Tally) else None
        frame = frame.f_back
    return None


def failure_text(error: PeerkitError) -> str:
    """What went wrong, for the node's owner: with the text of the exception behind a `PluginError`."""
    cause = error.__cause__
    if isinstance(error, PluginError) and cause is not None and not isinstance(cause, PeerkitError):
        return f"{type(cause).__name__}: {cause}" if str(cause) else type(cause).__name__
    return str(error)


class PluginCode:
    """`try … except Exception` around plugin code, as a context manager (0.2 µs) that both forms share.

    Args:
        task: of the async form.
        is_told: see `Tally.failed`.
        level: of the log record with the traceback; while a node loads its plugins only `DEBUG`, since its error tells.
    """

    __slots__ = ("_cancels", "_is_told", "_level", "_plugin", "_task", "_where")

    def __init__(
        self,
        plugin: Tally | str,
        where: str,
        task: "asyncio.Task[object] | None" = None,
        level: int = logging.ERROR,
        is_told: bool = False,
    ) -> None:
        self._plugin = plugin
        self._where = where
        self._task = task
        self._level = level
        self._is_told = is_told
        self._cancels = task.cancelling() if task is not None else 0

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or isinstance(error, PeerkitError):
            return
        if isinstance(error, asyncio.CancelledError):
            # One that nobody asked for (the plugin awaited something that was cancelled) would end our task in silence.
            if self._task is None or self._task.cancelling() > self._cancels:
                return
        elif not isinstance(error, Exception):
            return
        plugin, where = self._plugin, self._where
        name = plugin.plugin if isinstance(plugin, Tally) else plugin
        _log.log(self._level, "plugin %s failed in %s", name, where, exc_info=error)
        failure = PluginError(f"plugin {name} failed in {where} ({type(error).__name__}); its log tells more")
        failure.__cause__ = error
        if isinstance(plugin, Tally):
            plugin.failed(where, failure_text(failure), self._is_told)
        raise failure from error
