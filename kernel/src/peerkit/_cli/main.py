"""The command's frame: reads the words, runs the command, turns every end into an exit status.

An error is one sentence on standard error, never a traceback, unless `PEERKIT_DEBUG=1`.
"""

import os
import sys
from types import TracebackType

import click

from ..errors import PeerkitError, UsageError
from . import output, render
from .access import Access
from .commands import OperationsGroup, Options, common_options

# As `new_plugin.KINDS`.
PLUGIN_KINDS = ("protocol", "discovery", "transport", "trust_policy", "routine", "wrapper", "capability")
INTERRUPTED = 130  # 128 + SIGINT, as shells do


def run(words: list[str] | None = None) -> int:
    """Run one command line; returns its exit status."""
    words = sys.argv[1:] if words is None else words
    output.use_safe_streams()
    options = Options(Access.from_words(words, os.environ), as_json="--json" in words)
    try:
        result = root().main(words, "peerkit", standalone_mode=False, obj=options)
        return result if isinstance(result, int) else 0
    except click.exceptions.NoArgsIsHelpError as exc:  # its text is the help, written to standard error
        exc.show()
        return UsageError.exit_status
    except click.ClickException as exc:
        return output.show_error(UsageError(_usage_sentence(exc)), options.as_json)
    except PeerkitError as exc:
        if os.environ.get("PEERKIT_DEBUG") == "1":
            raise
        return output.show_error(exc, options.as_json)
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:
        output.forget_stdout()
        return 1
    finally:
        options.access.close()


def tell_bug(kind: type[BaseException], error: BaseException, _traceback: TracebackType | None) -> None:
    """What ends up here is our own mistake; the exit status is 1."""
    text = render.safe(f"{kind.__name__}: {error}")
    click.echo(f"peerkit: a bug in Peerkit: {text}; run again with PEERKIT_DEBUG=1 to see where", err=True)


def _usage_sentence(error: click.ClickException) -> str:
    message = error.format_message().rstrip(".")
    message = message[:1].lower() + message[1:]
    ctx = getattr(error, "ctx", None)
    return f"{message}; see `{ctx.command_path} --help`" if ctx is not None else message


def root() -> OperationsGroup:
    """The root command with those that are the command line's own."""
    version = click.Option(
        ["--version"], is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Show the version."
    )
    own = {command.name or "": command for command in (_up(), _demo(), _new_plugin())}
    return OperationsGroup(own, [*common_options(), version])


def _show_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        from .. import __version__

        click.echo(f"peerkit {__version__}")
        ctx.exit()


def _import_little() -> None:
    """Keep a node's libraries from looking for what it has no use for: structlog imports rich (70 modules) for its own
    console, pydantic reads what every installed distribution says about plugins."""
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    if "rich" not in sys.modules:
        sys.modules["rich"] = None  # type: ignore[assignment]
        try:
            import structlog  # noqa: F401
        finally:
            del sys.modules["rich"]


def _up() -> click.Command:
    @click.pass_context
    def up(ctx: click.Context) -> int:
        _import_little()
        from .up import run_node

        options = ctx.ensure_object(Options)
        return run_node(options.access, options.as_json)

    return click.Command(
        "up",
        params=common_options(starts_node=True),
        callback=up,
        short_help="Run a node until SIGTERM or Ctrl-C.",
        help="Run a node until SIGTERM or Ctrl-C.\n\n"
        "When it is ready it prints one line: `ready`, its peer id, and the addresses where it listens.",
    )


def _demo() -> click.Command:
    def demo(keep: bool, nodes: int) -> int:
        from .demo import run as run_demo

        return run_demo(keep, nodes)

    return click.Command(
        "demo",
        params=[
            click.Option(["--keep"], is_flag=True, help="Leave the network running and say how to talk to it."),
            click.Option(
                ["--nodes"], type=click.IntRange(2, 64), default=12, show_default=True, help="How many nodes."
            ),
        ],
        callback=demo,
        short_help="Watch a network of real nodes find, search and fetch.",
        help="Start nodes as separate processes, share real files, search and fetch them.",
    )


def _new_plugin() -> click.Command:
    def new_plugin(name: str, kind: str, into: str) -> None:
        from pathlib import Path

        from .new_plugin import write_plugin

        folder = write_plugin(name, kind, Path(into))
        click.echo(f"{folder} is a plugin of kind {kind}.  Next:\n")
        click.echo(f"  cd {folder}\n  pip install -e '.[test]'\n  python -m pytest\n  peerkit plugins")

    return click.Command(
        "new-plugin",
        callback=new_plugin,
        params=[
            click.Argument(["name"]),
            click.Option(
                ["--kind"],
                type=click.Choice(PLUGIN_KINDS),
                default=PLUGIN_KINDS[0],
                show_default=True,
                help="What it does.",
            ),
            click.Option(["--into"], default=".", metavar="DIR", help="Where its folder is made."),
        ],
        short_help="Begin a plugin of your own.",
        help="Begin a plugin of your own: a package that installs, with tests that pass.",
    )
