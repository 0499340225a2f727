"""Bounds on what strangers can make us hold, and on how fast bytes may flow.  Pure; fails closed.

A `Budget` is a node of a tree of scopes, as `node > neighbourhood > session` of receive memory and `node > protocol` of
running handlers: what a scope reserves counts in every scope above it, so one peer cannot use up its neighbours' share.
A `TokenBucket` bounds a rate.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from .errors import LimitExceeded


class Budget:
    """How much of one thing (bytes unless told) a scope may hold at once.

    Args:
        scope: its name in messages, `session p4fzq2…`.
        limit: the most it may hold.
        parent: the scope above; every reservation counts there too.

    Attributes:
        used, peak: held now, and the most ever.
        refused: reservations that were denied here.
    """

    def __init__(self, scope: str, limit: int, parent: "Budget | None" = None, unit: str = "bytes") -> None:
        if limit < 0:
            raise ValueError(f"the limit of {scope} is negative: {limit}")
        self.scope = scope
        self.limit = limit
        self.unit = unit
        self.used = 0
        self.peak = 0
        self.refused = 0
        self._parent = parent
        self._children: set[Budget] = set()
        self._open = True
        if parent is not None:
            parent._children.add(self)

    def __repr__(self) -> str:
        return f"<Budget {self.scope} {self.used}/{self.limit} {self.unit}>"

    def child(self, scope: str, limit: int) -> "Budget":
        """A scope below this one; `close` it when what it counts is gone."""
        return Budget(scope, limit, self, self.unit)

    @property
    def free(self) -> int:
        """How much could be reserved now: the least of what this scope and those above have left."""
        return min(scope.limit - scope.used for scope in self._chain()) if self._open else 0

    def reserve(self, amount: int) -> None:
        """Count `amount` here and in every scope above, or nowhere.

        Raises:
            LimitExceeded: a scope has not so much left; the sentence names it and its bound.
        """
        if amount < 0:
            raise ValueError(f"cannot reserve {amount} {self.unit}")
        if not self._open:
            raise LimitExceeded(f"{self.scope} is closed and holds nothing more")
        for scope in self._chain():
            if scope.used + amount > scope.limit:
                scope.refused += 1
                raise LimitExceeded(
                    f"{scope.scope} may hold {scope.limit} {scope.unit}: {scope.used} are in use, {amount} more wanted"
                )
        for scope in self._chain():
            scope.used += amount
            scope.peak = max(scope.peak, scope.used)

    def release(self, amount: int) -> None:
        """Give back.  After `close` nothing is left to give back, and late releases are ignored."""
        if not self._open:
            return
        if not 0 <= amount <= self.used:
            raise ValueError(f"{self.scope} holds {self.used} {self.unit} and cannot give back {amount}")
        for scope in self._chain():
            scope.used -= amount

    @contextmanager
    def hold(self, amount: int) -> Iterator[None]:
        """Reserve for the length of a `with` block.  Raises `LimitExceeded` as `reserve` does."""
        self.reserve(amount)
        try:
            yield
        finally:
            self.release(amount)

    def close(self) -> None:
        """Give back all that this scope and those below hold; it takes nothing more.  Idempotent."""
        for child in tuple(self._children):
            child.close()
        self.release(self.used)
        self._open = False
        if self._parent is not None:
            self._parent._children.discard(self)

    def counters(self) -> Iterator[tuple[str, int, int, int, int]]:
        """(scope, used, limit, peak, refused) of this scope and all below, this one first."""
        yield self.scope, self.used, self.limit, self.peak, self.refused
        for child in sorted(self._children, key=lambda budget: budget.scope):
            yield from child.counters()

    def _chain(self) -> "Iterator[Budget]":
        scope: Budget | None = self
        while scope is not None:
            yield scope
            scope = scope._parent


class TokenBucket:
    """A rate with bursts.  It starts full; time is handed in and may not run backwards (if it does, nothing is added).

    Args:
        rate: tokens a second, > 0.
        burst: the most that gathers while nothing is taken, > 0.
    """

    __slots__ = ("_at", "_tokens", "burst", "rate")

    def __init__(self, rate: float, burst: float) -> None:
        if rate <= 0 or burst <= 0:
            raise ValueError(f"a token bucket needs a rate and a burst above 0, not {rate:g} and {burst:g}")
        self.rate = rate
        self.burst = burst
        self._tokens = burst
        self._at: float | None = None

    def _refill(self, now: float) -> None:
        if self._at is not None and now > self._at:
            self._tokens = min(self.burst, self._tokens + (now - self._at) * self.rate)
        self._at = now

    def take(self, amount: float, now: float) -> float:
        """Take `amount` in any case, into debt if need be, and return the seconds to wait before the next.

        So an amount larger than the burst passes, and the average still holds."""
        self._refill(now)
        self._tokens -= amount
        return 0.0 if self._tokens >= 0 else -self._tokens / self.rate

    def try_take(self, amount: float, now: float) -> bool:
        """Take `amount` if that many are there; otherwise take nothing and return `False`."""
        self._refill(now)
        if self._tokens < amount:
            return False
        self._tokens -= amount
        return True

    def available(self, now: float) -> float:
        """Tokens there now; negative while in debt."""
        self._refill(now)
        return self._tokens
