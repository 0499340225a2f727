"""Calls of operations by the program that holds the node: the same requests, answers and errors as over the socket."""

import json
from collections.abc import Callable

from pydantic import BaseModel
from pydantic_core import to_json

from ..errors import PluginError
from .registry import OperationRegistry
from .wire import Json, Progress


async def call_operation(
    registry: OperationRegistry,
    name: str,
    args: dict[str, object],
    on_progress: Callable[[Progress], None] | None = None,
    on_item: Callable[[Json], None] | None = None,
) -> Json:
    """Run an operation and return its answer.  Raises what the handler raises, `UsageError` for wrong arguments."""
    request = registry.parse(name, args)
    registered = registry.get(name)
    call = _LocalCall(on_progress, on_item)
    with registry.running(registered.owner):
        return as_json(await registry.call(registered, request, call))


class _LocalCall:
    """What a handler sees of a caller in its own process."""

    def __init__(self, on_progress: Callable[[Progress], None] | None, on_item: Callable[[Json], None] | None) -> None:
        self._on_progress = on_progress
        self._on_item = on_item

    def progress(self, done: float, total: float | None = None, unit: str = "", text: str = "") -> None:
        if self._on_progress is not None:
            self._on_progress(Progress(done, total, unit, text))

    def item(self, value: BaseModel) -> None:
        if self._on_item is not None:
            self._on_item(as_json(value))


def as_json(value: object) -> Json:
    """As the control socket would send it.  Raises `PluginError` for a text that is not Unicode."""
    try:
        parsed: Json = json.loads(to_json(value, inf_nan_mode="null", serialize_unknown=True))
    except ValueError as exc:
        raise PluginError(f"the answer cannot be written as JSON: {exc}") from exc
    return parsed
