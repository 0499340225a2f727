"""Plugins changed on the command line, and one that holds the event loop: a real node, its commands, its end."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kernel.tests.host.distributions import install, module
from tests.processes.test_command_line import PROFILE, TIMEOUT_S, Up

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]

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


@contextmanager
def sleepy_node(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Up]:
    """A node with the plugin `sleepy`, whose module bears another name.  It ends when its loop stands still for 5 s."""
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
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True, env=dict(os.environ)) as process,
    ):
        try:
            assert process.stdout is not None
            ready, peer_id, *addresses = process.stdout.readline().split()
            assert ready == "ready"
            yield Up(process, data_dir, peer_id, addresses)
        finally:
            process.kill()


def test_plugins_are_changed_by_command_and_one_that_hangs_is_named_and_ends_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sleepy_node(tmp_path, monkeypatch) as node:
        assert node.ask("sleepy") == {"pause_s": 0.0}
        (off,) = node.ask("plugins", "disable", "sleepy")
        assert off["text"] == "sleepy is off until the node stops; then the profile counts"
        assert "no such command" in node.run("sleepy", status=2).stderr.lower()
        table = node.run("plugins").stdout
        assert "it was switched off; `peerkit plugins enable sleepy` starts it again" in table
        assert "runs until the node stops" in node.run("plugins", "enable", "sleepy").stdout
        refused = node.run("plugins", "restart", "sleepy", "--set", "pause_s=long", status=2)
        assert "plugins.sleepy.pause_s" in refused.stderr
        node.run("plugins", "restart", "sleepy", "--set", "pause_s=0.01")
        assert node.ask("sleepy") == {"pause_s": 0.01}
        refused = node.run("plugins", "disable", "transport_tcp", status=2)
        assert "restart the node" in refused.stderr

        details = next(row for row in node.ask("plugins", "--verbose") if row["name"] == "sleepy")
        assert (details["calls"], details["errors"], details["longest"]) == (2, 0, "operation sleepy")
        assert details["held_s"] >= details["longest_s"] >= 0.01
        told = node.run("plugins", "--verbose").stdout
        assert "Held the loop" in told
        assert "tasks=" in told

        node.run("plugins", "restart", "sleepy", "--set", "pause_s=60")
        node.run("sleepy", status=1)
        assert node.process.wait(TIMEOUT_S) == 70
        log = (tmp_path / "errors").read_text()
        assert "blocked by plugin sleepy (operation sleepy)" in log
        assert "in hold_the_loop" in log
        assert "the process ends" in log
