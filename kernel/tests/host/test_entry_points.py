import sys
from pathlib import Path

import pytest

from kernel.tests.host.distributions import install, module
from peerkit._config.profile import resolve
from peerkit._host.entry_points import declared_differently, installed_plugins
from peerkit._host.plugin_host import PluginHost
from peerkit.errors import PluginLoadError
from peerkit.plugin import PluginSpec

ROOT = Path(__file__).parents[3]
OURS = sorted(path.parent.name for path in (ROOT / "plugins").glob("*/pyproject.toml"))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "site"
    path.mkdir()
    monkeypatch.syspath_prepend(str(path))
    return path


def test_metadata_is_read_without_import(site: Path) -> None:
    module(site, "peerkit_bomb", "raise SystemExit('imported')")
    install(
        site,
        "peerkit-bomb",
        {
            "peerkit": {"bomb": "peerkit_bomb:plugin"},
            "peerkit.provides": {"bomb.test.x/1": "peerkit_bomb:X", "bomb.test.y/2": "peerkit_bomb:Y"},
            "peerkit.requires": {"bomb.peerkit.dialer/1": "peerkit.capabilities:DIALER"},
            "peerkit.uses": {"other.test.x/1": "peerkit_bomb:X"},
        },
        "2.5",
        ("peerkit-kernel>=0.1",),
    )
    bomb = installed_plugins()["bomb"]
    assert (bomb.distribution, bomb.version, bomb.requirements) == ("peerkit-bomb", "2.5", ("peerkit-kernel>=0.1",))
    assert (bomb.provides, bomb.requires, bomb.uses) == (("test.x/1", "test.y/2"), ("peerkit.dialer/1",), ())
    rows = {row.name: row for row in PluginHost(resolve({"node": {}})).status()}
    assert (rows["bomb"].enabled, rows["bomb"].running, rows["bomb"].provides) == (
        False,
        False,
        ("test.x/1", "test.y/2"),
    )
    assert "peerkit_bomb" not in sys.modules


def test_plugin_of_two_distributions_is_refused_and_both_are_named(site: Path) -> None:
    for name in ("first", "second"):
        install(site, f"peerkit-{name}", {"peerkit": {"same": f"peerkit_{name}:plugin"}})
    assert installed_plugins()["same"].rivals == ("peerkit-second",)
    with pytest.raises(PluginLoadError, match="same is installed by peerkit-first and peerkit-second"):
        PluginHost(resolve({"node": {"enable": ["same"]}}))


def test_plugin_for_another_kernel_is_refused_before_its_import(site: Path) -> None:
    module(site, "peerkit_bomb", "raise SystemExit('imported')")
    install(site, "peerkit-bomb", {"peerkit": {"bomb": "peerkit_bomb:plugin"}}, requires=("peerkit-kernel>=99",))
    with pytest.raises(PluginLoadError, match=r"bomb: peerkit-bomb 1\.0 needs peerkit-kernel>=99, and this is"):
        PluginHost(resolve({"node": {"enable": ["bomb"]}}))
    assert "peerkit_bomb" not in sys.modules


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("import there_is_no_such_module", r"cannot be imported: ModuleNotFoundError: .*there_is_no_such_module"),
        ("plugin = (", r"cannot be imported: SyntaxError"),
        ("plugin = 3", r"names a int, not a PluginSpec"),
        ("", r"cannot be imported: AttributeError"),
    ],
)
def test_broken_plugin_is_one_sentence(site: Path, source: str, problem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "peerkit_broken", raising=False)
    module(site, "peerkit_broken", source)
    install(site, "peerkit-broken", {"peerkit": {"broken": "peerkit_broken:plugin"}})
    with pytest.raises(PluginLoadError, match=problem) as caught:
        PluginHost(resolve({"node": {"enable": ["broken"]}}))
    assert len(caught.value.problems) == 1
    monkeypatch.delitem(sys.modules, "peerkit_broken", raising=False)


@pytest.mark.parametrize("name", OURS)
def test_our_plugins_declare_what_their_specs_say(name: str) -> None:
    installed = installed_plugins()[name]
    assert installed.distribution == f"peerkit-{name.replace('_', '-')}"
    spec = installed.load()
    assert isinstance(spec, PluginSpec)
    problems = declared_differently(
        installed,
        provides=[c.name for c in spec.provides],
        requires=[c.name for c in spec.requires],
        uses=[c.name for c in spec.uses],
    )
    assert problems == []
