"""Each example runs as its page prints it, in real processes on loopback; what its code promises more, in one."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from peerkit import Node
from peerkit._config.profile import resolve
from peerkit._host.plugin_host import PluginHost
from peerkit.errors import NotFound, RemoteProtocolError
from peerkit.testing import SimNetwork, Swarm, run
from tests.docs.terminal import commands, terminal

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = ("chat", "file_drop", "game_assets")
SIZE = 8 << 20


def module(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(Path(path).stem, EXAMPLES / path)
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.fixture
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A copy of one example's folder: what it writes stays out of the repository."""
    name: str = request.param
    for path in (EXAMPLES / name).rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            copy = tmp_path / name / path.relative_to(EXAMPLES / name)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    return tmp_path / name


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("preset", ["local", "lan", "home"])
def test_a_profile_is_right_with_each_preset_that_its_page_names(name: str, preset: str) -> None:
    (profile,) = (EXAMPLES / name).glob("*.toml")
    own = resolve(profile)
    changed = resolve({"node": {**own.node.model_dump(include={"network"}), "extends": preset}, "plugins": own.plugins})
    PluginHost(own)
    PluginHost(changed)
    assert f"`{preset}`" in profile.read_text() or preset == "local"


@pytest.mark.integration
@pytest.mark.parametrize("folder", ["chat"], indirect=True)
def test_two_people_chat(folder: Path) -> None:
    first, second = commands(folder / "README.md")
    with terminal(folder, first) as ada:
        address = ada.until("--connect (.*)")[1]
        with terminal(folder, [address if word == "ADDRESS" else word for word in second]) as bob:
            ada.until(r"\+ bob is here")
            bob.until(r"\+ ada is here")
            ada.type("is anybody there?")
            bob.until(r"\[lobby\] ada: is anybody there\?")
            bob.type("/join cellar")
            bob.until("you are in cellar")
            ada.type("only for the lobby")
            ada.type("/to bob psst")
            bob.until("ada to you: psst")
            assert not any("only for the lobby" in line for line in bob.shown)
            bob.type("/quit")
            assert bob.end() == 0
        ada.until("- bob left")
        assert ada.interrupt() == 0


def test_a_line_of_the_chat_holds_nothing_that_a_terminal_obeys() -> None:
    chat = module("chat/chat.py")
    assert chat.decode(chat.encode("a\x1b[2J", "x\r\ny\u202e", "r")) == ("a·[2J", "r", "x··y·")
    assert [len(part) for part in chat.decode(chat.encode("n" * 999, "t", "r" * 999))] == [32, 32, 1]
    for wrong in (b"", b"\xff", b"[]", b"{}", b'{"name":1,"room":"","text":""}', b"[" * 4_000):
        with pytest.raises(RemoteProtocolError):
            chat.decode(wrong)


@pytest.mark.integration
@pytest.mark.parametrize("folder", ["file_drop"], indirect=True)
def test_a_file_goes_to_who_has_the_link(folder: Path) -> None:
    give, take = commands(folder / "README.md")
    with terminal(folder, give) as giver:
        link = giver.until("peerkit:.*README.md.*")[0]
        words = [link if word == "LINK" else word for word in take]
        with terminal(folder, words) as taker:
            taker.until(r"copy\.txt: [0-9,]+ bytes from 1 source, verified")
            assert taker.end() == 0
        assert (folder / "copy.txt").read_bytes() == (folder / "README.md").read_bytes()
        assert giver.interrupt() == 0


@pytest.mark.integration
@pytest.mark.parametrize("folder", ["game_assets"], indirect=True)
def test_a_game_is_played_with_assets_of_its_publisher(folder: Path, tmp_path: Path) -> None:
    publish, play = commands(folder / "README.md")
    play = [str(tmp_path / "cache") if word == "/tmp/cave-cache" else word for word in play]

    with terminal(folder, publish) as publisher:
        publisher.until("3 assets")
        with terminal(folder, play) as game:
            game.until("find the way out")
            game.until("^#@   #   #$")
            game.type("ddd")
            game.until("^#   @#   #$")
            game.type("assdddwwddss")
            game.until("^#@#   #>   #$")
            game.type("wwddssddwwdddddssaaa")
            game.until("you are out!")
            assert game.end() == 0
        assert publisher.interrupt() == 0


async def an_asset(swarm: Swarm, tmp_path: Path) -> tuple[Node, Node, dict[str, str], bytes]:
    """A publisher, a player, the index, and what the asset holds."""
    publisher, player = await swarm.start(2)
    data = bytes(range(251)) * (SIZE // 251)
    (tmp_path / "music").write_bytes(data)
    answer: Any = await publisher.call("share", paths=[tmp_path / "music"])
    return publisher, player, {"music": answer[0]["link"]}, data


def test_an_asset_streams_while_the_rest_is_on_its_way(tmp_path: Path) -> None:
    assets = module("game_assets/assets.py")

    async def main() -> None:
        net = SimNetwork(latency_s=(0.02, 0.02), bandwidth_bytes_per_s=1_000_000)
        async with Swarm(net, EXAMPLES / "game_assets/game.toml", data_dir=tmp_path) as swarm:
            _, player, index, data = await an_asset(swarm, tmp_path)
            began_at, came = player.clock.now(), []
            pieces = []
            async for piece in assets.Assets(player, index).stream("music"):
                pieces.append(piece)
                came.append(player.clock.now() - began_at)
            assert b"".join(pieces) == data
            assert came[0] < came[-1] / 3
            with pytest.raises(NotFound, match="no asset named film"):
                await assets.Assets(player, index).load("film")

    run(main(), seed=1)


def test_an_asset_comes_from_the_cache_and_again_from_the_network_when_the_disk_changed_it(tmp_path: Path) -> None:
    assets = module("game_assets/assets.py")

    async def main() -> None:
        net = SimNetwork()
        async with Swarm(net, EXAMPLES / "game_assets/game.toml", data_dir=tmp_path) as swarm:
            publisher, player, index, data = await an_asset(swarm, tmp_path)
            loader = assets.Assets(player, index)
            assert await loader.load("music") == data
            objects = (player.data_dir / "plugins/warehouse/objects").rglob("*")
            (kept,) = (path for path in objects if path.is_file() and path.stat().st_size == len(data))
            kept.chmod(0o600)
            kept.write_bytes(bytes(len(data)))
            assert await loader.load("music") == data
            await swarm.stop(publisher)
            assert await loader.load("music") == data  # nobody else has it now

    run(main(), seed=1)
