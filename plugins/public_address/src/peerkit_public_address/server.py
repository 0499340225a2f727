"""Whether and for what price we dial back for a peer.  Pure.

Nothing goes to where the asker is not proven to be, unless it has paid for it with more bytes than we shall send.  At
its own proven IP another port is still unproven: what can be sent there, three datagrams with their IP and UDP headers
(183 bytes over IPv4, 243 over IPv6), is not more than the request brought, whose 192 bytes came sealed in a packet of
their own with 60 bytes at least of headers and tags.
Source: go-libp2p's AutoNAT v2; the price is drawn anew each time so that nobody can tell how far a lie would reach.
"""

from collections.abc import Collection

from peerkit.address import Address
from peerkit.address_space import is_public
from peerkit.clock import Rng
from peerkit.identity import PeerId

from .codec import MAX_PRICE_BYTES, MIN_PRICE_BYTES, DialBack, Reply, Status
from .request_log import RequestLog
from .targets import is_seen_there, may_be_sent_to
from .trials import Origin

SENDINGS_S = (0.0, 0.3, 1.0)  # when the datagram is sent: two may be lost
PROOF_S = 3.0  # how long the proof may take


class Server:
    """Attributes:
    log: who asked lately.
    """

    def __init__(self, rng: Rng) -> None:
        self._rng = rng
        self.log = RequestLog()

    def decide(
        self, request: DialBack, asker: PeerId, seen: Address | None, schemes: Collection[str], now: float
    ) -> Reply:
        """`TRYING`: go on; `PAY`: go on when that is paid; anything else ends it.

        Args:
            seen: where the asker is; `None` through a relay.
            schemes: what we can dial or send to.
        """
        if not self.log.admit(asker, now):
            return Reply(Status.BUSY)
        target = request.target
        if seen is None or target.scheme not in schemes or not may_be_sent_to(target, seen):
            return Reply(Status.REFUSED)
        if request.origin is Origin.OTHER_ADDRESS:
            # Whom we ask for help wants to be paid by us: the asker pays first, and only for its own IP.
            is_served = target.scheme == "udp" and is_seen_there(target, seen) and is_public(target.host)
            return Reply(Status.TRYING if is_served else Status.REFUSED)
        if is_seen_there(target, seen):
            return Reply(Status.TRYING)
        return Reply(Status.PAY, self._rng.randrange(MIN_PRICE_BYTES, MAX_PRICE_BYTES + 1))
