"""Where things lie on this machine: the data directory and the cache, by each platform's custom."""

import os
import sys


def default_data_dir() -> str:
    """XDG on Linux, `Application Support` on macOS, `LOCALAPPDATA` on Windows."""
    if sys.platform == "win32":
        return os.path.join(os.environ.get("LOCALAPPDATA") or os.path.expanduser("~\\AppData\\Local"), "peerkit")
    if sys.platform == "darwin":
        return os.path.expanduser("~/Library/Application Support/peerkit")
    return os.path.join(_absolute("XDG_DATA_HOME") or os.path.expanduser("~/.local/share"), "peerkit")


def cache_dir() -> str:
    """Holds only what can be made again."""
    if sys.platform == "win32":
        return os.path.join(default_data_dir(), "cache")
    if sys.platform == "darwin":
        return os.path.expanduser("~/Library/Caches/peerkit")
    return os.path.join(_absolute("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "peerkit")


def _absolute(variable: str) -> str:
    """The XDG specification: a relative path is invalid and ignored."""
    value = os.environ.get(variable, "")
    return value if os.path.isabs(value) else ""
