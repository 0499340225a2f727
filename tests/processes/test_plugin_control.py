"""Plugins changed on the command line, and one that holds the event loop: a real node, its commands, its end."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kernel.tests.host.distributions import install, module
from peerkit.client import SyncClient
from peerkit.errors import EndpointClosed, UsageError
from tests.processes.test_command_line import PROFILE, TIMEOUT_S, peerkit

pytestmark = pytest.mark.integration

SLEEPY = """
import time
from peerkit.operation import Model, Nothing, Operation
from peerkit.plugin import PluginSpec, Settings, hookimpl

class SleepySettings(Settings):
    pause_s: float = 0.0

class Slept(Model):
    pause_s: float

class Sleepy:
    def __init__(self, ctx):
        self.ctx = ctx

    @hookimpl
    def peerkit_register_operations(self):
        return [Operation("sleepy", Nothing, Slept, self.sleep, summary="Sleep on the loop")]

    async def sleep(self, request, call):
        pause_s = self.ctx.settings.pause_s
        hold_the_loop(pause_s)
        return Slept(pause_s=pause_s)

def hold_the_loop(pause_s):
    time.sleep(pause_s)

plugin = PluginSpec(SleepySettings, Sleepy)
"""


@dataclass
class Napping:
    """A node with the plugin `sleepy`."""

    process: subprocess.Popen[str]
    data_dir: Path

    def ask(self, operation: str, **arguments: Any) -> Any:
        with SyncClient.connect(self.data_dir) as client:
            return client.call(operation, **arguments)

    def run(self, *words: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        return peerkit(*words, data_dir=self.data_dir, status=status)


@contextmanager
def sleepy_node(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Napping]:
    """The plugin's module bears another name; the node ends when its loop stands still for 5 s."""
    site = folder / "site"
    module(site, "acme_naps", SLEEPY)
    install(site, "acme-naps", {"peerkit": {"sleepy": "acme_naps:plugin"}})
    monkeypatch.setenv("PYTHONPATH", str(site))
    profile = folder / "profile.toml"
    profile.write_text(PROFILE + 'enable = ["sleepy"]\nhang_exit_s = 5\n')
    data_dir, errors = folder / "node", folder / "errors"
    command = [sys.executable, "-m", "peerkit", "up", "--data-dir", str(data_dir), "--profile", str(profile)]
    with (
        errors.open("w") as stderr,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("ready ")
            yield Napping(process, data_dir)
        finally:
            process.kill()


def test_plugins_are_changed_by_command_and_one_that_hangs_is_named_and_ends_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sleepy_node(tmp_path, monkeypatch) as node:
        assert node.ask("sleepy") == {"pause_s": 0.0}
        (off,) = node.ask("plugins.disable", names=["sleepy"])
        assert off["text"] == "sleepy is off until the node stops; then the profile counts"
        with pytest.raises(UsageError, match="this node has no operation 'sleepy'"):
            node.ask("sleepy")
        assert "it was switched off; `peerkit plugins enable sleepy` starts it again" in node.run("plugins").stdout
        assert "runs until the node stops" in node.ask("plugins.enable", name="sleepy")["text"]
        refused = node.run("plugins", "restart", "sleepy", "--set", "pause_s=long", status=2)
        assert "plugins.sleepy.pause_s" in refused.stderr
        node.run("plugins", "restart", "sleepy", "--set", "pause_s=0.01")
        assert node.ask("sleepy") == {"pause_s": 0.01}
        with pytest.raises(UsageError, match="restart the node"):
            node.ask("plugins.disable", names=["transport_tcp"])

        details = next(row for row in node.ask("plugins", verbose=True) if row["name"] == "sleepy")
        assert (details["calls"], details["errors"], details["longest"]) == (2, 0, "operation sleepy")
        assert details["held_s"] >= details["longest_s"] >= 0.01
        told = node.run("plugins", "--verbose").stdout
        assert "Held the loop" in told
        assert "tasks=" in told

        node.ask("plugins.restart", name="sleepy", set=["pause_s=60"])
        with pytest.raises(EndpointClosed):
            node.ask("sleepy")
        assert node.process.wait(TIMEOUT_S) == 70
        log = (tmp_path / "errors").read_text()
        assert "blocked by plugin sleepy (operation sleepy)" in log
        assert "in hold_the_loop" in log
        assert "the process ends" in log
