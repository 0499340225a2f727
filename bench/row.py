"""One measured figure, and the table of many."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Row:
    """Attributes:
    name: what was measured.
    values: of each repetition, in `unit`.
    ratio: against `beside` in the same run; `None` when it stands alone.
    aim: what the project wants, in words; `met` whether it was so.
    """

    name: str
    unit: str
    values: tuple[float, ...]
    beside: str = ""
    ratio: float | None = None
    aim: str = ""
    met: bool | None = None

    @property
    def median(self) -> float:
        return median(self.values)

    def as_json(self) -> dict[str, object]:
        return {**asdict(self), "median": self.median}


def compared(row: Row, to: Row, at_least: float, ratio: float | None = None) -> Row:
    """`row` beside `to`, both of one kind.

    Args:
        at_least: what the ratio must reach.
        ratio: the median of the ratios of runs that took turns; without it the ratio of the medians.
    """
    ratio = row.median / to.median if ratio is None else ratio
    return Row(row.name, row.unit, row.values, to.name, ratio, f"≥ {at_least:g} ×", ratio >= at_least)


def bounded(row: Row, at_most: float) -> Row:
    """`row` must not be above `at_most`."""
    return Row(row.name, row.unit, row.values, "", None, f"≤ {at_most:g} {row.unit}", row.median <= at_most)


def floored(row: Row, at_least: float) -> Row:
    """`row` must not be below `at_least`."""
    return Row(row.name, row.unit, row.values, "", None, f"≥ {at_least:g} {row.unit}", row.median >= at_least)


def table(rows: Sequence[Row]) -> str:
    """Markdown, one line per row."""
    lines = ["| what | median | min–max | beside | ratio | aim | met |", "|---|---:|---:|---|---:|---|---|"]
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        met = "" if row.met is None else "yes" if row.met else "**no**"
        spread = f"{min(row.values):.4g}–{max(row.values):.4g}"
        lines.append(
            f"| {row.name} | {row.median:.4g} {row.unit} | {spread} | {row.beside} | {ratio} | {row.aim} | {met} |"
        )
    return "\n".join(lines)
