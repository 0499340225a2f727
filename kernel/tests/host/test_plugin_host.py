import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

from kernel.tests.host.hosting import Context, host_of, load, spec, token
from peerkit._config.profile import resolve
from peerkit._host.plugin_host import CLOSE_S, START_S, PluginHost
from peerkit.errors import ConfigError, LocalProtocolError, PluginLoadError, Unavailable
from peerkit.event import DialFailed, PluginFailed
from peerkit.plugin import PluginSpec, Settings
from peerkit.testing import run

STORE = token("test.store/1")
MANY = token("test.many/1", many=True)


class Store:
    """Provides a capability; its run fails as often as told."""

    failures = 0

    def __init__(self, ctx: Context) -> None:
        ctx.provide(STORE, self)
        self.ctx = ctx

    def get(self) -> str:
        return f"from {self.ctx.name}"


class Reader:
    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.store: Any = ctx.require(STORE)


def plugin(host: PluginHost, name: str) -> Any:
    return next(built.obj for built in host._built if built.name == name)


def test_capability_reaches_its_requirer_which_is_built_later() -> None:
    async def main() -> None:
        it = load(host_of({"a_reader": spec(Reader, requires=[STORE]), "z_store": spec(Store, [STORE])}))
        assert plugin(it.host, "a_reader").store.get() == "from z_store"
        assert plugin(it.host, "a_reader").ctx.find(STORE).get() == "from z_store"

    run(main())


def test_kernels_own_capability_is_handed_out_as_it_is() -> None:
    async def main() -> None:
        kernel_object = object()

        class Asks:
            def __init__(self, ctx: Context) -> None:
                self.got = ctx.require(token("peerkit.dialer/1"))

        host = host_of({"p": spec(Asks, requires=[token("peerkit.dialer/1")])})
        it = load(host, kernel={"peerkit.dialer/1": kernel_object})
        assert plugin(it.host, "p").got is kernel_object

    run(main())


def test_all_providers_come_by_name_and_require_wants_one() -> None:
    async def main() -> None:
        class Provides:
            def __init__(self, ctx: Context) -> None:
                self.name = ctx.name
                ctx.provide(MANY, self)

        class Asks:
            def __init__(self, ctx: Context) -> None:
                self.got = [provider.name for provider in ctx.require_all(MANY)]
                with pytest.raises(LocalProtocolError, match="a and b provide it: use require_all"):
                    ctx.require(MANY)

        plugins = {"b": spec(Provides, [MANY]), "a": spec(Provides, [MANY]), "c": spec(Asks, requires=[MANY])}
        it = load(host_of(plugins))
        assert plugin(it.host, "c").got == ["a", "b"]

    run(main())


def test_plugin_is_held_to_what_its_spec_says() -> None:
    async def main() -> None:
        class Sly:
            def __init__(self, ctx: Context) -> None:
                for ask in (ctx.require, ctx.find, ctx.require_all):
                    with pytest.raises(LocalProtocolError, match="its spec does not say so"):
                        ask(STORE)
                with pytest.raises(LocalProtocolError, match="its spec does not say so"):
                    ctx.provide(STORE, self)
                self.ctx = ctx

        it = load(host_of({"p": spec(Sly)}))
        with pytest.raises(LocalProtocolError, match="only in its factory"):
            plugin(it.host, "p").ctx.provide(STORE, object())
        with pytest.raises(PluginLoadError, match=r"does not provide test\.store/1, but its spec says so"):
            load(host_of({"p": spec(lambda ctx: ctx, [STORE])}))

    run(main())


def test_factories_that_fail_are_all_told_and_so_are_those_that_needed_them() -> None:
    async def main() -> None:
        def broken(ctx: Context) -> object:
            raise OSError(f"no disk for {ctx.name}")

        plugins = {
            "store": spec(broken, [STORE]),
            "reader": spec(Reader, requires=[STORE]),
            "other": spec(broken),
            "fine": spec(lambda _: object()),
        }
        host = host_of(plugins)
        with pytest.raises(PluginLoadError) as caught:
            load(host)
        assert sorted(caught.value.problems) == [
            "plugin other failed to start: OSError: no disk for other",
            "plugin reader needs test.store/1 of store, which failed",
            "plugin store failed to start: OSError: no disk for store",
        ]
        rows = {row.name: row for row in host.status()}
        assert "no disk" in rows["store"].error
        assert not rows["store"].running

    run(main())


