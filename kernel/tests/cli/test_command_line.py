"""The command line against a real control server, in this process; `test_process.py` runs it as a process."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernel.tests.control.nodes import serving_on_a_thread
from peerkit._cli.access import Access
from peerkit._cli.folders import default_data_dir
from peerkit._cli.main import run

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Of a running server with the test operations."""
    monkeypatch.setenv("PEERKIT_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    with serving_on_a_thread(tmp_path / "data"):
        yield tmp_path / "data"


@pytest.mark.usefixtures("data_dir")
def test_an_operation_is_a_command(capsys: Capture) -> None:
    assert run(["echo", "hi", "-n", "2", "--loud", "--style", "quoted"]) == 0
    assert capsys.readouterr().out == "“HI HI”\n"


@pytest.mark.usefixtures("data_dir")
def test_a_list_is_a_table(capsys: Capture) -> None:
    assert run(["files", "a.txt", "b"]) == 0
    assert capsys.readouterr().out.splitlines()[0].split() == ["NAME", "SIZE"]
    assert run(["many", "0"]) == 0
    assert capsys.readouterr().out == "no numbers\n"


@pytest.mark.parametrize(
    "words", [["--json", "files", "a.txt"], ["files", "--json", "a.txt"], ["files", "a.txt", "--json"]]
)
def test_json_holds_exactly_the_answer(data_dir: Path, capsys: Capture, words: list[str]) -> None:
    assert run(words) == 0
    here = data_dir.parent
    assert json.loads(capsys.readouterr().out) == [
        {"name": "a.txt", "size_bytes": len(str(here / "a.txt")), "path": str(here / "a.txt")},
        {"name": here.name, "size_bytes": len(str(here)), "path": str(here)},
    ]


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (["fail", "lost"], 3, "nobody has it"),
        (["fail", "denied"], 5, "was denied by denylist"),
        (["fail", "crash"], 1, "its log tells more"),
        (["echo"], 2, "missing argument 'TEXT'; see `peerkit echo --help`"),
        (["echo", "a", "-n", "9"], 2, "echo: times: input should be less than or equal to 5"),
        (["echo", "a", "-n", "x"], 2, "'x' is not a valid integer"),
        (["echo", "a", "--style", "wild"], 2, "'wild' is not one of"),
        (["ekko"], 2, "no such command 'ekko'"),
        (["echo", "a", "--lout"], 2, "no such option"),
        (["fail", "lost", "--data-dir"], 2, "requires an argument"),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.usefixtures("data_dir")
def test_an_error_is_one_sentence_and_a_status(
    capsys: Capture, words: list[str], status: int, sentence: str, as_json: bool
) -> None:
    assert run(["--json", *words] if as_json else words) == status
    out, err = capsys.readouterr()
    assert out == ""
    # A crash is logged by the node, which runs on a thread of this process.
    line = err.splitlines()[-1]
    if as_json:
        error = json.loads(line)["error"]
        assert error["exit_status"] == status
        line = f"peerkit: {error['message']}"
    assert line.startswith("peerkit: ")
    assert sentence.lower() in line.lower()


@pytest.mark.usefixtures("data_dir")
def test_help_lists_the_operations_by_their_owner(capsys: Capture) -> None:
    assert run(["--help"]) == 0
    out = capsys.readouterr().out
    assert "Test:\n" in out
    assert "  fail lost" in out
    assert "up " in out
    assert run(["echo", "--help"]) == 0
    out = capsys.readouterr().out
    assert "--times" in out
    assert "[default: 1]" in out
    assert out.count("Say a text again.") == 1


@pytest.mark.usefixtures("data_dir")
def test_a_group_without_a_command_shows_its_commands(capsys: Capture) -> None:
    assert run(["fail"]) == 2
    assert "lost" in capsys.readouterr().err


def test_the_data_directory_is_told_by_words_before_the_environment() -> None:
    def data_dir_of(words: list[str], environ: dict[str, str]) -> tuple[str, bool]:
        access = Access.from_words(words, environ)
        return access.data_dir, access.data_dir_is_default

    environ = {"PEERKIT_DATA_DIR": "/env"}
    assert data_dir_of(["status"], environ) == ("/env", False)
    assert data_dir_of(["--data-dir", "/a", "status"], environ) == ("/a", False)
    assert data_dir_of(["status", "--data-dir=/b"], environ) == ("/b", False)
    assert data_dir_of(["search", "--", "--data-dir", "/c"], environ) == ("/env", False)
    assert data_dir_of([], {}) == (default_data_dir(), True)


def test_settings_are_collected_wherever_they_stand() -> None:
    access = Access.from_words(["--set", "a=1", "up", "--set=b=2", "--profile", "x.toml"], {})
    assert (access.profile, access.sets) == ("x.toml", ("a=1", "b=2"))


def test_a_relative_xdg_directory_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    assert default_data_dir() == "/home/ann/.local/share/peerkit"
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert default_data_dir() == "/data/peerkit"
