"""The memory in which peers' bytes wait to be read: `node > neighbourhood > session`.

A session holds its first window from the start and what the window grows by.  Where nothing is left no session begins
and no window grows, so many fast senders together, or all of one /24, cannot take the node's memory.
"""

from ..address import Address
from ..limits import Budget

MAX_BYTES = 512 * 1024 * 1024  # of the node
MAX_NEIGHBOURHOOD_BYTES = MAX_BYTES // 4
KEPT_NEIGHBOURHOODS = 256  # before those without sessions are swept out


class ReceiveMemory:
    """One node's.

    Attributes:
        node: the budget of all sessions.
    """

    def __init__(self, max_bytes: int = MAX_BYTES, max_neighbourhood_bytes: int = MAX_NEIGHBOURHOOD_BYTES) -> None:
        self.node = Budget("the node's receive windows", max_bytes)
        self._max_neighbourhood_bytes = max_neighbourhood_bytes
        self._neighbourhoods: dict[str, Budget] = {}

    def open(self, name: str, remote: Address, first: int, limit: int) -> Budget:
        """The budget of one session, which holds `first` bytes and may hold `limit`.  Close it with the session.

        Raises:
            LimitExceeded: the node, or the neighbourhood of `remote`, has not so much left.
        """
        budget = self._above(remote).child(name, limit)
        try:
            budget.reserve(first)
        except BaseException:
            budget.close()
            raise
        return budget

    def _above(self, remote: Address) -> Budget:
        if remote.is_local:
            return self.node
        found = self._neighbourhoods.get(remote.prefix)
        if found is None:
            if len(self._neighbourhoods) >= KEPT_NEIGHBOURHOODS:
                self._sweep()
            found = self.node.child(f"receive windows of {remote.prefix}", self._max_neighbourhood_bytes)
            self._neighbourhoods[remote.prefix] = found
        return found

    def _sweep(self) -> None:
        for prefix, budget in tuple(self._neighbourhoods.items()):
            if not budget.used:
                budget.close()
                del self._neighbourhoods[prefix]
