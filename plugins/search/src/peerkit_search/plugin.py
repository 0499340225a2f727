"""The entry point."""

from peerkit.capabilities import BLOB_STORE, CONTENT_ROUTING, DIALER, PEER_ROUTING
from peerkit.plugin import PluginSpec

from .adapter import SearchPlugin
from .settings import SearchSettings

plugin = PluginSpec(SearchSettings, SearchPlugin, requires=(PEER_ROUTING, DIALER), uses=(BLOB_STORE, CONTENT_ROUTING))
