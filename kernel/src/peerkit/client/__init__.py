"""Talk to a running node from another program: `Client` (asyncio) and `SyncClient`.

    from peerkit.client import SyncClient

    with SyncClient.connect("~/.local/share/peerkit") as node:
        for hit in node.call("search", words=["kademlia"]):
            print(hit["name"])

Operations and their arguments are those of the command line; `node.call("operations")` lists them.  Errors are raised
as the same classes of `peerkit.errors` that the node raised.
"""

import importlib
from typing import TYPE_CHECKING

from .._control.wire import Json as Json
from .._control.wire import Progress as Progress

if TYPE_CHECKING:
    from .asynchronous import Client as Client
    from .synchronous import SyncClient as SyncClient
else:

    def __getattr__(name):
        # Each on its own: asyncio costs a command line 30 ms that it does not need.
        home = {"Client": "asynchronous", "SyncClient": "synchronous"}.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f".{home}", __name__), name)


__all__ = ["Client", "Json", "Progress", "SyncClient"]
