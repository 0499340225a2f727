"""The entry point."""

from peerkit.capabilities import (
    ADDRESS_BOOK,
    CONTENT_ROUTING,
    DATAGRAM_ENDPOINTS,
    DIALER,
    PEER_ROUTING,
    RECORD_STORE,
)
from peerkit.plugin import PluginSpec

from .adapter import KademliaPlugin
from .settings import KademliaSettings

plugin = PluginSpec(
    KademliaSettings,
    KademliaPlugin,
    provides=(PEER_ROUTING, CONTENT_ROUTING, RECORD_STORE),
    requires=(DIALER, ADDRESS_BOOK, DATAGRAM_ENDPOINTS),
)
