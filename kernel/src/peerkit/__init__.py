"""Peerkit: a micro-kernel for peer-to-peer nodes.

Names are imported when first used, so that a command line that only talks to a running node starts fast.
"""

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .address import Address as Address
    from .capabilities import Capability as Capability
    from .event import Event as Event
    from .identity import PeerId as PeerId
    from .node import Node as Node
    from .operation import Operation as Operation
    from .plugin import PluginContext as PluginContext
    from .plugin import PluginSpec as PluginSpec
    from .plugin import Settings as Settings
    from .plugin import hookimpl as hookimpl
    from .protocol import ProtocolSpec as ProtocolSpec
    from .protocol import Request as Request
    from .record import PeerRecord as PeerRecord
    from .routine import Routine as Routine
    from .session import Peer as Peer
    from .session import Session as Session
    from .session import Stream as Stream
else:
    _HOME = {
        "Address": "address",
        "Capability": "capabilities",
        "Event": "event",
        "Node": "node",
        "Operation": "operation",
        "Peer": "session",
        "PeerId": "identity",
        "PeerRecord": "record",
        "PluginContext": "plugin",
        "PluginSpec": "plugin",
        "ProtocolSpec": "protocol",
        "Request": "protocol",
        "Routine": "routine",
        "Session": "session",
        "Settings": "plugin",
        "Stream": "session",
        "hookimpl": "plugin",
    }

    def __getattr__(name):
        if name in _HOME:
            value = getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
        elif name in ("errors", "capabilities", "hookspecs", "testing", "client"):
            value = importlib.import_module(f".{name}", __name__)
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value
        return value


__all__ = [
    "Address",
    "Capability",
    "Event",
    "Node",
    "Operation",
    "Peer",
    "PeerId",
    "PeerRecord",
    "PluginContext",
    "PluginSpec",
    "ProtocolSpec",
    "Request",
    "Routine",
    "Session",
    "Settings",
    "Stream",
    "hookimpl",
]
