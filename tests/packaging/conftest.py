"""Wheels and environments, each made once."""

from pathlib import Path

import pytest

from peerkit._cli.new_plugin import write_plugin
from tests.packaging.wheelhouse import PROJECTS, STRANGERS, build, install, made_once


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Ours, those of somebody else, and one of a plugin that `peerkit new-plugin` began."""

    def make(folder: Path) -> None:
        begun = tmp_path_factory.mktemp("begun")
        build([*PROJECTS, *STRANGERS.iterdir(), write_plugin("greeter", "protocol", begun)], folder)

    return sorted(made_once(tmp_path_factory, "wheels", make).glob("*.whl"))


@pytest.fixture(scope="session")
def environment(wheels: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment in which somebody installed all of them."""
    return made_once(tmp_path_factory, "environment", lambda folder: install(wheels, folder))
