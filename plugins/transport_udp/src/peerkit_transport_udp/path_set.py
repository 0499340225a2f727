"""The paths of one connection: which is in use, which stand by, and how a new one is proven.

    unknown ──packet from there / offered──▶ challenged ──echo──▶ proven ──▶ active or standing by
                                                │ 3 challenges without an echo
                                                └──▶ forgotten, unless it is the active one

The active path changes only when a packet with the highest counter came over a path and that path is proven, or when
we have proven a better one that was offered.  A false source address so gains at most a few challenges of its own size.

Bounds: 4 paths; a peer that sends from ever new addresses replaces its own unproven ones.
Source: RFC 9000 §8.2 and §9.
"""

import math
from collections.abc import Callable

from peerkit.address import Address
from peerkit.clock import Rng
from peerkit.transport import DatagramEndpoint, PathKind
from peerkit.transport import Path as PathView

from . import frames
from .paths import PathState, Route

MAX_PATHS = 4
MAX_CHALLENGES = 3
CHALLENGE_BYTES = 8
OFFERED_BYTES = 256  # that may be sent to an address from which nothing came: less than any first packet
UNKNOWN_S = 1.0  # the probe timeout of a path of which nothing is known (RFC 9002 §6.2.2)
_QUICKER = 0.8  # guess: a path of the same kind must be so much quicker to be worth the move
_RANKS = {PathKind.LAN: 0, PathKind.DIRECT: 1, PathKind.RELAYED: 2}


