"""To which addresses a stranger may make us send: plainly an address of the internet, or none.

The attack: a peer names an address of somebody else, or of a machine that only we can reach, and lets us do the
sending.  An exception keeps local networks working: a local address is allowed when the asker itself is seen at
exactly that IP.
"""

from peerkit.address import Address
from peerkit.address_space import is_public


def may_be_sent_to(target: Address, asker: Address) -> bool:
    """Args:
    target: where the asker wants to be reached.
    asker: where we see it, over no relay.
    """
    ip = target.ip
    if ip is None or ip.is_unspecified or ip.is_multicast or not target.port:
        return False
    if is_public(target.host):
        return True
    return is_seen_there(target, asker)


def is_seen_there(target: Address, asker: Address) -> bool:
    """Whether the asker is proven to be at the target's IP: there it costs nothing to be sent to."""
    return target.ip is not None and target.host == str(asker.ip)
