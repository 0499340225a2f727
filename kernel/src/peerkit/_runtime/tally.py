"""What is counted of the code of each plugin: calls, errors, and for how long it held the event loop.

Time is that of a call, or of an async one each of its steps from one `await` to the next: what nobody else could use.
What it calls of another plugin is counted for both.  Filled by `plugin_call`, read by `peerkit plugins --verbose`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..clock import Clock
from ..event import PluginFailed

if TYPE_CHECKING:
    from .event_bus import EventBus

TOLD_AGAIN_S = 60.0  # a stranger may make a handler fail as often as he likes: each place is told so often at most
MAX_PLACES = 64  # whose last telling is known; bounds what many names of places cost


class Tally:
    """One plugin's, of one node.

    Attributes:
        held_s: how long its code held the loop, all in all.
        longest_s, longest: the longest single time, and in what.
        last_error: of the last failure: where, and what; empty before the first.
    """

    __slots__ = ("_node", "_told", "calls", "errors", "held_s", "last_error", "longest", "longest_s", "plugin")

    def __init__(self, plugin: str, node: Tallies | None = None) -> None:
        self.plugin = plugin
        self.calls = 0
        self.errors = 0
        self.held_s = 0.0
        self.longest_s = 0.0
        self.longest = ""
        self.last_error = ""
        self._node = node
        self._told: dict[str, float] = {}

    def held(self, where: str, seconds: float) -> None:
        """Its code ran for so long without a pause."""
        self.held_s += seconds
        if seconds > self.longest_s:
            self.longest_s = seconds
            self.longest = where

    def failed(self, where: str, error: str, is_told: bool = False) -> None:
        """It raised, answered with a wrong thing or did not answer in time.

        Args:
            is_told: the caller tells it, with what becomes of it.
        """
        self.errors += 1
        self.last_error = f"{where}: {error}"
        if self._node is None or is_told:
            return
        now = self._node.clock.now()
        if now - self._told.get(where, -TOLD_AGAIN_S) < TOLD_AGAIN_S:
            return
        if len(self._told) >= MAX_PLACES:
            self._told.clear()
        self._told[where] = now
        self._node.events.emit(PluginFailed(self.plugin, where, error, -1))


class Tallies:
    """One node's, by plugin."""

    def __init__(self, clock: Clock, events: EventBus) -> None:
        self.clock = clock
        self.events = events
        self._tallies: dict[str, Tally] = {}

    def of(self, plugin: str) -> Tally:
        """The same one for as long as the node runs, also when the plugin is restarted."""
        tally = self._tallies.get(plugin)
        if tally is None:
            tally = self._tallies[plugin] = Tally(plugin, self)
        return tally
