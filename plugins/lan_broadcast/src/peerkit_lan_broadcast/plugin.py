"""The entry point."""

from peerkit.capabilities import DIAGNOSIS, NETWORK_KEY, OWN_ADDRESSES
from peerkit.plugin import PluginSpec

from .adapter import LanBroadcast
from .settings import LanSettings

plugin = PluginSpec(LanSettings, LanBroadcast, provides=(DIAGNOSIS,), requires=(NETWORK_KEY, OWN_ADDRESSES))
