"""What both clients share: checks of the hello, the arguments of a call, and one call's replies put together; pure."""

import os
from collections.abc import Callable, Mapping
from typing import TypeAlias

from .._control.wire import (
    API,
    ErrorReceived,
    Hello,
    ItemReceived,
    Json,
    PartReceived,
    Progress,
    ProgressReceived,
    Reply,
    ResultReceived,
)
from ..errors import NodeNotRunning, UsageError

OnProgress: TypeAlias = Callable[[Progress], None]
OnItem: TypeAlias = Callable[[Json], None]
Argument: TypeAlias = "Json | os.PathLike[str] | list[os.PathLike[str]] | tuple[Argument, ...]"


def check_hello(reply: Reply) -> Hello:
    """The node's hello.  Raises its error when it refuses us, `NodeNotRunning` when it is not a node of our API."""
    if isinstance(reply, ErrorReceived):
        raise reply.error
    if not isinstance(reply, Hello):
        raise NodeNotRunning("what answers on the control socket is no Peerkit node")
    if reply.api != API:
        raise NodeNotRunning(
            f"the node runs Peerkit {reply.version} with control API {reply.api}, this program knows {API}: restart it"
        )
    return reply


def as_json(value: object) -> object:
    """An argument as JSON: a path becomes absolute in the current directory (texts are sent as they are)."""
    if isinstance(value, os.PathLike):
        return os.path.abspath(os.path.expanduser(os.fspath(value)))
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): as_json(item) for key, item in value.items()}
    return value


class Conversation:
    """One call's replies put together.

    `result` is set once `is_done`; the error of a failed call is raised by `receive`.
    """

    def __init__(self, on_progress: OnProgress | None = None, on_item: OnItem | None = None) -> None:
        self.is_done = False
        self.result: Json = None
        self.items_received = 0
        self._on_progress = on_progress
        self._on_item = on_item
        self._parts: list[Json] = []

    def receive(self, reply: Reply) -> None:
        """Take the next reply of this call."""
        match reply:
            case ProgressReceived(_, progress):
                if self._on_progress is not None:
                    self._on_progress(progress)
            case ItemReceived(_, item):
                self.items_received += 1
                if self._on_item is not None:
                    self._on_item(item)
            case PartReceived(_, part):
                self._parts += part
            case ResultReceived(_, result):
                self.result = self._parts + result if isinstance(result, list) else result
                self.is_done = True
            case ErrorReceived(_, error):
                self.is_done = True
                raise error
            case Hello():
                raise UsageError("the node said hello twice")
