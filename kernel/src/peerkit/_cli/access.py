"""How the command line reaches operations: through the running node, or without one.

The catalogue comes from the running node; else from the cache; else the kernel is loaded once to make it.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from .._control.place import read_place
from .._control.wire import Json
from ..client.conversation import OnItem, OnProgress
from ..client.synchronous import SyncClient
from ..errors import NodeNotRunning, UsageError

Entry = dict[str, Json]
"""One operation of the catalogue, as `OperationInfo` in JSON."""

OFFLINE = ("id", "plugins", "config.explain", "operations")
"""Operations that need the node's files only; without a running node the command line answers them itself."""


@dataclass
class Access:
    """What one command line talks to.

    Attributes:
        data_dir: absolute.
        data_dir_is_default: neither the words nor the environment named it, so a profile may.
        profile, sets: for a node that this command starts by itself.
    """

    data_dir: str
    data_dir_is_default: bool = False
    profile: str = ""
    sets: Sequence[str] = field(default_factory=tuple)

    @cached_property
    def client(self) -> SyncClient | None:
        """A connection to the running node, or `None`."""
        try:
            return SyncClient.connect(self.data_dir)
        except NodeNotRunning as exc:
            self._why_not = exc
            return None

    @cached_property
    def catalogue(self) -> list[Entry]:
        """Every operation."""
        if self.client is not None:
            found = self.client.call("operations")
        else:
            from .catalogue_cache import load_or_build

            found = load_or_build(self)
        return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []

    def run(
        self,
        entry: Entry,
        args: dict[str, object],
        on_progress: OnProgress | None = None,
        on_item: OnItem | None = None,
    ) -> Json:
        """Run one operation and return its answer.

        Raises:
            NodeNotRunning: there is no node, and this operation needs one.
            PeerkitError: the operation's.
        """
        name = str(entry["name"])
        if self.client is not None:
            if self.profile or self.sets:
                raise UsageError(
                    f"a node is running in {self.data_dir}: --profile and --set are only for a node that starts"
                )
            return self.client.call(name, on_progress=on_progress, on_item=on_item, **args)
        if name in OFFLINE:
            from .offline import answer

            return answer(self, name)
        if entry.get("one_shot"):
            from .short_node import run_once

            return run_once(self, name, args, on_progress, on_item)
        raise self._why_not

    def is_running(self) -> bool:
        """Whether a `control.json` is there; cheaper than connecting."""
        try:
            read_place(self.data_dir)
        except NodeNotRunning:
            return False
        return True

    def close(self) -> None:
        if (client := self.__dict__.get("client")) is not None:
            client.close()

    @property
    def exists(self) -> bool:
        return os.path.isdir(self.data_dir)
