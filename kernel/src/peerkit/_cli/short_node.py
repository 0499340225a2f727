"""Nodes that live as long as one command: for an operation that can do without a running node, and for the catalogue."""

import asyncio
import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel
from pydantic_core import to_json

from .._control.wire import Json, Progress
from .._runtime.plugin_call import call_plugin_async
from ..client.conversation import OnItem, OnProgress
from ..errors import PeerkitError
from ..event import PeerConnected
from ..node import Node

if TYPE_CHECKING:
    from .access import Access

DEFAULT_PROFILE = "local"
FIRST_PEER_TIMEOUT_S = 5.0  # a bootstrap peer that is alive answers in a fraction of this


def open_node(
    access: "Access", data_dir: Path, overrides: Mapping[str, object] | None = None, control: bool = False
) -> AbstractAsyncContextManager[Node]:
    """The node that this command line describes."""
    return Node.open(
        profile=access.profile or DEFAULT_PROFILE,
        data_dir=data_dir,
        environment=os.environ,
        sets=access.sets,
        overrides=overrides,
        control=control,
    )


def build_catalogue(access: "Access") -> Json:
    """Start a node that neither listens nor dials, in a folder of its own, and read its operations."""

    async def build(folder: str) -> Json:
        quiet = {"node": {"listen": [], "bootstrap": []}}
        async with open_node(access, Path(folder), quiet) as node:
            return _as_json(node.operations.catalogue())

    with tempfile.TemporaryDirectory(prefix="peerkit-") as folder:
        return asyncio.run(build(folder))


def run_once(
    access: "Access", name: str, args: dict[str, object], on_progress: OnProgress | None, on_item: OnItem | None
) -> Json:
    """Run one operation on a node that starts and stops for it, in the command line's data directory."""

    async def run() -> Json:
        async with open_node(access, Path(access.data_dir)) as node:
            request = node.operations.parse(name, args)
            registered = node.operations.get(name)
            await _first_peer(node)
            call = _LocalCall(on_progress, on_item)
            handler = registered.operation.handler
            return _as_json(await call_plugin_async(registered.owner, f"operation {name}", handler, request, call))

    return asyncio.run(run())


async def _first_peer(node: Node) -> None:
    """A node that has just started knows nobody: wait until one of the addresses it was given has answered."""
    if not node.config.node.bootstrap:
        return
    try:
        async with asyncio.timeout(FIRST_PEER_TIMEOUT_S):
            async for _event in node.events.subscribe(PeerConnected, replay=True):
                return
    except TimeoutError:
        return  # the operation says what it could not find


class _LocalCall:
    """What a handler sees of a caller in its own process."""

    def __init__(self, on_progress: OnProgress | None, on_item: OnItem | None) -> None:
        self._on_progress = on_progress
        self._on_item = on_item

    def progress(self, done: float, total: float | None = None, unit: str = "", text: str = "") -> None:
        if self._on_progress is not None:
            self._on_progress(Progress(done, total, unit, text))

    def item(self, value: BaseModel) -> None:
        if self._on_item is not None:
            self._on_item(_as_json(value))


def _as_json(value: object) -> Json:
    try:
        parsed: Json = json.loads(to_json(value, inf_nan_mode="null", serialize_unknown=True))
    except ValueError as exc:
        raise PeerkitError(f"the answer cannot be written as JSON: {exc}") from exc
    return parsed
