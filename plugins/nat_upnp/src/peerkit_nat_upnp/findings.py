"""What `peerkit doctor` says of the mappings at one router.  Pure."""

import ipaddress
from collections.abc import Collection, Mapping, Sequence

from peerkit.address import Address
from peerkit.address_space import is_public
from peerkit.capabilities import Finding

TOPIC = "port mapping"
_SHARED = ipaddress.ip_network("100.64.0.0/10")  # RFC 6598


def without_mappings(router: str, failures: Mapping[str, str], details: Mapping[str, object]) -> Finding:
    """Args:
    failures: what each protocol said.
    """
    why = "; ".join(f"{name}: {reason}" for name, reason in failures.items())
    return Finding(TOPIC, "warning", f"The router {router} maps no port: {why or 'it was not asked yet'}.", details)


def with_mappings(
    router: str, protocol: str, externals: Sequence[Address], seen: Collection[str], details: Mapping[str, object]
) -> Finding:
    """Args:
    externals: where the router says that it forwards from.
    seen: public IPv4 addresses at which peers see this node; empty while nobody has told.
    """
    hidden = next((a.host for a in externals if not is_public(a.host)), "")
    if hidden:
        return Finding(TOPIC, "warning", f"The router {router} {_behind(hidden)}", details)
    elsewhere = next((a.host for a in externals if ":" not in a.host and seen and a.host not in seen), "")
    if elsewhere:
        text = (
            f"The router {router} says that its address is {elsewhere}, but peers see this node at "
            f"{', '.join(sorted(seen))}: another NAT or a VPN lies between, so its mappings may let nobody in; forward "
            "the port there too."
        )
        return Finding(TOPIC, "warning", text, details)
    text = f"The router {router} forwards {', '.join(map(str, externals))} to us (by {protocol})."
    return Finding(TOPIC, "ok", text, details)


def _behind(host: str) -> str:
    """What it means that the router has this address outside, and what to do."""
    if ipaddress.ip_address(host) in _SHARED:
        return (
            f"is behind its provider's NAT (its own address is {host}), so its mappings let no stranger in: ask the "
            "provider for a public IPv4 address, or use IPv6; until then peers come by hole punching or over a relay."
        )
    return (
        f"is behind another router (its own address is {host}), so its mappings let no stranger in: forward the port "
        "there too, or make one of the two a bridge; until then peers come by hole punching or over a relay."
    )
