"""From a profile's name, file or table, the environment and `--set` to the settings of one node.

Nothing is raised for a wrong setting: the problems are collected, so that those of the plugins can join them
(`_host/plugin_host.py`) and a person sees all of them at once.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ..errors import ConfigError
from . import files
from .layers import MAX_DEPTH, Layer, Merged, environment_layers, merge, nest, parse_set
from .node_settings import NodeSettings
from .problems import nearest, show, validate

DEFAULT_PROFILE = "local"
DEFAULT_LAYER = "default"


@dataclass(frozen=True, slots=True)
class Explanation:
    """One setting: its path, its value as JSON would hold it, and the layer that it came from."""

    key: str
    value: object
    layer: str


@dataclass(frozen=True, slots=True)
class Resolved:
    """The outcome of `resolve`.

    Attributes:
        node: where a setting is wrong, its default stands (and a problem tells).
        enabled: plugins in the order of enabling.
        plugins: raw tables `[plugins.<name>]`; validated by the host with each plugin's model.
        disabled: what `disable` named, with the layer that did; the host checks the names.
        problems: sentences; the host raises them together with its own.
        origins: dotted path → layer.
    """

    node: NodeSettings
    enabled: tuple[str, ...]
    plugins: Mapping[str, Mapping[str, object]]
    disabled: Mapping[str, str]
    problems: tuple[str, ...]
    origins: Mapping[str, str]

    def check(self) -> None:
        """Raises `ConfigError` with all problems, if there is one."""
        if self.problems:
            raise ConfigError(self.problems)

    def explain(self) -> tuple[Explanation, ...]:
        """Every setting of the node with its layer; the plugins' are added by the host."""
        shown = self.node.model_dump(mode="json", exclude={"enable", "disable"})
        out = [Explanation("node.enabled", list(self.enabled), self.origins.get("node.enabled", DEFAULT_LAYER))]
        return tuple(out + explain_table(shown, "node", self.origins))


def resolve(
    profile: str | Path | Mapping[str, object] = DEFAULT_PROFILE,
    environment: Mapping[str, str] | None = None,
    sets: Sequence[str] = (),
    overrides: Mapping[str, object] | None = None,
) -> Resolved:
    """Read and merge all layers.

    Args:
        profile: a preset's name, a path (a `Path`, or text that ends in `.toml` or has a slash), or a table as of TOML.
        environment: usually `os.environ`; an embedded node is not changed by it unless it is handed in.
        sets: `key=value` as of `--set`; later ones win.
        overrides: the top layer, a table like `profile`.
    """
    problems: list[str] = []
    layers = _profile_layers(profile, problems)
    layers += environment_layers(environment or {})
    for text in sets:
        match parse_set(text):
            case str() as problem:
                problems.append(problem)
            case path, value:
                layers.append(Layer(f"--set {'.'.join(path)}", nest(path, value)))
    if overrides:
        layers.append(Layer("arguments", overrides))
    merged = merge(layers)
    return _judge(merged, problems)


def _judge(merged: Merged, problems: list[str]) -> Resolved:
    for key in merged.table:
        if key not in ("node", "plugins"):
            problems.append(
                f"{key}: there is no such table{nearest(key, ('node', 'plugins'))}; there are [node] and [plugins]"
            )
    node_table = _table(merged, "node", problems)
    plugin_tables = _table(merged, "plugins", problems)
    plugins: dict[str, Mapping[str, object]] = {}
    for name, table in plugin_tables.items():
        if isinstance(table, Mapping):
            plugins[name] = table
        else:
            problems.append(f"plugins.{name}: {show(table)} is not a table of settings")
    settings, found = validate(NodeSettings, node_table, "node")
    problems += found
    if not isinstance(settings, NodeSettings):
        wrong = {sentence.split(":")[0].split(".")[1].split("[")[0] for sentence in found}
        right = {key: value for key, value in node_table.items() if key not in wrong}
        again, _ = validate(NodeSettings, right, "node")
        settings = again if isinstance(again, NodeSettings) else NodeSettings()
    layers = " + ".join(dict.fromkeys(merged.enabled.values()))
    origins = {**merged.origins, "node.enabled": layers or DEFAULT_LAYER}
    return Resolved(settings, tuple(merged.enabled), plugins, merged.disabled, tuple(problems), origins)


def _table(merged: Merged, name: str, problems: list[str]) -> Mapping[str, object]:
    value = merged.table.get(name, {})
    if isinstance(value, Mapping):
        return value
    problems.append(f"{name}: {show(value)} is not a table")
    return {}


def explain_table(table: Mapping[str, object], path: str, origins: Mapping[str, str]) -> list[Explanation]:
    """One line for each value of a nested table."""
    out: list[Explanation] = []
    for key, value in table.items():
        here = f"{path}.{key}"
        if isinstance(value, Mapping) and value:
            out += explain_table(value, here, origins)
        else:
            out.append(Explanation(here, value, origins.get(here, DEFAULT_LAYER)))
    return out


# -- profiles and what they extend -----------------------------------------------------------------------------------


def _profile_layers(profile: str | Path | Mapping[str, object], problems: list[str]) -> list[Layer]:
    """Lowest first."""
    layers: list[Layer] = []
    seen: list[str] = []
    name, table, folder = _open(profile, None, problems)
    while table is not None:
        seen.append(name)
        layers.insert(0, Layer(name, table))
        node = table.get("node")
        below = node.get("extends") if isinstance(node, Mapping) else None
        if not isinstance(below, str) or not below:
            break
        if len(seen) > MAX_DEPTH:
            problems.append(f"node.extends: more than {MAX_DEPTH} profiles build on each other: {' → '.join(seen)}")
            break
        name, table, folder = _open(below, folder, problems)
        if name in seen:
            problems.append(f"node.extends: profiles build on each other in a circle: {' → '.join([*seen, name])}")
            break
    return layers


def _open(
    profile: str | Path | Mapping[str, object], folder: Path | None, problems: list[str]
) -> tuple[str, Mapping[str, object] | None, Path | None]:
    """(name for people, table or `None` after a problem, folder that its relative paths start from)."""
    if isinstance(profile, Mapping):
        return "profile", profile, folder
    is_path = isinstance(profile, Path) or "/" in profile or "\\" in profile or profile.endswith(".toml")
    try:
        if is_path:
            path = Path(profile).expanduser()
            path = path if path.is_absolute() or folder is None else folder / path
            name, text, folder = str(path), files.read_profile(path), path.parent
        else:
            assert isinstance(profile, str)
            if profile not in files.preset_names():
                known = ", ".join(files.preset_names())
                problems.append(
                    f"there is no preset {profile!r}{nearest(profile, files.preset_names())}"
                    f" (there are: {known}; a file's name ends in .toml)"
                )
                return profile, None, folder
            return f"preset {profile}", _preset(profile), None
        return name, tomllib.loads(text), folder
    except ConfigError as exc:
        problems.extend(exc.problems)
    except tomllib.TOMLDecodeError as exc:
        problems.append(f"{name} is not TOML: {exc}")
    return str(profile), None, folder


@lru_cache  # a process may hold a thousand nodes
def _preset(name: str) -> Mapping[str, object]:
    return tomllib.loads(files.read_preset(name))
