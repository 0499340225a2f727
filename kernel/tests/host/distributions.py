"""Distributions made on disk, as pip would leave them, for tests of what is installed."""

from collections.abc import Mapping
from pathlib import Path


def install(
    site: Path,
    name: str,
    groups: Mapping[str, Mapping[str, str]],
    version: str = "1.0",
    requires: tuple[str, ...] = ("peerkit-kernel",),
) -> None:
    """Write the metadata of one distribution into `site`."""
    folder = site / f"{name.replace('-', '_')}-{version}.dist-info"
    folder.mkdir(parents=True)
    lines = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}", *(f"Requires-Dist: {r}" for r in requires)]
    (folder / "METADATA").write_text("\n".join(lines) + "\n", encoding="utf-8")
    text = "".join(
        f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in entries.items())
        for group, entries in groups.items()
    )
    (folder / "entry_points.txt").write_text(text, encoding="utf-8")


def module(site: Path, name: str, source: str) -> None:
    site.mkdir(parents=True, exist_ok=True)
    (site / f"{name}.py").write_text(source, encoding="utf-8")
