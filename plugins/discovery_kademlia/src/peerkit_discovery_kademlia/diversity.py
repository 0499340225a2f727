"""How many peers of one neighbourhood of the internet may stand together.

Addresses are what an attacker pays for, ids are free: so limits count the /24 (IPv6: the /56, and the /32 above it) of
the address that our probe succeeded at.  Loopback, private and link-local addresses are exempt (a demo of 12 nodes
shares 127.0.0.0/24).  Source: discv5's 2 per bucket and 10 per table.
"""

import ipaddress
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

from peerkit.address import Address

MAX_PER_BUCKET = 2
MAX_PER_TABLE = 10
MAX_AMONG_CANDIDATES = 2

Neighbourhood = tuple[str, ...]
"""The prefixes that an address counts for, narrow first; empty when it is exempt."""

EXEMPT: Neighbourhood = ()


def neighbourhood(address: Address) -> Neighbourhood:
    return EXEMPT if address.is_local else _of_host(address.prefix)


@lru_cache(4096)
def _of_host(prefix: str) -> Neighbourhood:
    if ":" not in prefix:
        return (prefix,)
    wide = ipaddress.ip_network(prefix).supernet(new_prefix=32)
    return (prefix, str(wide))


def first_neighbourhood(addresses: Iterable[Address]) -> Neighbourhood:
    """Of a peer that we did not reach yet: what its first public address counts for."""
    for address in addresses:
        if found := neighbourhood(address):
            return found
    return EXEMPT


class PrefixCount:
    """Members per prefix.

    Args:
        limit: members of one narrow prefix.
        wide_limit: members of one IPv6 /32.
    """

    __slots__ = ("_counts", "_limit", "_wide_limit")

    def __init__(self, limit: int, wide_limit: int = MAX_PER_TABLE) -> None:
        self._counts: Counter[str] = Counter()
        self._limit = limit
        self._wide_limit = wide_limit

    def has_room(self, where: Neighbourhood) -> bool:
        if not where:
            return True
        counts = self._counts
        return counts[where[0]] < self._limit and (len(where) == 1 or counts[where[1]] < self._wide_limit)

    def add(self, where: Neighbourhood) -> None:
        self._counts.update(where)

    def remove(self, where: Neighbourhood) -> None:
        for prefix in where:
            self._counts[prefix] -= 1
            if self._counts[prefix] <= 0:
                del self._counts[prefix]

    def __getitem__(self, prefix: str) -> int:
        return self._counts[prefix]
