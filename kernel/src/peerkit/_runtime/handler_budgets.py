"""How many handlers run at once: `node > protocol > session`.

`max_concurrent` bounds one peer; these bound all peers together: a crowd cannot start tasks without end, nor one
protocol's crowd starve the others.
"""

from ..limits import Budget

MAX_HANDLERS = 8192  # of the node; a guess: a waiting task costs about 4 KiB
MAX_OF_PROTOCOL = MAX_HANDLERS // 4


class HandlerBudgets:
    """One node's.

    Attributes:
        node: the budget of all handlers.
    """

    def __init__(self, max_handlers: int = MAX_HANDLERS, max_of_protocol: int = MAX_OF_PROTOCOL) -> None:
        self.node = Budget("the node", max_handlers, unit="handlers")
        self._max_of_protocol = max_of_protocol
        self._protocols: dict[str, Budget] = {}

    def open(self, protocol: str, limit: int) -> Budget:
        """The budget of one session and protocol, `limit` handlers.  Close it with the session."""
        above = self._protocols.get(protocol)
        if above is None:
            above = self._protocols[protocol] = self.node.child(f"protocol {protocol}", self._max_of_protocol)
        return above.child(f"a session of {protocol}", limit)
