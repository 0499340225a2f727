"""Where a node's control socket is, as `control.json` in its data directory says; the caller's end.

{"pid": 4711, "unix": "/home/ann/.local/share/peerkit/control.sock"}
{"pid": 4711, "tcp": ["127.0.0.1", 50123], "token": "…"}                    where there are no Unix sockets
"""

import json
import os
import socket
from dataclasses import dataclass

from ..errors import NodeNotRunning

CONTROL_FILE = "control.json"
HAVE_UNIX_SOCKETS = hasattr(socket, "AF_UNIX")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node listens: `unix` or `tcp`, never both; `token` belongs to `tcp`."""

    unix: str = ""
    tcp: tuple[str, int] | None = None
    token: str = ""


def read_place(data_dir: str | os.PathLike[str]) -> Place:
    """Where the node of `data_dir` says that it listens.

    Raises:
        NodeNotRunning: there is no `control.json`, or nothing in it that could be used.
    """
    path = os.path.join(data_dir, CONTROL_FILE)
    try:
        with open(path, "rb") as file:
            value = json.load(file)
    except FileNotFoundError:
        raise NodeNotRunning(f"no node is running in {data_dir}; start one with `peerkit up`") from None
    except (OSError, ValueError) as exc:
        raise NodeNotRunning(f"cannot read {path}: {exc}") from exc
    match value:
        case {"unix": str(unix)}:
            return Place(unix=unix)
        case {"tcp": [str(host), int(port)], "token": str(token)}:
            return Place(tcp=(host, port), token=token)
        case _:
            raise NodeNotRunning(f"{path} says no place to connect to")


def open_socket(place: Place, timeout_s: float | None) -> socket.socket:
    """A connected socket.  Raises `NodeNotRunning` when nothing listens there."""
    family = socket.AF_UNIX if place.unix else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.settimeout(timeout_s)
    try:
        sock.connect(place.unix or place.tcp or ("", 0))
    except OSError as exc:
        sock.close()
        raise NodeNotRunning(f"no node answers at {describe_place(place)}: {exc.strerror or exc}") from exc
    return sock


def describe_place(place: Place) -> str:
    return place.unix or ":".join(map(str, place.tcp or ()))
