"""Reads profiles and passphrases; the only file of this package that touches the disk."""

import os
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from ..errors import ConfigError

MAX_PROFILE_BYTES = 1024 * 1024  # a wrong path (a disk image) must not fill the memory
MAX_SECRET_BYTES = 4096


def preset_names() -> tuple[str, ...]:
    """The presets that come with the kernel."""
    files = (resources.files("peerkit") / "presets").iterdir()
    return tuple(sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml")))


def read_preset(name: str) -> str:
    return (resources.files("peerkit") / "presets" / f"{name}.toml").read_text(encoding="utf-8")


def read_profile(path: Path) -> str:
    """Raises `ConfigError` that says why it cannot be read."""
    try:
        return _read(path, "the profile", MAX_PROFILE_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise ConfigError([f"the profile {path} is not UTF-8 text (byte {exc.start})"]) from exc


def read_passphrase(path: Path | None, environment: Mapping[str, str]) -> str | None:
    """The first line of `[node] passphrase_file`, else the variable `PEERKIT_PASSPHRASE`, else `None`.

    Raises:
        ConfigError: the file cannot be read or its first line is empty; never with the secret in its sentence.
    """
    if path is None:
        return environment.get("PEERKIT_PASSPHRASE") or None
    line = _read(path.expanduser(), "the passphrase file", MAX_SECRET_BYTES).split(b"\n", 1)[0].rstrip(b"\r")
    if not line:
        raise ConfigError([f"node.passphrase_file: the first line of {path} is empty"])
    return line.decode("utf-8", "surrogateescape")


def _read(path: Path, what: str, limit: int) -> bytes:
    try:
        with open(path, "rb") as file:
            data = file.read(limit + 1)
    except OSError as exc:
        raise ConfigError([f"{what} {path} cannot be read: {os.strerror(exc.errno) if exc.errno else exc}"]) from exc
    if len(data) > limit:
        raise ConfigError([f"{what} {path} is longer than {limit} bytes"])
    return data