def test_everything_wrong_is_told_before_anything_is_built() -> None:
    class Ported(Settings):
        port: int = Field(0, ge=0, le=65535)

    built: list[str] = []
    given = {
        "a": PluginSpec(Ported, lambda ctx: built.append(ctx.name)),
        "b": spec(lambda ctx: built.append(ctx.name), requires=[STORE]),
    }
    profile = {
        "node": {"enable": ["nope"], "disable": ["searhc"], "netwrk": "x"},
        "plugins": {"a": {"port": 70000}, "bb": {}},
    }
    with pytest.raises(PluginLoadError) as caught:
        PluginHost(resolve(profile), given)
    told = "\n".join(caught.value.problems)
    for sentence in (
        "plugin nope is enabled but not installed: install peerkit-nope",
        "b requires test.store/1, which no enabled plugin provides",
        "node.netwrk: there is no such setting; did you mean network?",
        "node.disable: there is no plugin 'searhc' (profile); did you mean search?",
        "plugins.a.port: 70000 is not in 0..65535",
    ):
        assert sentence in told
    assert built == []


def test_only_wrong_settings_are_a_config_error_and_unknown_tables_are_named() -> None:
    with pytest.raises(ConfigError) as caught:
        PluginHost(resolve({"plugins": {"reeder": {"x": 1}, "reader": {"y": 1}}}), {"reader": spec(lambda _: None)})
    assert sorted(caught.value.problems) == [
        "plugins.reader.y: there is no such setting",
        "plugins.reeder: no plugin of that name is installed; did you mean reader?",
    ]


def test_settings_of_an_installed_but_disabled_plugin_do_no_harm() -> None:
    PluginHost(resolve({"plugins": {"search": {"whatever": 1}}}))


def test_plugin_with_a_broken_validator_is_a_sentence() -> None:
    class Odd(Settings):
        def model_post_init(self, context: object, /) -> None:
            raise KeyError("odd")

    with pytest.raises(ConfigError, match=r"plugins\.p: the plugin failed to check its settings: KeyError: 'odd'"):
        PluginHost(resolve({}), {"p": PluginSpec(Odd, lambda _: None)})


def test_given_plugin_stands_in_for_an_installed_one_and_can_be_disabled() -> None:
    host = PluginHost(resolve({"node": {"disable": ["mine"]}}), {"mine": spec(Store), "search": spec(lambda _: None)})
    rows = {row.name: row for row in host.status()}
    assert "mine" not in rows
    assert (rows["search"].enabled, rows["search"].distribution) == (True, "")


def test_explanation_reaches_into_plugins() -> None:
    class Sized(Settings):
        size: int = 3
        name: str = "x"

    host = PluginHost(resolve({"plugins": {"p": {"size": 4}}}), {"p": PluginSpec(Sized, lambda _: None)})
    lines = {line.key: (line.value, line.layer) for line in host.explain()}
    assert lines["plugins.p.size"] == (4, "profile")
    assert lines["plugins.p.name"] == ("x", "default")


def test_failing_run_is_restarted_alone_and_its_capability_is_unavailable_meanwhile() -> None:
    async def main() -> None:
        class Flaky(Store):
            async def run(self) -> None:
                type(self).failures += 1
                if self.failures == 1:
                    await asyncio.sleep(1)
                    raise OSError("no disk")
                await asyncio.sleep(1e6)

        Flaky.failures = 0
        ticks = []

        class Ticks:
            def __init__(self, ctx: Context) -> None:
                self.ctx = ctx

            async def run(self) -> None:
                while True:
                    await asyncio.sleep(0.1)
                    ticks.append(self.ctx.clock.now())

        plugins = {"store": spec(Flaky, [STORE]), "reader": spec(Reader, requires=[STORE]), "ticks": spec(Ticks)}
        it = load(host_of(plugins))
        store = plugin(it.host, "reader").store
        assert store.get() == "from store", "before the runs start it is there"
        it.host.start_runs()
        await asyncio.sleep(1.5)
        with pytest.raises(
            Unavailable, match=r"test\.store/1 is not available now: plugin store failed: OSError: no disk"
        ):
            store.get()
        rows = {row.name: row for row in it.host.status()}
        assert (rows["store"].running, rows["store"].error) == (False, "OSError: no disk")
        assert rows["ticks"].running
        await asyncio.sleep(10)
        assert store.get() == "from store"
        assert {row.name: row.error for row in it.host.status()}["store"] == ""
        failed = [e.event for e in it.services.events.recent() if isinstance(e.event, PluginFailed)]
        assert [e.plugin for e in failed] == ["store"]
        assert 110 <= len(ticks) <= 116
        await it.host.close()

    run(main())


