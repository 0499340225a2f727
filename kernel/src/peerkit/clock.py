"""Time and randomness as a node sees them: always handed in, never imported.

On a real node `Clock.now` is the event loop's time and `Rng` the system's; in the simulation both follow the seed.
"""

from collections.abc import MutableSequence, Sequence
from typing import Protocol, TypeVar

T = TypeVar("T")


class Clock(Protocol):
    """Two times.  Use `now` for intervals and deadlines, `wall` only for dates that leave the process."""

    def now(self) -> float:
        """Monotonic seconds; the zero has no meaning."""
        ...

    def wall(self) -> float:
        """Seconds since 1970-01-01 UTC; may jump."""
        ...


class Rng(Protocol):
    """The part of `random.Random` that Peerkit uses; `random.SystemRandom` on a real node, seeded in tests."""

    def randbytes(self, n: int, /) -> bytes: ...
    def random(self) -> float: ...
    def uniform(self, a: float, b: float) -> float: ...
    def randrange(self, start: int, stop: int) -> int: ...
    def choice(self, seq: Sequence[T]) -> T: ...
    def sample(self, population: Sequence[T], k: int) -> list[T]: ...
    def shuffle(self, x: MutableSequence[T]) -> None: ...
