"""Layers of settings, lowest first: preset < file < environment < `--set` < arguments of `Node.open`.  Pure.

Tables are merged key by key and everything else replaces, but `node.enable` adds to the enabled plugins and
`node.disable` removes from them, layer by layer.
"""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

MAX_DEPTH = 8  # of `extends`
ENVIRONMENT_PREFIXES = ("PEERKIT_NODE__", "PEERKIT_PLUGINS__")
_MISSING = object()


@dataclass(frozen=True, slots=True)
class Layer:
    """One source of settings; `name` is shown to people: `preset local`, `/etc/node.toml`, `PEERKIT_NODE__LISTEN`."""

    name: str
    table: Mapping[str, object]


@dataclass(slots=True)
class Merged:
    """Attributes:
    table: nested tables.
    origins: dotted path of every value → the name of its layer.
    enabled: plugin → the layer that enabled it, in the order of enabling.
    disabled: plugin → the layer that named it in `disable` last.
    """

    table: dict[str, object] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    enabled: dict[str, str] = field(default_factory=dict)
    disabled: dict[str, str] = field(default_factory=dict)


def merge(layers: Sequence[Layer]) -> Merged:
    """Put the layers on each other, lowest first."""
    out = Merged()
    for layer in layers:
        _lay(out, out.table, layer.table, (), layer.name)
        node = layer.table.get("node")
        if isinstance(node, Mapping):
            for name in _names(node.get("enable")):
                out.enabled.setdefault(name, layer.name)
                out.disabled.pop(name, None)
            for name in _names(node.get("disable")):
                out.enabled.pop(name, None)
                out.disabled[name] = layer.name
    return out


def _lay(out: Merged, below: dict[str, object], above: Mapping[str, object], path: tuple[str, ...], layer: str) -> None:
    for key, value in above.items():
        here = (*path, key)
        if isinstance(value, Mapping) and (value or not isinstance(below.get(key), dict)):
            under = below.get(key)
            if not isinstance(under, dict):
                under = below[key] = {}
                _forget(out, here)
            _lay(out, under, value, here, layer)
        elif not isinstance(value, Mapping):
            _forget(out, here)
            below[key] = value
            out.origins[".".join(here)] = layer


def _forget(out: Merged, path: tuple[str, ...]) -> None:
    """A value takes the place of a table, or a table that of a value."""
    here = ".".join(path)
    for known in [name for name in out.origins if name == here or name.startswith(f"{here}.")]:
        del out.origins[known]


def _names(value: object) -> Iterator[str]:
    if isinstance(value, list | tuple):
        yield from (item for item in value if isinstance(item, str))


def parse_value(text: str) -> object:
    """A TOML value (`4433`, `true`, `["a", "b"]`, `"x"`), or the text itself when it is none."""
    try:
        table = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return table["value"] if set(table) == {"value"} else text


def parse_set(text: str) -> tuple[tuple[str, ...], object] | str:
    """`listen=[]`, `slots.member_in=9` (both of `node`) or `plugins.search.language=de` as path and value; or what is
    wrong with it."""
    key, equals, value = text.partition("=")
    path = tuple(part.strip() for part in key.split("."))
    if not equals or not all(path):
        return f"--set {text!r}: write key=value, such as listen=[] or log_level=debug"
    if path[0] not in ("node", "plugins"):
        path = ("node", *path)
    if len(path) < (2 if path[0] == "node" else 3):
        return f"--set {text!r}: a key is <setting>, node.<setting> or plugins.<plugin>.<setting>"
    return path, parse_value(value.strip())


def environment_layers(environment: Mapping[str, str]) -> list[Layer]:
    """`PEERKIT_NODE__LOG_LEVEL=debug`, `PEERKIT_PLUGINS__SEARCH__LANGUAGE=de`: two underscores separate the steps of
    the path, case does not matter, values are as for `--set`."""
    layers = []
    for name, value in sorted(environment.items()):
        if name.upper().startswith(ENVIRONMENT_PREFIXES):
            path = tuple(name.removeprefix("PEERKIT_").lower().split("__"))
            layers.append(Layer(name, nest(path, parse_value(value))))
    return layers


def nest(path: Sequence[str], value: object) -> dict[str, object]:
    """`("node", "listen")`, x → `{"node": {"listen": x}}`."""
    table: object = value
    for key in reversed(path):
        table = {key: table}
    assert isinstance(table, dict)
    return table
