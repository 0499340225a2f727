"""Processor time of a simulation, and what it would be on a machine of a given speed.

A shared machine is several times slower at one moment than at the next.  So a simple loop is timed again and again
while the simulation runs, a twentieth of the time, and the whole work is compared with all those loops: whatever slows
the work down falls upon them in proportion.
"""

import asyncio
import time

LOOP_STEPS = 3_000_000
REFERENCE_S = 0.2  # `for i in range(LOOP_STEPS): x += i` on the machine that `reference_s` speaks of
_STEPS = 15_000
_STRETCH_S = 0.02


class Yardstick:
    """Run `run` as a task beside the work.

    Attributes:
        cpu_s: processor seconds of the process, without those of the yardstick.
    """

    def __init__(self) -> None:
        self.cpu_s = 0.0
        self._loops_s = 0.0
        self._loops = 0
        self._from = time.process_time()

    @property
    def reference_s(self) -> float:
        """`cpu_s` on a machine that takes `REFERENCE_S` for the loop."""
        return self.cpu_s * REFERENCE_S / (self._loops_s / self._loops * LOOP_STEPS / _STEPS)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(0.02)  # virtual
            if time.process_time() - self._from >= _STRETCH_S:
                self.measure()

    def measure(self) -> None:
        """End a stretch of work."""
        began = time.process_time()
        x = 0
        for i in range(_STEPS):
            x += i
        ended = time.process_time()
        self.cpu_s += began - self._from
        self._loops_s += ended - began
        self._loops += 1
        self._from = ended
