"""The operations about plugins: which there are, what they do, and changing them while the node runs."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from ..errors import ConfigError, PluginError
from ..operation import Call, Operation
from .kernel_answers import (
    ChangeAnswer,
    PluginAnswer,
    PluginName,
    PluginNames,
    PluginsRequest,
    RestartRequest,
    describe_change,
    describe_plugin,
    describe_usage,
)
from .kernel_views import CHANGES, PLUGINS
from .node_view import NodeView

T = TypeVar("T")


class PluginOperations:
    """The handlers, and their declarations."""

    def __init__(self, node: NodeView) -> None:
        self._node = node

    def all(self) -> Sequence[Operation[Any]]:
        errors = (ConfigError, PluginError)
        return [
            Operation("plugins", PluginsRequest, PluginAnswer, self.plugins, many=True,
                      summary="List installed plugins and what they do", view=PLUGINS),
            Operation("plugins.enable", PluginName, ChangeAnswer, self.enable, effect="change",
                      summary="Start a plugin, until the node stops", view=CHANGES, errors=errors),
            Operation("plugins.disable", PluginNames, ChangeAnswer, self.disable, effect="change", many=True,
                      summary="Stop plugins, until the node stops", view=CHANGES, errors=errors),
            Operation("plugins.restart", RestartRequest, ChangeAnswer, self.restart, effect="change",
                      summary="Start a plugin anew, maybe with other settings", view=CHANGES, errors=errors),
        ]  # fmt: skip

    async def plugins(self, request: PluginsRequest, _call: Call) -> Sequence[PluginAnswer]:
        rows = self._node.host.status()
        if not request.verbose:
            return [describe_plugin(row) for row in rows]
        usage = self._node.host.usage()
        return [describe_usage(row, usage.get(row.name)) for row in rows]

    async def enable(self, request: PluginName, _call: Call) -> ChangeAnswer:
        change = await self._whole(self._node.control.enable(request.name))
        return describe_change("runs until the node stops; then the profile counts", change)

    async def disable(self, request: PluginNames, _call: Call) -> Sequence[ChangeAnswer]:
        changes = await self._whole(self._node.control.disable(request.names))
        done = "is off until the node stops; then the profile counts"
        return [describe_change(done, change) for change in changes]

    async def restart(self, request: RestartRequest, _call: Call) -> ChangeAnswer:
        change = await self._whole(self._node.control.restart(request.name, request.set))
        kept = " with the new settings; to keep them, write them into the profile" if request.set else ""
        return describe_change(f"was started anew{kept}", change)

    async def _whole(self, change: Coroutine[object, object, T]) -> T:
        """A caller who goes away leaves nothing half done."""
        return await asyncio.shield(self._node.supervisor.task("kernel", "change of plugins", change))
