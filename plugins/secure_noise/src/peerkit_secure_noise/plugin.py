"""The entry point."""

from collections.abc import Sequence

from peerkit.capabilities import NETWORK_KEY
from peerkit.plugin import PluginContext, PluginSpec, hookimpl
from peerkit.security import Security

from .adapter import load_psk
from .identity_certificate import StaticKeys
from .network_key import NoiseNetworkKey
from .security import NoiseSecurity
from .settings import NoiseSettings


class SecureNoise:
    """The plugin object of one node."""

    def __init__(self, ctx: PluginContext[NoiseSettings]) -> None:
        keys = StaticKeys(ctx.peer_id, ctx.derive_secret, ctx.sign)
        psk = load_psk(ctx.settings, ctx.network_id)
        self._security = NoiseSecurity(ctx.peer_id, ctx.network_id, keys, ctx.rng, psk)
        ctx.provide(NETWORK_KEY, NoiseNetworkKey(ctx.network_id, psk))

    @hookimpl
    def peerkit_register_wrappers(self) -> Sequence[Security]:
        return [self._security]


plugin = PluginSpec(NoiseSettings, SecureNoise, provides=(NETWORK_KEY,))
