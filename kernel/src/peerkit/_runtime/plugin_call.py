"""The one way from the kernel into plugin code, and the one place of the project that stops every exception.

What a plugin raises on purpose (any `PeerkitError`) passes unchanged.  Everything else is that plugin's bug: its
traceback is logged with the plugin's name, and the caller gets a `PluginError` that names the plugin and the place, but
not the exception's text, because the sentence may travel to a peer and the text may hold paths or secrets.
"""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import ParamSpec, TypeVar, TypeVarTuple, overload

from ..errors import PeerkitError, PluginError

P = ParamSpec("P")
T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_log = logging.getLogger("peerkit.plugin")


def call_plugin(plugin: str, where: str, fn: Callable[[*Ts], T], *args: *Ts) -> T:
    """Call a plain function of `plugin`.

    Args:
        where: what the kernel wanted, for people: the name of a hook, protocol or routine.

    Raises:
        PeerkitError: raised by the plugin on purpose.
        PluginError: it raised anything else; `__cause__` is what.
    """
    try:
        return fn(*args)
    except BaseException as error:  # a context manager would cost each request 0.5 µs
        PluginCode(plugin, where).__exit__(type(error), error, error.__traceback__)
        raise


@overload
async def call_plugin_async(plugin: str, where: str, work: Awaitable[T], /) -> T: ...
@overload
async def call_plugin_async(
    plugin: str, where: str, work: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
) -> T: ...
async def call_plugin_async(
    plugin: str, where: str, work: Awaitable[T] | Callable[..., Awaitable[T]], /, *args: object, **kwargs: object
) -> T:
    """Await work of `plugin`: an awaitable, or better a function that makes one: nothing is left un-awaited when
    the task is cancelled before its first step.  Raises as `call_plugin` does."""
    with PluginCode(plugin, where, asyncio.current_task()):
        return await (work if inspect.isawaitable(work) else work(*args, **kwargs))


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
        level: of the log record with the traceback; while a node loads its plugins only `DEBUG`, since its error tells.
    """

    __slots__ = ("_cancels", "_level", "_plugin", "_task", "_where")

    def __init__(
        self, plugin: str, where: str, task: "asyncio.Task[object] | None" = None, level: int = logging.ERROR
    ) -> None:
        self._plugin = plugin
        self._where = where
        self._task = task
        self._level = level
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
        _log.log(self._level, "plugin %s failed in %s", self._plugin, self._where, exc_info=error)
        raise PluginError(
            f"plugin {self._plugin} failed in {self._where} ({type(error).__name__}); its log tells more"
        ) from error
