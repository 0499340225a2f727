"""The entry point."""

from peerkit.plugin import PluginSpec

from .adapter import TrustDenyList
from .settings import DenyListSettings

plugin = PluginSpec(DenyListSettings, TrustDenyList)
