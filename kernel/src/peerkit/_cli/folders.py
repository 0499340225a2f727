"""Where things lie on this machine: the data directory and the cache, by each platform's custom."""

import os
import sys

DATA_DIR_VARIABLE = "PEERKIT_DATA_DIR"


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


def data_dir_from(words: list[str], environ: dict[str, str]) -> tuple[str, bool]:
    """The data directory that a command line means, read before its commands are known: they come from the node there.

    `--data-dir` wherever it stands (the last one counts), else `PEERKIT_DATA_DIR`, else the platform's default;
    and whether it is that default.
    """
    found = environ.get(DATA_DIR_VARIABLE) or ""
    for place, word in enumerate(words):
        if word == "--":
            break
        if word.startswith("--data-dir="):
            found = word.partition("=")[2]
        elif word == "--data-dir" and place + 1 < len(words):
            found = words[place + 1]
    return os.path.abspath(os.path.expanduser(found or default_data_dir())), not found


def _absolute(variable: str) -> str:
    """The XDG specification: a relative path is invalid and ignored."""
    value = os.environ.get(variable, "")
    return value if os.path.isabs(value) else ""