def test_start_is_awaited_in_order_and_every_failure_is_told() -> None:
    async def main() -> None:
        order: list[str] = []

        class Slow(Store):
            async def start(self) -> None:
                await asyncio.sleep(3)
                order.append("store")

        class After(Reader):
            async def start(self) -> None:
                order.append("reader")

        it = load(host_of({"a": spec(After, requires=[STORE]), "z": spec(Slow, [STORE])}))
        await it.host.start()
        assert order == ["store", "reader"]

        class Bad:
            def __init__(self, ctx: Context) -> None:
                self.name = ctx.name

            async def start(self) -> None:
                if self.name == "hangs":
                    await asyncio.sleep(1e6)
                raise OSError("damaged")

        it = load(host_of({"hangs": spec(Bad), "raises": spec(Bad)}))
        with pytest.raises(PluginLoadError) as caught:
            await it.host.start()
        assert caught.value.problems == (
            f"plugin hangs: its start took longer than {START_S:g} s",
            "plugin raises failed to start: OSError: damaged",
        )

    run(main())


def test_close_goes_backwards_and_gives_up_on_one_that_hangs() -> None:
    async def main() -> None:
        order: list[str] = []

        class Closes(Store):
            async def run(self) -> None:
                try:
                    await asyncio.sleep(1e6)
                finally:
                    order.append("store run ended")

            async def close(self) -> None:
                order.append("store closed")

        class Hangs(Reader):
            async def close(self) -> None:
                order.append("reader closing")
                await asyncio.sleep(1e6)

        class Raises:
            def __init__(self, ctx: Context) -> None:
                self.ctx = ctx
                self.cancel = ctx.call_later(100, lambda: order.append("late timer"))

            async def close(self) -> None:
                raise KeyError

        plugins = {"a": spec(Closes, [STORE]), "b": spec(Hangs, requires=[STORE]), "c": spec(Raises)}
        it = load(host_of(plugins))
        it.host.start_runs()
        plugin(it.host, "c").ctx.spawn(asyncio.sleep(1e6), "left over")
        await asyncio.sleep(1)
        began = it.services.platform.clock.now()
        await it.host.close()
        await it.host.close()
        assert it.services.platform.clock.now() - began == pytest.approx(CLOSE_S)
        assert order == ["reader closing", "store run ended", "store closed"]
        assert it.services.supervisor.counts() == {}
        await asyncio.sleep(200)
        assert "late timer" not in order

    run(main())


def test_context_gives_the_plugin_its_own_corner_of_the_node(tmp_path: Path) -> None:
    async def main() -> None:
        it = load(host_of({"corner": spec(lambda ctx: Holder(ctx))}), tmp_path)
        ctx: Context = plugin(it.host, "corner").ctx
        assert not (tmp_path / "plugins").exists(), "a plugin that keeps nothing leaves no folder"
        assert ctx.data_dir == tmp_path / "plugins" / "corner"
        assert ctx.data_dir.stat().st_mode & 0o777 == 0o700
        assert ctx.name == "corner"
        assert ctx.sign("test", b"body").body == b"body"
        database = await ctx.open_database("things", ("CREATE TABLE t (n INTEGER)",))
        await database.run(lambda cursor: cursor.execute("INSERT INTO t VALUES (1)"))
        for wrong in ("../x", "", "A", "x" * 99):
            with pytest.raises(LocalProtocolError, match="is not a name for a database"):
                await ctx.open_database(wrong, ())
        seen = ctx.subscribe(DialFailed)
        ctx.emit(DialFailed("tcp://192.0.2.1:1", "refused"))
        assert (await anext(seen)).reason == "refused"
        fired: list[int] = []
        ctx.call_later(1, lambda: fired.append(1))
        ctx.call_later(1, lambda: fired.append(2))()
        await asyncio.sleep(2)
        assert fired == [1], "the second was cancelled"

    class Holder:
        def __init__(self, ctx: Context) -> None:
            self.ctx = ctx

    run(main())
