"""Who provides which capability on this node, with the object to call.

A plugin's object is handed out behind a guard.  What its methods raise that is no `PeerkitError` becomes a
`PluginError` which names the provider, so that nobody is blamed for whom he asked; calls are counted in the provider's
tally.  While the provider's `run()` is down or the plugin is switched off, looking up a method raises `Unavailable`;
when it is started again, the same guard leads to the new object.
"""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar, cast

from .._runtime.plugin_call import call_plugin, call_plugin_async
from .._runtime.tally import Tally
from ..capabilities import Capability
from ..errors import LocalProtocolError, Unavailable

T = TypeVar("T")


class Guard:
    """Stands for a provider's object; everything but the checks is the object's own.

    Args:
        obj: `None` while the plugin is switched off.
        down: why the plugin's run is down, or an empty text.
    """

    __slots__ = ("_capability", "_down", "_obj", "_tally")

    def __init__(self, obj: object, tally: Tally, capability: str, down: Callable[[], str]) -> None:
        self._obj = obj
        self._tally = tally
        self._capability = capability
        self._down = down

    def __repr__(self) -> str:
        return f"<Guard of {self._obj!r}>"

    def __getattr__(self, name: str) -> object:
        reason = self._down()
        if reason:
            raise Unavailable(f"{self._capability} is not available now: plugin {self._tally.plugin} {reason}")
        value = getattr(self._obj, name)
        if not inspect.ismethod(value):
            return value
        where = f"{name} of {self._capability}"
        if inspect.iscoroutinefunction(value):
            return partial(call_plugin_async, self._tally, where, value)
        return partial(_call, self._tally, where, value)


def _call(tally: Tally, where: str, method: Callable[..., object], *args: object, **kwargs: object) -> object:
    return call_plugin(tally, where, partial(method, **kwargs) if kwargs else method, *args)


class CapabilityBoard:
    """Args:
    kernel: capability name → the kernel's own object.
    chosen: capability name → the plugins that shall provide it, in order (from the wiring).
    down: why a plugin's run is down, or an empty text.
    tally: of a plugin.
    """

    def __init__(
        self,
        kernel: Mapping[str, object],
        chosen: Mapping[str, tuple[str, ...]],
        down: Callable[[str], str],
        tally: Callable[[str], Tally] = Tally,
    ) -> None:
        self._kernel = kernel
        self._down = down
        self._tally = tally
        self._guards: dict[tuple[str, str], Guard] = {}
        self.chosen = chosen

    def provide(self, name: str, plugin: str, obj: object) -> None:
        """Raises `LocalProtocolError` when it was provided already."""
        guard = self._guards.get((name, plugin))
        if guard is None:
            self._guards[name, plugin] = Guard(obj, self._tally(plugin), name, lambda: self._reason(name, plugin))
        elif guard._obj is not None:
            raise LocalProtocolError(f"{plugin} provides {name} twice")
        else:
            guard._obj = obj

    def withdraw(self, plugin: str) -> None:
        """The plugin is switched off: its objects are let go."""
        for (_, provider), guard in self._guards.items():
            if provider == plugin:
                guard._obj = None

    def is_provided(self, name: str, plugin: str) -> bool:
        guard = self._guards.get((name, plugin))
        return guard is not None and guard._obj is not None

    def providers(self, capability: Capability[T]) -> list[tuple[str, T]]:
        """(plugin, object), by plugin name; the kernel's own capabilities come from `the kernel`."""
        if capability.name in self._kernel:
            return [("the kernel", cast(T, self._kernel[capability.name]))]
        return [
            (plugin, cast(T, self._guards[capability.name, plugin]))
            for plugin in self.chosen.get(capability.name, ())
            if self.is_provided(capability.name, plugin)
        ]

    def _reason(self, name: str, plugin: str) -> str:
        if self._guards[name, plugin]._obj is None:
            return "is switched off"
        reason = self._down(plugin)
        return f"failed: {reason}" if reason else ""
