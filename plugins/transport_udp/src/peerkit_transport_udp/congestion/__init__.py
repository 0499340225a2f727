"""How much may be in flight on a path, when it leaves, and in datagrams of which size.

Input: what was sent, acknowledged and lost, in batches, and the time.  Output: a window, a schedule, a size.  It sends
nothing and reads no packet; what counts as lost is decided by the loss detection of the connection.
"""

from .controller import CongestionController, initial_window
from .cubic import Cubic
from .ledbat import LedbatPlusPlus
from .new_reno import NewReno
from .pacing import MAX_SEGMENTS, Pacer
from .path_mtu import MAX_DATAGRAM_BYTES, MIN_DATAGRAM_BYTES, PathMtu
from .rtt import RttEstimator

__all__ = [
    "MAX_DATAGRAM_BYTES",
    "MAX_SEGMENTS",
    "MIN_DATAGRAM_BYTES",
    "CongestionController",
    "Cubic",
    "LedbatPlusPlus",
    "NewReno",
    "Pacer",
    "PathMtu",
    "RttEstimator",
    "initial_window",
]
