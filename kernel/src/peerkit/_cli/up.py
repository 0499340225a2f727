"""`peerkit up`: runs a node until it is told to stop.

Only here are the process's own things configured: signals, logging, the event loop.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from .._config.profile import Resolved
from .._runtime.logging_setup import configure
from .._runtime.watchdog import EXIT_AT_START_S, WARN_AT_START_S, WARN_S, Watchdog
from ..errors import ConfigError
from . import output
from .short_node import open_node, resolve_profile

if TYPE_CHECKING:
    from .access import Access


LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def run_node(access: "Access", as_json: bool) -> int:
    """Run until SIGTERM or SIGINT; a second signal ends the process at once.

    Raises:
        PeerkitError: the node cannot start.
    """
    resolved = resolve_profile(access)
    configure(resolved.node.log_level, as_json=as_json)
    with asyncio.Runner(loop_factory=_loop_factory(resolved)) as runner:
        runner.run(_run(access, as_json, resolved.node.hang_exit_s))
    return 0


async def _run(access: "Access", as_json: bool, hang_exit_s: float) -> None:
    stopped = asyncio.Event()
    _stop_on_signals(stopped)
    watchdog = Watchdog(WARN_AT_START_S, max(EXIT_AT_START_S, hang_exit_s))
    watchdog.start()
    try:
        async with open_node(access, control=True) as node:
            watchdog.warn_s, watchdog.exit_s = min(WARN_S, hang_exit_s), hang_exit_s
            addresses = [str(address) for address in node.addresses]
            if as_json:
                output.show_line({"ready": True, "peer_id": str(node.peer_id), "listen": [*addresses]})
            else:
                click.echo(" ".join(["ready", str(node.peer_id), *addresses]))
            sys.stdout.flush()  # whoever started us may wait for it at the other end of a pipe
            await stopped.wait()
    finally:
        watchdog.stop()


def _stop_on_signals(stopped: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        if stopped.is_set():
            os._exit(1)  # asked twice: the owner does not want to wait for peers to be told
        stopped.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(number, on_signal)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(on_signal))


def _loop_factory(resolved: Resolved) -> LoopFactory | None:
    if resolved.node.loop != "uvloop":
        return None
    try:
        import uvloop
    except ImportError:
        raise ConfigError(
            ['node.loop: "uvloop" is not installed; install peerkit[uvloop] or set it to "asyncio"']
        ) from None
    factory: LoopFactory = uvloop.new_event_loop
    return factory
