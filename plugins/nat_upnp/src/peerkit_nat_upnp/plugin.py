"""The entry point."""

from peerkit.capabilities import DIAGNOSIS, OWN_ADDRESSES, PORT_MAPPER, REACHABILITY
from peerkit.plugin import PluginSpec

from .adapter import NatUpnp
from .settings import MappingSettings

plugin = PluginSpec(
    MappingSettings,
    NatUpnp,
    provides=(DIAGNOSIS, PORT_MAPPER),
    requires=(OWN_ADDRESSES,),
    uses=(REACHABILITY,),
)
