from pathlib import Path

import pytest

from peerkit._config.files import MAX_PROFILE_BYTES, preset_names, read_passphrase
from peerkit._config.layers import MAX_DEPTH
from peerkit._config.node_settings import NodeSettings
from peerkit._config.profile import resolve
from peerkit.errors import ConfigError
from peerkit.security import Aead


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_has_no_problem(name: str) -> None:
    resolved = resolve(name)
    resolved.check()
    assert resolved.enabled


def test_local_stays_on_loopback() -> None:
    node = resolve("local").node
    assert node.network == "local"
    assert node.listen == ("tcp://127.0.0.1:0", "udp://127.0.0.1:0")
    assert node.bootstrap == ()


def test_layers_stand_on_each_other_in_the_promised_order(tmp_path: Path) -> None:
    file = write(
        tmp_path / "mine.toml", '[node]\nextends = "local"\nnetwork = "file"\nlog_level = "error"\nping_after_s = 5'
    )
    environment = {"PEERKIT_NODE__LOG_LEVEL": "debug", "PEERKIT_NODE__PING_AFTER_S": "6"}
    resolved = resolve(file, environment, ["ping_after_s=7"], {"node": {"transient_idle_s": 8}})
    resolved.check()
    node = resolved.node
    assert (node.network, node.log_level, node.ping_after_s, node.transient_idle_s) == ("file", "debug", 7, 8)
    layers = {line.key: line.layer for line in resolved.explain()}
    assert layers["node.listen"] == "preset local"
    assert layers["node.network"] == str(file)
    assert layers["node.log_level"] == "PEERKIT_NODE__LOG_LEVEL"
    assert layers["node.ping_after_s"] == "--set node.ping_after_s"
    assert layers["node.transient_idle_s"] == "arguments"
    assert layers["node.loop"] == "default"


def test_every_setting_is_explained_once() -> None:
    keys = [line.key for line in resolve("local").explain()]
    assert len(keys) == len(set(keys))
    named = {key.split(".")[1] for key in keys}
    assert named == (set(NodeSettings.model_fields) - {"enable", "disable"}) | {"enabled"}


def test_table_extends_a_preset_and_disables() -> None:
    resolved = resolve({"node": {"extends": "local", "disable": ["search", "warehouse"]}})
    resolved.check()
    assert "search" not in resolved.enabled
    assert "secure_noise" in resolved.enabled
    assert set(resolved.disabled) == {"search", "warehouse"}


def test_all_problems_are_told_at_once_and_the_rest_stands() -> None:
    resolved = resolve(
        {"node": {"extends": "local", "listn": [], "slots": {"member_in": -1}, "network": "x"}, "plugin": {}},
        {"PEERKIT_NODE__LOOP": "trio"},
        ["aeads=[]", "nonsense"],
    )
    assert sorted(p.split(":")[0] for p in resolved.problems) == [
        "--set 'nonsense'",
        "node.aeads",
        "node.listn",
        "node.loop",
        "node.slots.member_in",
        "plugin",
    ]
    assert resolved.node.network == "x"
    assert resolved.node.loop == "asyncio"
    with pytest.raises(ConfigError) as caught:
        resolved.check()
    assert caught.value.problems == resolved.problems


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"listen": ["tcp://:x"]}, "node.listen[0]"),
        ({"bootstrap": ["a", "tcp://h:1"]}, "node.bootstrap[0]"),
        ({"listen": ["tcp://127.0.0.1:1", "tcp://127.0.0.1:1"]}, "more than once"),
        ({"aeads": ["rot13"]}, "'rot13' is not one of aes-256-gcm, chacha20-poly1305"),
        ({"upload_limit": "fast"}, "write 2000000, 2 MB/s"),
        ({"upload_limit": 0}, "node.upload_limit: 0 is not at least 1"),
        ({"handshake_timeout_s": "inf"}, "node.handshake_timeout_s"),
        ({"network": "x" * 200}, "node.network"),
        ({"extends": 3}, "node.extends: 3 is not a text"),
        ({"enable": "search"}, "node.enable: 'search' is not a list"),
    ],
)
def test_wrong_setting_is_named(settings: dict[str, object], problem: str) -> None:
    problems = resolve({"node": settings}).problems
    assert len(problems) == 1
    assert problem in problems[0]


def test_units_and_names_are_understood() -> None:
    resolved = resolve({"node": {"upload_limit": "2 MB/s", "download_limit": "none", "aeads": ["chacha20-poly1305"]}})
    resolved.check()
    node = resolved.node
    assert (node.upload_limit, node.download_limit, node.aeads) == (2_000_000, None, (Aead.CHACHA20_POLY1305,))
    assert {"node.aeads": ["chacha20-poly1305"]}.items() <= {
        line.key: line.value for line in resolved.explain()
    }.items()


def test_extends_starts_from_the_files_own_folder(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    write(tmp_path / "base.toml", '[node]\nnetwork = "base"\nlog_level = "error"')
    top = write(tmp_path / "sub" / "top.toml", '[node]\nextends = "../base.toml"\nlog_level = "debug"')
    resolved = resolve(str(top))
    resolved.check()
    assert (resolved.node.network, resolved.node.log_level) == ("base", "debug")


def test_circle_is_named(tmp_path: Path) -> None:
    a = write(tmp_path / "a.toml", '[node]\nextends = "./b.toml"')
    write(tmp_path / "b.toml", '[node]\nextends = "./a.toml"')
    (problem,) = resolve(a).problems
    assert "in a circle" in problem
    assert problem.index("a.toml → ") < problem.index("b.toml → ")


def test_depth_is_bounded(tmp_path: Path) -> None:
    for n in range(MAX_DEPTH + 5):
        write(tmp_path / f"{n}.toml", f'[node]\nextends = "./{n + 1}.toml"')
    (problem,) = resolve(tmp_path / "0.toml").problems
    assert f"more than {MAX_DEPTH} profiles" in problem


def test_unknown_preset_names_the_nearest() -> None:
    (problem,) = resolve("locl").problems
    assert "did you mean local?" in problem


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"[node\n", "is not TOML"), (b"\xff\xfe", "is not UTF-8"), (b"#" * (MAX_PROFILE_BYTES + 1), "is longer than")],
)
def test_unreadable_file_is_one_sentence(tmp_path: Path, content: bytes, reason: str) -> None:
    file = tmp_path / "bad.toml"
    file.write_bytes(content)
    (problem,) = resolve(file).problems
    assert reason in problem
    assert str(file) in problem


def test_missing_file_and_directory_are_one_sentence(tmp_path: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path):
        (problem,) = resolve(path).problems
        assert "cannot be read" in problem


def test_passphrase_comes_from_the_file_else_the_environment(tmp_path: Path) -> None:
    file = write(tmp_path / "pass", "correct horse\r\nsecond line\n")
    assert read_passphrase(file, {"PEERKIT_PASSPHRASE": "other"}) == "correct horse"
    assert read_passphrase(None, {"PEERKIT_PASSPHRASE": "other"}) == "other"
    assert read_passphrase(None, {}) is None
    with pytest.raises(ConfigError, match="is empty"):
        read_passphrase(write(tmp_path / "empty", "\n"), {})
