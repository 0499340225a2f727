"""Time and randomness set by hand, for tests of machines that need no loop."""

import random

from .sim_platform import WALL_AT_START


class FakeClock:
    """A clock that a test moves.

    Args:
        now_s: what `now()` says first.
    """

    def __init__(self, now_s: float = 0.0) -> None:
        self.now_s = now_s
        self.wall_s = WALL_AT_START + now_s

    def now(self) -> float:
        return self.now_s

    def wall(self) -> float:
        return self.wall_s

    def advance(self, by_s: float) -> float:
        """Move both times; returns the new `now()`."""
        self.now_s += by_s
        self.wall_s += by_s
        return self.now_s


class SeededRng(random.Random):
    """An `Rng` whose numbers follow its seed."""

    def __init__(self, seed: int | str = 0) -> None:
        super().__init__(seed)
