"""Which of our listeners a beacon announces."""

from collections.abc import Sequence

from peerkit.address import Address

from .beacon import TRANSPORTS


def announced(bound: Sequence[Address], ip_version: int) -> Address | None:
    """The one that neighbours can dial over this IP version, UDP before TCP, wildcards before single addresses; `None`
    when we listen on loopback only, or nowhere."""
    able = [
        address
        for address in bound
        if address.scheme in TRANSPORTS
        and address.ip is not None
        and address.ip.version == ip_version
        and not address.ip.is_loopback
    ]
    order = {scheme: rank for rank, scheme in enumerate(TRANSPORTS)}
    return min(able, key=lambda a: (order[a.scheme], a.ip is None or not a.ip.is_unspecified), default=None)
