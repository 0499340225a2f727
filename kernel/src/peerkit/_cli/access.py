"""How the command line reaches operations: through the running node, or without one.

The catalogue comes from the running node; else from the cache; else the kernel is loaded once to make it.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

from .._control.wire import Json
from ..client.conversation import OnItem, OnProgress
from ..client.synchronous import SyncClient
from ..errors import NodeNotRunning, PeerkitError, UsageError
from .folders import default_data_dir

DATA_DIR_VARIABLE = "PEERKIT_DATA_DIR"

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
        build_error: why the catalogue holds the kernel's own operations only: the profile or a plugin is wrong.
    """

    data_dir: str
    data_dir_is_default: bool = False
    profile: str = ""
    sets: Sequence[str] = ()
    build_error: PeerkitError | None = field(default=None, init=False)

    @classmethod
    def from_words(cls, words: Sequence[str], environ: Mapping[str, str]) -> Self:
        """What a command line talks to, read before its commands are known, since they depend on it.

        `--data-dir`, `--profile` and `--set` count wherever they stand before a `--`; of the first two the last one.
        """
        data_dir, profile, sets = environ.get(DATA_DIR_VARIABLE, ""), "", []
        for place, word in enumerate(words):
            if word == "--":
                break
            name, equals, value = word.partition("=")
            if not equals and place + 1 < len(words):
                value = words[place + 1]
            match name:
                case "--data-dir":
                    data_dir = value or data_dir  # a value that is missing is told when the words are parsed
                case "--profile":
                    profile = value or profile
                case "--set":
                    sets.append(value)
                case _:
                    pass
        path = os.path.abspath(os.path.expanduser(data_dir or default_data_dir()))
        return cls(path, not data_dir, profile, tuple(sets))

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

            try:
                found = load_or_build(self)
            except PeerkitError as exc:
                from .short_node import kernel_catalogue

                self.build_error = exc
                found = kernel_catalogue()
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
            if self.profile or (self.sets and "set" not in args):
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

    def close(self) -> None:
        if (client := self.__dict__.get("client")) is not None:
            client.close()
