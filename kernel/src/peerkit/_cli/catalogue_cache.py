"""The catalogue of operations when no node runs: from a cache file, else made once by loading the kernel and plugins.

The cache is keyed by what could change it: the installed plugins with their versions and files, and the profile.
"""

import hashlib
import importlib.util
import json
import os
import sys
from importlib import metadata
from typing import TYPE_CHECKING

from .._control.wire import Json
from .folders import cache_dir

if TYPE_CHECKING:
    from .access import Access

KEPT_FILES = 16  # catalogues of other profiles and versions


def load_or_build(access: "Access") -> Json:
    """The catalogue that a node of this profile would have.

    Raises:
        PeerkitError: the profile or a plugin is wrong.
    """
    path = os.path.join(cache_dir(), f"catalogue-{_key(access)}.json")
    try:
        with open(path, "rb") as file:
            found: Json = json.load(file)
        if isinstance(found, list):
            return found
    except (OSError, ValueError):
        pass  # none yet, or half written
    from .short_node import build_catalogue

    catalogue = build_catalogue(access)
    _store(path, catalogue)
    return catalogue


def _key(access: "Access") -> str:
    parts: list[str] = [sys.version, access.profile, *access.sets]
    if os.path.isfile(access.profile):
        parts.append(_stamp(access.profile))
    parts += [f"{name}={value}" for name, value in os.environ.items() if name.startswith("PEERKIT_NODE__")]
    modules = {"peerkit"}
    for entry in metadata.entry_points(group="peerkit"):
        modules.add(entry.module.partition(".")[0])
        parts.append(f"{entry.name} {entry.value} {entry.dist.version if entry.dist else ''}")
    for module in sorted(modules):
        spec = importlib.util.find_spec(module)
        if spec is not None and spec.origin is not None:
            parts.append(f"{spec.origin} {_newest(os.path.dirname(spec.origin))}")
    return hashlib.blake2b("\0".join(parts).encode(errors="surrogateescape"), digest_size=12).hexdigest()


def _newest(folder: str) -> str:
    """When a plugin that is being worked on last changed; its version does not tell."""
    return max((_stamp(entry.path) for entry in os.scandir(folder) if entry.name.endswith(".py")), default="")


def _stamp(path: str) -> str:
    return f"{os.stat(path).st_mtime_ns:020d}"


def _store(path: str, catalogue: Json) -> None:
    """Best effort: without a cache the next command is slow again, no more."""
    try:
        folder = os.path.dirname(path)
        os.makedirs(folder, mode=0o700, exist_ok=True)
        temporary = f"{path}.{os.getpid()}"
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(catalogue, file)
        os.replace(temporary, path)
        old = sorted(
            (e for e in os.scandir(folder) if e.name.startswith("catalogue-")), key=lambda e: -e.stat().st_mtime
        )
        for entry in old[KEPT_FILES:]:
            os.unlink(entry.path)
    except OSError:
        pass
