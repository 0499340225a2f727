"""When which machine wants to be called: one timer for all of them.

Deadlines mostly move away (an acknowledgement came), so a later deadline changes nothing here: the machine is looked at
when the earlier one passes, and put back.
"""

import heapq
import math
from typing import Protocol


class Timed(Protocol):
    """A machine with a deadline."""

    def next_timer(self) -> float: ...


class Timers:
    """Machines by the time at which they are looked at next."""

    __slots__ = ("_count", "_heap", "_set")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timed]] = []
        self._set: dict[Timed, float] = {}
        self._count = 0  # so that machines need not be comparable

    def __len__(self) -> int:
        return len(self._set)

    def arm(self, machine: Timed) -> None:
        """Look at the machine when its `next_timer` says, or before; never when that is infinite."""
        at = machine.next_timer()
        if at == math.inf:
            self._set.pop(machine, None)
        elif at < self._set.get(machine, math.inf):
            self._set[machine] = at
            self._count += 1
            heapq.heappush(self._heap, (at, self._count, machine))

    def next_timer(self) -> float:
        heap = self._heap
        while heap and self._set.get(heap[0][2]) != heap[0][0]:
            heapq.heappop(heap)  # moved or gone
        return heap[0][0] if heap else math.inf

    def take_due(self, now: float) -> list[Timed]:
        """Machines whose time has come, or that want no time any more; they must be armed again."""
        due = []
        while self.next_timer() <= now:
            machine = heapq.heappop(self._heap)[2]
            del self._set[machine]
            if now < machine.next_timer() < math.inf:
                self.arm(machine)
            else:
                due.append(machine)
        return due
