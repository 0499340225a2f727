"""How often peers may make us dial back: an attack on others by many small requests ends here."""

from collections import deque

from peerkit.identity import PeerId

WINDOW_S = 60.0
PER_PEER = 12  # go-libp2p's AutoNAT v2 server
IN_ALL = 60  # the same; bounds the log too, so identities that cost nothing fill no memory


class RequestLog:
    """Attributes:
    refused: requests turned away.
    """

    def __init__(self, per_peer: int = PER_PEER, in_all: int = IN_ALL) -> None:
        self._per_peer = per_peer
        self._in_all = in_all
        self._recent: deque[tuple[float, PeerId]] = deque()
        self.refused = 0

    def admit(self, peer: PeerId, now: float) -> bool:
        """Count a request of `peer`; `False`: too many of this peer, or of all, within the last minute."""
        while self._recent and self._recent[0][0] + WINDOW_S <= now:
            self._recent.popleft()
        if len(self._recent) >= self._in_all or sum(p == peer for _, p in self._recent) >= self._per_peer:
            self.refused += 1
            return False
        self._recent.append((now, peer))
        return True