class PathSet:
    """Args:
        make: a new path over a route, not proven.

    Attributes:
        active: the path in use.
        due: frames to send on paths, each alone: challenges and their echoes.
        is_changed: set when something changed that the session shows; whoever tells it clears it.
    """

    __slots__ = ("_make", "_rng", "_stay_until", "active", "due", "is_changed", "paths", "wanted")

    def __init__(self, active: PathState, make: Callable[[Route], PathState], rng: Rng) -> None:
        self.active = active
        self.paths = [active]
        self.due: list[tuple[PathState, bytes]] = []
        self.is_changed = False
        self._stay_until = -math.inf  # we have moved by ourselves: the peer needs a round trip to follow
        self.wanted: PathState | None = None  # where the peer has moved to; active once it is proven
        self._make = make
        self._rng = rng

    def find(self, endpoint: DatagramEndpoint, remote: Address) -> PathState | None:
        for path in self.paths:
            if path.route.endpoint is endpoint and path.route.remote == remote:
                return path
        return None

    def arrived(self, route: Route, nbytes: int, is_newest: bool, now: float) -> None:
        """Packets that verify came over a route other than the active one."""
        path = self.find(route.endpoint, route.remote)
        if path is None:
            path = self._add(route)
            if path is None:
                return
        path.received_bytes += nbytes
        if not is_newest or now < self._stay_until:
            return
        if path.is_proven:
            self._move(path, now)
            return
        self.wanted = path
        if not path.challenge:
            self._challenge(path, now)

    def offer(self, route: Route, now: float) -> bool:
        """Try another way to the peer; `False` when there are enough."""
        path = self.find(route.endpoint, route.remote) or self._add(route)
        if path is None:
            return False
        if path is self.active or path.challenge:
            return True
        if not path.is_proven:
            # Whoever offers it has heard from the peer there, or somebody we trust has: a few challenges may go first.
            path.received_bytes += OFFERED_BYTES
        self._challenge(path, now)  # one that stood by may have been dead for long
        return True

    def echoed(self, data: bytes, now: float) -> None:
        """The answer to a challenge came; unknown ones are ignored, as they may be late."""
        for path in self.paths:
            if path.challenge and path.challenge == data:
                path.challenge = b""
                path.is_proven = True
                path.rtt.update(now - path.challenged_at)
                path.challenges = 0
                self.is_changed = True
                is_wanted, is_nearer = path is self.wanted, self._is_nearer(path)
                if is_wanted or is_nearer or self._is_quicker(path):
                    if is_nearer or not is_wanted:
                        # what the peer has sent over the old path may still come, as late as that path is slow
                        self._stay_until = now + max(self._patience_s(self.active), self._patience_s(path))
                    self._move(path, now)
                return

    def give_up_active(self, now: float) -> bool:
        """Nothing comes through on the active path: forget it for another proven one, if there is one."""
        dead = self.active
        for path in self.paths:
            if path is not dead and path.is_proven:
                self._move(path, now)
                self.paths = [path for path in self.paths if path is not dead]
                return True
        return False

    def next_timer(self) -> float:
        if len(self.paths) == 1 and not self.active.challenge:
            return math.inf
        return min(
            (path.challenged_at + self._patience_s(path) for path in self.paths if path.challenge), default=math.inf
        )

    def on_timer(self, now: float) -> None:
        """Challenge again, or forget."""
        for path in tuple(self.paths):
            if not path.challenge or now < path.challenged_at + self._patience_s(path):
                continue
            if path.challenges < MAX_CHALLENGES:
                self._challenge(path, now)
                continue
            path.challenge = b""
            if self.wanted is path:
                self.wanted = None
            if path is not self.active:
                self.paths.remove(path)

    def drop(self, endpoint: DatagramEndpoint, now: float) -> bool:
        """An endpoint is about to close.  Returns whether a path is left."""
        self.paths = [path for path in self.paths if path.route.endpoint is not endpoint]
        if self.active in self.paths:
            return True
        for path in self.paths:
            if path.is_proven:
                self._move(path, now)
                return True
        return False

    def view(self, path: PathState) -> PathView:
        """What the session shows of a path."""
        local, endpoint_local = path.route.local, path.route.endpoint.local
        return PathView(
            local or endpoint_local,
            path.route.remote,
            path is self.active,
            path.rtt.smoothed_s if path.rtt.samples else math.nan,
            path.loss,
            int(path.controller.window),
            path.mtu.datagram_bytes,
        )

    def _add(self, route: Route) -> PathState | None:
        if len(self.paths) >= MAX_PATHS:
            unused = next((p for p in self.paths if p is not self.active and not p.is_proven), None)
            unused = unused or next((p for p in self.paths if p is not self.active), None)
            if unused is None:
                return None
            self.paths.remove(unused)
        path = self._make(route)
        self.paths.append(path)
        return path

    def _challenge(self, path: PathState, now: float) -> None:
        path.challenge = self._rng.randbytes(CHALLENGE_BYTES)
        path.challenged_at = now
        path.challenges += 1
        self.due.append((path, frames.challenge(path.challenge)))

    def _patience_s(self, path: PathState) -> float:
        """How long an echo may take.  A path to another host may be much longer than the one in use, and a busy peer
        later than its round trips were so far: RFC 9000 §8.2.4."""
        if path.rtt.samples:
            return 3 * path.rtt.timeout_s(0.0)
        patience_s = 3 * self.active.rtt.timeout_s(0.0)
        return patience_s if path.route.remote.host == self.active.route.remote.host else max(patience_s, UNKNOWN_S)

    def _rank(self, path: PathState) -> int:
        return _RANKS[self.view(path).kind]

    def _is_nearer(self, path: PathState) -> bool:
        return self._rank(path) < self._rank(self.active)

    def _is_quicker(self, path: PathState) -> bool:
        is_as_near = self._rank(path) == self._rank(self.active)
        return is_as_near and path.rtt.smoothed_s < _QUICKER * self.active.rtt.smoothed_s

    def _move(self, path: PathState, now: float) -> None:
        old, self.active = self.active, path
        self.wanted = None
        self.is_changed = True
        if path.route.remote.host == old.route.remote.host and path.route.endpoint is old.route.endpoint:
            # Only the port is another (a NAT forgot us): the way is the same, so what was learned holds.
            path.controller, path.rtt, path.pacer, path.mtu = old.controller, old.rtt, old.pacer, old.mtu
            self.paths.remove(old)
        else:
            path.controller.on_new_path(now)
