from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field, SecretStr

from peerkit._config.problems import validate
from peerkit.plugin import Settings


class Inner(Settings):
    port: int = Field(0, ge=0, le=65535)


class Model(Settings):
    port: int = Field(0, ge=0, le=65535)
    ratio: Annotated[float, Field(gt=0, le=1)] = 0.5
    interval_s: float = Field(1.0, gt=0)
    maximum: int | None = Field(None, ge=1, le=9)
    mode: Literal["fast", "safe"] = "safe"
    names: tuple[str, ...] = ()
    inner: Inner = Inner()
    many: tuple[Inner, ...] = ()
    flag: bool = False
    path: Path | None = None
    token: SecretStr | None = Field(None, min_length=8)


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"port": 70000}, "plugins.x.port: 70000 is not in 0..65535"),
        ({"port": -1}, "plugins.x.port: -1 is not in 0..65535"),
        ({"port": "abc"}, "plugins.x.port: 'abc' is not a whole number"),
        ({"port": 1.5}, "plugins.x.port: 1.5 is not a whole number"),
        ({"ratio": 0}, "plugins.x.ratio: 0 is not above 0 and at most 1"),
        ({"interval_s": -2}, "plugins.x.interval_s: -2 is not above 0.0"),
        ({"maximum": 10}, "plugins.x.maximum: 10 is not in 1..9"),
        ({"mode": "quick"}, "plugins.x.mode: 'quick' is not 'fast' or 'safe'"),
        ({"names": "a"}, "plugins.x.names: 'a' is not a list"),
        ({"names": ["a", 3]}, "plugins.x.names[1]: 3 is not a text"),
        ({"inner": {"port": -1}}, "plugins.x.inner.port: -1 is not in 0..65535"),
        ({"inner": {"prt": 1}}, "plugins.x.inner.prt: there is no such setting; did you mean port?"),
        ({"inner": 3}, "plugins.x.inner: 3 is not a table"),
        ({"many": [{}, {"port": 70000}]}, "plugins.x.many[1].port: 70000 is not in 0..65535"),
        ({"flag": "maybe"}, "plugins.x.flag: 'maybe' is not true or false"),
        ({"prot": 1}, "plugins.x.prot: there is no such setting; did you mean port?"),
        ({"zzzzz": 1}, "plugins.x.zzzzz: there is no such setting"),
        ({"path": 3}, "plugins.x.path: 3 is not a path"),
    ],
)
def test_sentence_names_path_value_and_what_is_allowed(table: dict[str, object], sentence: str) -> None:
    settings, problems = validate(Model, table, "plugins.x")
    assert settings is None
    assert problems == [sentence]


def test_every_problem_is_told() -> None:
    _, problems = validate(Model, {"port": -1, "mode": 1, "prot": 2, "inner": {"port": -1}}, "plugins.x")
    assert len(problems) == 4


def test_secret_is_not_shown() -> None:
    _, problems = validate(Model, {"token": "hunter2"}, "plugins.x")
    assert len(problems) == 1
    assert problems[0].startswith("plugins.x.token: ")
    assert "hunter2" not in problems[0]


def test_long_value_is_cut() -> None:
    _, problems = validate(Model, {"port": "9" * 5_000 + "x"}, "plugins.x")
    assert len(problems[0]) < 200


def test_good_settings_are_frozen() -> None:
    settings, problems = validate(Model, {"port": 1, "names": ["a"]}, "plugins.x")
    assert problems == []
    assert isinstance(settings, Model)
    assert settings.names == ("a",)
