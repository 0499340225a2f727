"""What the command line answers without a running node, from the node's files and what is installed."""

import os
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING

from .._config.profile import Resolved, resolve
from .._control.wire import Json
from .._io.data_dir import DataDir
from .._io.identity_file import load, load_or_create, passphrase_from
from .short_node import DEFAULT_PROFILE

if TYPE_CHECKING:
    from .access import Access


def answer(access: "Access", name: str) -> Json:
    """The answer of operation `name`, one of `access.OFFLINE`.  Raises as the operation would."""
    if name == "id":
        return {"peer_id": _peer_id(Path(access.data_dir))}
    if name == "operations":
        return [*access.catalogue]
    raise AssertionError(name)


def _resolved(access: "Access") -> Resolved:
    resolved = resolve(access.profile or DEFAULT_PROFILE, os.environ, access.sets)
    resolved.check()
    return resolved


def _peer_id(data_dir: Path) -> str:
    """Of the identity kept there; a data directory that has none gets one, so that the id is known before the node runs."""
    passphrase = passphrase_from(os.environ)
    path = data_dir / "identity"
    if path.exists():
        return str(load(path, passphrase).peer_id)
    with DataDir(data_dir):
        return str(load_or_create(path, SystemRandom(), passphrase).peer_id)
