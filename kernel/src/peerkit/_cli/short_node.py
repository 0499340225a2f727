"""Nodes that live as long as one command: for an operation that needs no running node, and for the catalogue."""

import asyncio
import logging
import os
import tempfile
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from .._config.profile import DEFAULT_PROFILE, Resolved, resolve
from .._control.kernel_operations import OWNER, KernelOperations
from .._control.local_call import as_json, call_operation
from .._control.registry import describe
from .._control.wire import Json
from .._io.identity_file import PASSPHRASE_FILE_VARIABLE, passphrase_from
from .._runtime.logging_setup import LOGGER, configure
from ..client.conversation import OnItem, OnProgress
from ..event import PeerConnected
from ..node import Node

if TYPE_CHECKING:
    from .access import Access

FIRST_PEER_TIMEOUT_S = 5.0  # a bootstrap peer that is alive answers in a fraction of this


def resolve_profile(access: "Access", overrides: Mapping[str, object] | None = None) -> Resolved:
    """The settings of the node that this command line describes."""
    return resolve(access.profile or DEFAULT_PROFILE, os.environ, access.sets, overrides)


def data_dir_of(access: "Access", resolved: Resolved) -> Path:
    """As told by the words or the environment, else by the profile, else the platform's default."""
    if access.data_dir_is_default and resolved.node.data_dir is not None:
        return resolved.node.data_dir
    return Path(access.data_dir)


def passphrase_of(resolved: Resolved) -> bytes | None:
    """Of the identity file; the profile's setting counts before the environment.  Raises `StorageError`."""
    file = resolved.node.passphrase_file
    return passphrase_from(os.environ if file is None else {PASSPHRASE_FILE_VARIABLE: str(file)})


def open_node(
    access: "Access", data_dir: Path | None = None, overrides: Mapping[str, object] | None = None, control: bool = False
) -> AbstractAsyncContextManager[Node]:
    """The node that this command line describes, in its own data directory or another one.

    Raises:
        PeerkitError: its settings or the passphrase cannot be had; starting it raises as `Node.open` does.
    """
    resolved = resolve_profile(access, overrides)
    if not control:
        _quiet_logs()
    data_dir = data_dir or data_dir_of(access, resolved)
    return Node.open(config=resolved, data_dir=data_dir, passphrase=passphrase_of(resolved), control=control)


def _quiet_logs() -> None:
    """A command's errors are its own sentence; what the node behind it logs is for `PEERKIT_DEBUG=1`."""
    if os.environ.get("PEERKIT_DEBUG") == "1":
        configure("debug")
    else:
        logging.getLogger(LOGGER).addHandler(logging.NullHandler())
        logging.getLogger(LOGGER).propagate = False


def build_catalogue(access: "Access") -> Json:
    """Start a node that neither listens nor dials, in a folder of its own, and read its operations."""

    async def build(folder: str) -> Json:
        quiet: dict[str, object] = {"node": {"listen": [], "bootstrap": []}}
        async with open_node(access, Path(folder), quiet) as node:
            return as_json(node.operations.catalogue())

    with tempfile.TemporaryDirectory(prefix="peerkit-") as folder:
        return asyncio.run(build(folder))


def kernel_catalogue() -> Json:
    """The operations that every node has, when those of the plugins cannot be had."""
    return as_json([describe(OWNER, operation) for operation in KernelOperations.declared()])


def run_once(
    access: "Access", name: str, args: dict[str, object], on_progress: OnProgress | None, on_item: OnItem | None
) -> Json:
    """Run one operation on a node that starts and stops for it, in the command line's data directory."""

    async def run() -> Json:
        async with open_node(access) as node:
            node.operations.parse(name, args)  # what is wrong is told before anybody is waited for
            await _first_peer(node)
            return await call_operation(node.operations, name, args, on_progress, on_item)

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
