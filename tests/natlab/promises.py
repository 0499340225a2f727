"""What is promised of a pair of nodes behind two kinds of NAT: that they connect, and when directly.  Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

SYMMETRIC = ("symmetric", "symmetric_sequential")
REACHABLE = ("none", "full_cone")
SHARE = 0.95  # of the runs of a cell
EASY_P50_S = 1.5  # until the session is direct, where no port has to be guessed
CERTAIN_RUNS = 20  # of fewer, one that fails does not tell whether the share is kept
MEDIAN_RUNS = 5  # of a cell, for a median of its own; of fewer, the easy cells are judged together


@dataclass(frozen=True, slots=True)
class Attempt:
    """One node connects to another.

    Attributes:
        path: `lan`, `direct` or `relayed` in the end; empty when they did not connect.
        seconds: until the session was direct, or until it was there if it never was.
        error: why they did not connect, or what was tried in vain for a direct path.
    """

    path: str
    seconds: float
    error: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """All attempts of one pair of kinds over one transport."""

    dialer: str
    listener: str
    transport: str
    attempts: Sequence[Attempt]

    @property
    def connected(self) -> int:
        return sum(bool(attempt.path) for attempt in self.attempts)

    @property
    def direct(self) -> int:
        return sum(attempt.path == "direct" for attempt in self.attempts)

    @property
    def p50_s(self) -> float | None:
        """Of the attempts that connected."""
        took = [attempt.seconds for attempt in self.attempts if attempt.path]
        return round(median(took), 3) if took else None

    @property
    def path(self) -> str:
        """The most frequent one."""
        paths = [attempt.path for attempt in self.attempts]
        return max(paths, key=paths.count)

    @property
    def row(self) -> dict[str, object]:
        names = ("dialer", "listener", "transport", "path")
        numbers = {"runs": len(self.attempts), "connected": self.connected, "direct": self.direct, "p50_s": self.p50_s}
        return {name: getattr(self, name) for name in names} | numbers

    @property
    def is_birthday(self) -> bool:
        """Whether one side's port may have to be guessed: what happens by chance is judged over all such cells."""
        return self.transport == "udp" and bool({self.dialer, self.listener} & set(SYMMETRIC)) and self.promises_direct

    @property
    def promises_direct(self) -> bool:
        kinds = {self.dialer, self.listener}
        if self.transport == "udp" and "udp_blocked" in kinds:
            return False
        if kinds & set(REACHABLE):
            return True
        if self.transport == "tcp" and kinds == {"port_restricted_accepting"}:  # both reset what comes too early
            return False
        symmetric = [kind for kind in (self.dialer, self.listener) if kind in SYMMETRIC]
        return len(symmetric) < 2 if self.transport == "udp" else not symmetric

    @property
    def is_easy(self) -> bool:
        return self.promises_direct and not {self.dialer, self.listener} & set(SYMMETRIC)


def is_short(cell: Cell) -> bool:
    """Whether too few of a cell's own runs connected or, where that is no matter of chance, are direct."""
    enough = SHARE * len(cell.attempts)
    return cell.connected < enough or (cell.promises_direct and not cell.is_birthday and cell.direct < enough)


def broken(cells: Sequence[Cell]) -> list[str]:
    """Every promise that was not kept, one sentence each."""
    found = []
    for cell in cells:
        name, runs = f"{cell.dialer} → {cell.listener} over {cell.transport}", len(cell.attempts)
        if cell.connected < SHARE * runs:
            why = next(attempt.error for attempt in cell.attempts if not attempt.path)
            found.append(f"{name}: {cell.connected} of {runs} connected ({why})")
        elif is_short(cell):
            found.append(f"{name}: {cell.direct} of {runs} are direct")
        elif runs >= MEDIAN_RUNS and (why := _late([cell])):
            found.append(f"{name}: {why}")
    by_chance = [cell for cell in cells if cell.is_birthday]
    runs, direct = sum(len(cell.attempts) for cell in by_chance), sum(cell.direct for cell in by_chance)
    if direct < SHARE * runs:
        found.append(f"pairs with a port to be guessed: {direct} of {runs} are direct")
    for transport in dict.fromkeys(cell.transport for cell in cells):
        if why := _late([cell for cell in cells if cell.transport == transport]):
            found.append(f"pairs that are easy over {transport}: {why}")
    return found


def _late(cells: Sequence[Cell]) -> str:
    """Why the easy ones among these are not fast; empty when they are."""
    took = [each.seconds for cell in cells if cell.is_easy for each in cell.attempts if each.path == "direct"]
    p50_s = median(took) if took else 0.0
    return f"direct after {p50_s:.2f} s (p50), {EASY_P50_S} s are promised" if p50_s > EASY_P50_S else ""
