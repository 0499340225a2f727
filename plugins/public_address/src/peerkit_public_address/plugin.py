"""The entry point."""

from peerkit.capabilities import DATAGRAM_ENDPOINTS, DIAGNOSIS, DIALER, OWN_ADDRESSES, REACHABILITY
from peerkit.plugin import PluginSpec

from .adapter import PublicAddressPlugin
from .settings import PublicAddressSettings

plugin = PluginSpec(
    PublicAddressSettings,
    PublicAddressPlugin,
    provides=(REACHABILITY, DIAGNOSIS),
    requires=(DATAGRAM_ENDPOINTS, DIALER, OWN_ADDRESSES),
)
