"""The entry point."""

from peerkit.capabilities import DATAGRAM_ENDPOINTS, DIAGNOSIS, OWN_ADDRESSES, REACHABILITY, SESSION_CONTROL
from peerkit.plugin import PluginSpec

from .adapter import HolepunchPlugin
from .settings import HolepunchSettings

plugin = PluginSpec(
    HolepunchSettings,
    HolepunchPlugin,
    provides=(DIAGNOSIS,),
    requires=(DATAGRAM_ENDPOINTS, OWN_ADDRESSES, SESSION_CONTROL),
    uses=(REACHABILITY,),
)
