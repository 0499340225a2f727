"""Whole nodes with a warehouse: on the simulated network (real files, virtual time), and helpers to ask them."""

import hashlib
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from peerkit_warehouse.operations import Got, Shared
from pydantic import BaseModel

from peerkit import Node, PluginSpec, Settings
from peerkit.testing import SimNetwork

OTHERS = ("discovery_kademlia", "search", "trust_denylist")


class CollectingCall:
    """The caller's side of an operation.

    Attributes:
        bars: (done, total) as told.
    """

    def __init__(self) -> None:
        self.bars: list[tuple[float, float | None]] = []

    def progress(self, done: float, total: float | None = None, unit: str = "", text: str = "") -> None:
        self.bars.append((done, total))

    def item(self, value: BaseModel) -> None: ...


@asynccontextmanager
async def open_node(
    data_dir: Path,
    net: SimNetwork | None = None,
    plugins: Mapping[str, PluginSpec[Settings]] | None = None,
    **settings: object,
) -> AsyncIterator[Node]:
    """A node with the warehouse and no routing; `settings` are the warehouse's.  Without a network: real sockets."""
    platform = net.platform() if net else None
    listen = f"tcp://{platform.ip if platform else '127.0.0.1'}:0"
    table: Mapping[str, object] = {
        "node": {"extends": "local", "disable": OTHERS, "listen": [listen]},
        "plugins": {"warehouse": {"reserve_bytes": 0, **settings}},
    }
    async with Node.open(table, data_dir=data_dir, platform=platform, plugins=plugins) as node:
        yield node


async def ask(node: Node, name: str, call: CollectingCall | None = None, /, **args: object) -> Any:
    """Run an operation as the control socket does."""
    operation = node.operations.get(name).operation
    return await operation.handler(node.operations.parse(name, args), call or CollectingCall())


async def share(node: Node, *paths: Path, **args: object) -> list[Shared]:
    return cast(list[Shared], await ask(node, "share", None, paths=[str(p) for p in paths], **args))


async def get(node: Node, ref: str, output: Path, call: CollectingCall | None = None, **args: object) -> Got:
    return cast(Got, await ask(node, "get", call, id=ref, output=str(output), **args))


def make_file(path: Path, size: int, seed: int = 0) -> Path:
    """A file of random bytes that a seed decides."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(random.Random(f"{seed} {size}").randbytes(size))
    return path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
