"""Congestion control over distance: Peerkit beside Linux TCP CUBIC on a lossy link, and a drawing of the windows.

The link is `tun_link.py`: 1 Gbit/s, 50 ms, random loss, the same trace for both.  It needs root on Linux and an idle
machine: both ends and the link share its cores, and what the scheduler adds to the round trip counts for both.
`python -m bench.congestion FILE` draws the windows of the controllers on a simulated bottleneck instead, as SVG.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from .process import numbers_of, serving
from .row import Row, compared
from .standstill import Standstill
from .tun_link import RIGHT, TunLink, is_possible, tun_link

MBIT = 1_000
ROUND_TRIP_S = 0.05
LOSSES = (0.0001, 0.001, 0.01)
ROUNDS = 2
SECONDS = 15.0
AIM = 0.8  # of TCP's speed


def run(still: Standstill, quick: bool = False) -> list[Row]:
    """Raises `RuntimeError` where the link cannot be made."""
    if not is_possible():
        raise RuntimeError("the link between network namespaces needs root on Linux and /dev/net/tun")
    rounds, seconds = (1, 5.0) if quick else (ROUNDS, SECONDS)
    rows = []
    for loss in LOSSES:
        rates: dict[str, list[float]] = {"tcp": [], "peerkit": []}
        for seed in range(rounds):
            for what, own in rates.items():
                with tun_link(MBIT, ROUND_TRIP_S, loss, seed) as link:
                    own.append(_rate(still, link, what, seconds))
        where = f"50 ms, {loss:.2%} loss"
        tcp = Row(f"{where}: Linux TCP CUBIC in clear", "MB/s", tuple(rates["tcp"]))
        udp = Row(f"{where}: peerkit over UDP", "MB/s", tuple(rates["peerkit"]))
        ratio = median(own / other for own, other in zip(rates["peerkit"], rates["tcp"], strict=True))
        rows += [tcp, compared(udp, tcp, AIM, ratio)]
    return rows


def _rate(still: Standstill, link: TunLink, what: str, seconds: float) -> float:
    scheme = "" if what == "tcp" else "udp://"
    ends = sys.executable, "-m", "bench.bulk_ends", what
    with serving(*_after(link.right, *ends, "serve", f"{scheme}{RIGHT}:5001"), python=link.right[0]) as line:
        address = f"{RIGHT}:5001" if what == "tcp" else line
        command = _after(link.left, *ends, "send", address, str(seconds))
        nbytes, began_at, ended_at = numbers_of(*command, python=link.left[0], timeout_s=seconds * 3 + 60)
        return nbytes / still.seconds(began_at, ended_at) / 1e6


def _after(prefix: Sequence[str], *command: str) -> tuple[str, ...]:
    """The arguments of the prefix's program."""
    return (*prefix[1:], *command)


# -- the drawing -------------------------------------------------------------------------------------------------

_WIDTH, _HEIGHT, _MARGIN, _GAP = 760, 210, 50, 40
_COLOURS = ("#1f6fb4", "#d1662c", "#2f8f4e")

Curve = tuple[str, list[tuple[float, float]]]


def draw(file: Path) -> None:
    """Windows on a link of 10 Mbit/s, 50 ms, with a queue of 200 ms: each alone, then two that share it."""
    from peerkit_transport_udp.congestion import CongestionController, Cubic, LedbatPlusPlus, NewReno

    from plugins.transport_udp.tests.congestion.link import PACKET, Flow, Link, Simulation

    def curves(*controllers: tuple[CongestionController, float, float], alone: bool) -> list[Curve]:
        found = []
        shared = Simulation()
        link = Link(shared, 1.25e6, ROUND_TRIP_S, 250_000)
        for controller, start_at, stop_at in controllers:
            here = Link(Simulation(), 1.25e6, ROUND_TRIP_S, 250_000) if alone else link
            found.append(Flow(here, controller, start_at=start_at, stop_at=stop_at))
        for flow in found:
            flow.link.simulation.run(60.0)
        return [(flow.controller.name, [(at, window / PACKET) for at, window in flow.windows]) for flow in found]

    always = (0.0, 60.0)
    panels = [
        ("Alone on the link", curves(*((k(PACKET), *always) for k in (Cubic, NewReno, LedbatPlusPlus)), alone=True)),
        (
            "CUBIC from 20 to 40 s",
            curves((Cubic(PACKET), 20.0, 40.0), (LedbatPlusPlus(PACKET), *always), alone=False),
        ),
    ]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {2 * (_HEIGHT + _GAP) + 10}" '
        'font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for number, (title, panel) in enumerate(panels):
        parts += _panel(title, panel, 25 + number * (_HEIGHT + _GAP))
    file.write_text("\n".join([*parts, "</svg>"]) + "\n")


def _panel(title: str, curves: list[Curve], top: int) -> list[str]:
    highest = max(value for _, points in curves for _, value in points)
    bottom, right = top + _HEIGHT - 25, _WIDTH - 15

    def place(at: float, value: float) -> str:
        x = _MARGIN + at / 60 * (right - _MARGIN)
        return f"{x:.1f},{bottom - value / highest * (bottom - top):.1f}"

    parts = [f'<text x="{_MARGIN}" y="{top - 8}" font-weight="bold">{title}: window in packets, by seconds</text>']
    parts.append(f'<path d="M{_MARGIN},{top} V{bottom} H{right}" fill="none" stroke="#888"/>')
    parts += [
        f'<text x="{place(second, 0).split(",")[0]}" y="{bottom + 15}" text-anchor="middle">{second}</text>'
        for second in range(0, 61, 10)
    ]
    parts.append(f'<text x="{_MARGIN - 5}" y="{top + 5}" text-anchor="end">{highest:.0f}</text>')
    for (_, points), colour in zip(curves, _COLOURS, strict=False):
        step = max(len(points) // 700, 1)  # no more points than the drawing has pixels
        line = " ".join(place(at, value) for at, value in points[::step])
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.3"/>')
    for number, ((name, _), colour) in enumerate(zip(curves, _COLOURS, strict=False)):
        parts.append(f'<text x="{right - 80 * number}" y="{top - 8}" text-anchor="end" fill="{colour}">{name}</text>')
    return parts


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
