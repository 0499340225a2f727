"""The entry point."""

from peerkit.capabilities import (
    ADDRESS_BOOK,
    DATAGRAM_ENDPOINTS,
    DIAGNOSIS,
    DIALER,
    OWN_ADDRESSES,
    REACHABILITY,
    SESSION_CONTROL,
)
from peerkit.plugin import PluginSpec

from .adapter import RelayPlugin
from .settings import RelaySettings

plugin = PluginSpec(
    RelaySettings,
    RelayPlugin,
    provides=(DIAGNOSIS,),
    requires=(ADDRESS_BOOK, DATAGRAM_ENDPOINTS, DIALER, OWN_ADDRESSES, SESSION_CONTROL),
    uses=(REACHABILITY,),
)
