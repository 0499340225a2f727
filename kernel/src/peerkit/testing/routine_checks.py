"""What every routine must do (`peerkit.routine`): one turn is contained, however it ends.  Under virtual time.

    @pytest.mark.parametrize("check", ROUTINE_CHECKS, ids=lambda check: check.__name__)
    async def test_it_does_what_every_routine_must(net, check):
        platform = net.platform()
        (routine,) = HeadCount(FakePluginContext(HeadCountSettings(), platform)).peerkit_register_routines()
        await check(RoutineBed(routine, platform))

A check returns, or raises `AssertionError` with the promise that was broken.  A plugin that needs the kernel's own
capabilities is checked in a whole node (`peerkit.testing.plugin_of`), one with nothing else to do.

PYTEST_DONT_REWRITE: a broken promise is told by its sentence; to compare megabytes for it would take minutes.
"""

import asyncio
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..errors import PeerkitError
from ..routine import Routine
from .plugin_watch import Check, Leftovers, call, cancelled_everywhere, complete
from .sim_platform import SimPlatform

TURNS = 3


@dataclass(frozen=True, slots=True)
class RoutineBed:
    """Attributes:
    routine: of a plugin that has started.
    platform: which the plugin runs on; its disk fails in one check.
    folder: where the plugin keeps files, if it does.
    """

    routine: Routine
    platform: SimPlatform
    folder: Path | None = None


RoutineCheck = Check[RoutineBed]


async def its_name_and_times_make_sense(bed: RoutineBed) -> None:
    routine = bed.routine
    owner, _, what = routine.name.partition(".")
    assert owner and what, f"a routine is named <plugin>.<what>, not {routine.name!r}"
    for name in ("interval_s", "timeout_s"):
        value = getattr(routine, name)
        assert 0 < value < math.inf, f"{routine.name}: {name} must be more than 0 s and finite, not {value}"
    assert 0 <= routine.jitter <= 1, f"{routine.name}: jitter is a share in 0..1, not {routine.jitter}"
    first = routine.first_after_s
    assert first is None or 0 <= first < math.inf, f"{routine.name}: first_after_s must be 0 s or more, not {first}"


async def a_turn_leaves_nothing_behind(bed: RoutineBed) -> None:
    """No tasks, no timers, no open files; and files of its own do not become more with every turn."""
    files = []
    for _ in range(TURNS):
        await _turn(bed)
        files.append(_files(bed))
        await asyncio.sleep(bed.routine.interval_s)
    more = files[-1] - files[-2]
    assert not more, f"each turn of {bed.routine.name} leaves another file: {', '.join(sorted(more))}"


async def a_cancelled_turn_leaves_nothing_behind(bed: RoutineBed) -> None:
    """The owner may stop it at any moment; the next turn comes as usual."""
    await _turn(bed)
    whole = _files(bed)
    await cancelled_everywhere(f"a turn of {bed.routine.name}", lambda: _run(bed))
    await _turn(bed)
    litter = _files(bed) - whole
    assert not litter, f"cancelled turns of {bed.routine.name} left files behind: {', '.join(sorted(litter))}"


async def a_failing_disk_costs_one_turn(bed: RoutineBed) -> None:
    """A turn may fail, in words; it leaves nothing behind, and once the disk works again the routine does too."""
    await _turn(bed)
    with _broken_disk(bed.platform):
        left = Leftovers()
        try:
            async with asyncio.timeout(bed.routine.timeout_s):
                await left.run(call(f"a turn of {bed.routine.name} while the disk fails", bed.routine.run))
        except PeerkitError:
            pass
        except TimeoutError:
            raise AssertionError(f"{bed.routine.name} hangs while the disk fails") from None
        await left.none(f"a turn of {bed.routine.name} while the disk failed")
    await _turn(bed)


async def _turn(bed: RoutineBed) -> None:
    """A whole turn, within its time, with nothing left."""
    left = Leftovers()
    name = bed.routine.name
    try:
        async with asyncio.timeout(bed.routine.timeout_s):
            await left.run(call(f"a turn of {name}", bed.routine.run))
    except TimeoutError:
        raise AssertionError(f"a turn of {name} takes longer than its timeout_s, {bed.routine.timeout_s:g} s") from None
    except PeerkitError as exc:
        raise AssertionError(f"a turn of {name} failed though nothing was wrong: {exc}") from exc
    await left.none(f"a turn of {name}")


async def _run(bed: RoutineBed) -> None:
    await bed.routine.run()


def _files(bed: RoutineBed) -> set[str]:
    if bed.folder is None:
        return set()
    return {path.relative_to(bed.folder).as_posix() for path in bed.folder.rglob("*") if path.is_file()}


@contextmanager
def _broken_disk(platform: SimPlatform) -> Iterator[None]:
    platform.host.disk_works = False
    try:
        yield
    finally:
        platform.host.disk_works = True


ROUTINE_CHECKS: tuple[RoutineCheck, ...] = complete(
    its_name_and_times_make_sense,
    a_turn_leaves_nothing_behind,
    a_cancelled_turn_leaves_nothing_behind,
    a_failing_disk_costs_one_turn,
)
