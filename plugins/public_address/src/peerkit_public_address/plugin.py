"""The entry point."""

from peerkit.capabilities import DATAGRAM_ENDPOINTS, OWN_ADDRESSES, REACHABILITY
from peerkit.plugin import PluginSpec

from .adapter import PublicAddressPlugin
from .settings import PublicAddressSettings

plugin = PluginSpec(
    PublicAddressSettings, PublicAddressPlugin, provides=(REACHABILITY,), requires=(DATAGRAM_ENDPOINTS, OWN_ADDRESSES)
)
