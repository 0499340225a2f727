"""The checks of routines: an honest one passes, and each finds the routine that breaks its promise."""

import asyncio
import os
from pathlib import Path

import pytest

from kernel.tests.testing.sabotage import assert_all_sabotaged, assert_caught, cases
from peerkit.errors import StorageError
from peerkit.plugin import Settings
from peerkit.routine import Routine
from peerkit.testing import FakePluginContext, SimNetwork, run
from peerkit.testing.routine_checks import ROUTINE_CHECKS, RoutineBed, RoutineCheck


class Counter:
    """Counts its turns in a database and writes the number to a file."""

    def __init__(self, folder: Path) -> None:
        self.platform = SimNetwork().platform()
        self.ctx = FakePluginContext(Settings(), self.platform, data_dir=folder)
        self.folder = folder
        self.turns = 0

    async def turn(self) -> None:
        database = await self.ctx.open_database("turns", ["CREATE TABLE turns (n INTEGER)"])
        await database.run(lambda cursor: cursor.execute("INSERT INTO turns VALUES (1)"))
        await asyncio.sleep(0.5)
        self.turns += 1
        (self.folder / "turns").write_text(str(self.turns))

    def routine(self) -> Routine:
        return Routine("counter.count", self.turn, interval_s=10.0, timeout_s=20.0)

    def bed(self) -> RoutineBed:
        return RoutineBed(self.routine(), self.platform, self.folder)


@pytest.mark.parametrize("check", ROUTINE_CHECKS, ids=lambda check: check.__name__)
def test_an_honest_one_passes(check: RoutineCheck, tmp_path: Path) -> None:
    async def main() -> None:
        await check(Counter(tmp_path).bed())

    run(main())


class Nameless(Counter):
    def routine(self) -> Routine:
        return Routine("count", self.turn, 10.0)


class Hasty(Counter):
    def routine(self) -> Routine:
        return Routine("counter.count", self.turn, 0.0)


class Wild(Counter):
    def routine(self) -> Routine:
        return Routine("counter.count", self.turn, 10.0, jitter=2.0)


class Early(Counter):
    def routine(self) -> Routine:
        return Routine("counter.count", self.turn, 10.0, first_after_s=-1.0)


class Spawns(Counter):
    async def turn(self) -> None:
        async def watch() -> None:
            await asyncio.sleep(9_999)

        self.ctx.spawn(watch(), "watch")


class Rearms(Counter):
    async def turn(self) -> None:
        self.ctx.call_later(9.0, self.tick)

    def tick(self) -> None:
        self.ctx.call_later(9.0, self.tick)


class Opens(Counter):
    kept: list[int] = []  # noqa: RUF012

    async def turn(self) -> None:
        self.kept.append(os.open(self.folder, os.O_RDONLY))

    def __del__(self) -> None:
        while self.kept:
            os.close(self.kept.pop())


class Slow(Counter):
    async def turn(self) -> None:
        await asyncio.sleep(21)


class Raises(Counter):
    async def turn(self) -> None:
        raise ZeroDivisionError("of nothing")


class Complains(Counter):
    async def turn(self) -> None:
        raise StorageError("there is no room")


class Piles(Counter):
    async def turn(self) -> None:
        self.turns += 1
        (self.folder / f"turn-{self.turns}").touch()


class Stubborn(Counter):
    async def turn(self) -> None:
        try:
            await super().turn()
        except asyncio.CancelledError:
            return


class Untidy(Counter):
    """A file that is written in two steps, and stays when the turn ends between them."""

    async def turn(self) -> None:
        self.turns += 1
        half = self.folder / f"half-{self.turns}"
        half.touch()
        await asyncio.sleep(0.5)
        half.unlink()


class Locks(Counter):
    """Cancelled, it never lets go."""

    is_free = True

    async def turn(self) -> None:
        if not self.is_free:
            raise StorageError("another turn is under way")
        self.is_free = False
        await asyncio.sleep(0.5)
        self.is_free = True


class Fragile(Counter):
    async def turn(self) -> None:
        try:
            await super().turn()
        except StorageError as exc:
            raise RuntimeError("cannot be") from exc


class Retries(Counter):
    async def turn(self) -> None:
        while True:
            try:
                return await super().turn()
            except StorageError:
                await asyncio.sleep(1)


class GivesUp(Counter):
    """After one failure it fails for ever."""

    has_failed = False

    async def turn(self) -> None:
        if self.has_failed:
            raise StorageError("it failed before")
        self.has_failed = True
        await super().turn()
        self.has_failed = False


SABOTEURS: dict[str, list[tuple[type[Counter], str]]] = {
    "its_name_and_times_make_sense": [
        (Nameless, "named <plugin>.<what>, not 'count'"),
        (Hasty, "interval_s must be more than 0 s"),
        (Wild, r"jitter is a share in 0..1, not 2.0"),
        (Early, "first_after_s must be 0 s or more, not -1"),
    ],
    "a_turn_leaves_nothing_behind": [
        (Spawns, r"a turn of counter.count left behind: the task 'plugin.watch'"),
        (Rearms, r"left behind: a timer that calls Rearms.tick"),
        (Opens, r"left behind: the open file \d+ /"),
        (Slow, "takes longer than its timeout_s, 20 s"),
        (Raises, "raised ZeroDivisionError: of nothing"),
        (Complains, "failed though nothing was wrong: there is no room"),
        (Piles, "each turn of counter.count leaves another file: turn-3"),
    ],
    "a_cancelled_turn_leaves_nothing_behind": [
        (Stubborn, "must not swallow CancelledError"),
        (Untidy, "cancelled turns of counter.count left files behind: half-"),
        (Locks, "failed though nothing was wrong: another turn is under way"),
    ],
    "a_failing_disk_costs_one_turn": [
        (Fragile, "while the disk fails raised RuntimeError: cannot be"),
        (Retries, "hangs while the disk fails"),
        (GivesUp, "failed though nothing was wrong: it failed before"),
    ],
}


def test_each_check_has_a_saboteur() -> None:
    assert_all_sabotaged(ROUTINE_CHECKS, SABOTEURS)


@pytest.mark.parametrize(("name", "kind", "sentence"), cases(SABOTEURS))
def test_the_broken_one_is_found(name: str, kind: type[Counter], sentence: str, tmp_path: Path) -> None:
    assert_caught(ROUTINE_CHECKS, name, lambda: kind(tmp_path).bed(), sentence)
