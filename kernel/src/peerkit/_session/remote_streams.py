"""Which streams the peer has opened, also when frames come out of order."""

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
        self._step = max(1, max_streams // 2)
        self._first = 2 if is_dialer else 1
        self._next = self._first  # the lowest id of which nothing has come
        self._end = self._first + 2 * max_streams  # ids from here on are not allowed yet
        self._skipped: set[int] = set()  # below the next, not opened yet; fewer than `max_streams`

    def ended(self) -> bool:
        """One of them has ended, so another is allowed; `True` when it is time to tell the peer, several together."""
        self.allowed += 1
        self._end += 2
        return self.allowed % self._step == 0

    def opening(self, id: int) -> bool:
        """An opening frame came; `False` when that stream was opened before.

        Raises:
            RemoteProtocolError: the id is not the peer's, or beyond what it may open.
        """
        if id == self._next < self._end:  # the ordinary case
            self._next = id + 2
            return True
        self._check(id)
        self._skip_to(id)
        if id in self._skipped:
            self._skipped.discard(id)
            return True
        return False

    def expects(self, id: int) -> bool:
        """A frame of a stream came whose opening frame may still be on its way.  Raises as `opening` does."""
        if (id - self._first) % 2:
            return False
        self._check(id)
        self._skip_to(id)
        return id in self._skipped

    def _skip_to(self, id: int) -> None:
        """All up to `id` are waited for."""
        if id >= self._next:
            self._skipped.update(range(self._next, id + 2, 2))
            self._next = id + 2

    def _check(self, id: int) -> None:
        if id == 0 or (id - self._first) % 2:
            raise RemoteProtocolError(f"stream {id} is not the peer's to open")
        if id >= self._end:
            raise RemoteProtocolError(f"the peer opened more than the {self.allowed} streams it may")
