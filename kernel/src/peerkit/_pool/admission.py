"""How many unasked connections may begin a handshake: one budget for the node (`docs/threat-model.md`).

≤ 1/s per address and port, ≤ 20/s per public IP, ≤ 200/s in all; loopback and private networks are exempt from the
first two.  A handshake costs us 0.5 ms of public-key work; 200/s bound that to a tenth of a core.
"""

from collections import OrderedDict

from ..address import Address
from ..limits import TokenBucket

PER_IP = 20.0
IN_ALL = 200.0
MAX_IPS = 4096  # remembered at once; a flood from more addresses meets the budget for all


class Admission:
    """Buckets of the last `MAX_IPS` addresses and one for all."""

    def __init__(self, per_ip: float = PER_IP, in_all: float = IN_ALL) -> None:
        self._per_ip = per_ip
        self._all = TokenBucket(in_all, in_all)
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def admit(self, remote: Address, now: float) -> bool:
        if remote.is_local:
            return True
        bucket = self._buckets.pop(remote.host, None) or TokenBucket(self._per_ip, self._per_ip)
        self._buckets[remote.host] = bucket
        if len(self._buckets) > MAX_IPS:
            self._buckets.popitem(last=False)
        return bucket.try_take(1, now) and self._all.try_take(1, now)
