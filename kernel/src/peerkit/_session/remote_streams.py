"""Which streams the peer has opened, by their ordinal numbers, also when frames come out of order."""

from ..errors import RemoteProtocolError


class RemoteStreams:
    """Args:
    is_dialer: whether we dialled; the dialer's ids are odd.
    max_streams: streams the peer may have open at once.

    Attributes:
        allowed: streams the peer may open in all.
    """

    def __init__(self, is_dialer: bool, max_streams: int) -> None:
        self.allowed = max_streams
        self._parity = 0 if is_dialer else 1
        self._highest = -1
        self._skipped: set[int] = set()  # below the highest, not come yet; fewer than `max_streams`

    def opening(self, id: int) -> bool:
        """An opening frame came; `False` when that stream was opened before.

        Raises:
            RemoteProtocolError: the id is not the peer's, or beyond what it may open.
        """
        ordinal = self._ordinal(id)
        if ordinal > self._highest:
            if ordinal > self._highest + 1:
                self._skipped.update(range(self._highest + 1, ordinal))
            self._highest = ordinal
            return True
        if ordinal in self._skipped:
            self._skipped.discard(ordinal)
            return True
        return False

    def expects(self, id: int) -> bool:
        """A frame of a stream came whose opening frame may still be on its way.  Raises as `opening` does."""
        if id % 2 != self._parity:
            return False
        ordinal = self._ordinal(id)
        if ordinal > self._highest:
            self._skipped.update(range(self._highest + 1, ordinal + 1))
            self._highest = ordinal
        return ordinal in self._skipped

    def _ordinal(self, id: int) -> int:
        if id == 0 or id % 2 != self._parity:
            raise RemoteProtocolError(f"stream {id} is not the peer's to open")
        ordinal = (id - 1) // 2
        if ordinal >= self.allowed:
            raise RemoteProtocolError(f"the peer opened more than the {self.allowed} streams it may")
        return ordinal
