"""The command tree: a command for each operation of the catalogue, dotted names as sub-commands, and the few commands
that are the command line's own (`up`, `demo`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import click

from .._control.wire import Json, Progress
from . import output
from .access import OFFLINE, Access, Entry
from .arguments import arguments_of, parameters_of
from .progress_view import ProgressView


@dataclass
class Options:
    """What the options before and after the command said together."""

    access: Access
    as_json: bool = False


def common_options(starts_node: bool = False) -> list[click.Parameter]:
    """Accepted before and after the command.

    Args:
        starts_node: with the options of a command that may start a node.
    """

    def note_json(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
        if value:
            ctx.ensure_object(Options).as_json = True

    options: list[click.Parameter] = [
        click.Option(
            ["as_json", "--json"],
            is_flag=True,
            expose_value=False,
            callback=note_json,
            help="JSON on standard output; an error is a line of JSON on standard error.",
        ),
        # This and those below are read by `Access.from_words`, before any command is known; here for --help.
        click.Option(
            ["--data-dir"], metavar="PATH", expose_value=False, help="The node's directory, else PEERKIT_DATA_DIR."
        ),
    ]
    if starts_node:
        options += [
            click.Option(
                ["--profile"],
                metavar="NAME",
                expose_value=False,
                help="Preset or file of the node that starts.",
            ),
            click.Option(
                ["sets", "--set"],
                metavar="KEY=VALUE",
                multiple=True,
                expose_value=False,
                help="A setting of the node that starts, node.listen=[] for one.",
            ),
        ]
    return options


class OperationsGroup(click.Group):
    """The root: its own commands, and those of the catalogue, which is fetched only when it is needed."""

    def __init__(self, own: dict[str, click.Command], params: list[click.Parameter]) -> None:
        super().__init__("peerkit", params=params, commands=own, help=ROOT_HELP, no_args_is_help=True)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *self._tree(ctx).commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Raises what is wrong with the profile or a plugin, when that may be why there is no such command."""
        command = super().get_command(ctx, cmd_name) or self._tree(ctx).commands.get(cmd_name)
        error = ctx.ensure_object(Options).access.build_error
        if command is None and error is not None:
            raise error
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One section for each plugin that brings commands."""
        access = ctx.ensure_object(Options).access
        sections: dict[str, list[tuple[str, str]]] = {"Commands": []}
        for name, command in self.commands.items():
            sections["Commands"].append((name, command.get_short_help_str(90)))
        for entry in access.catalogue:
            section = "Node" if entry["owner"] == "kernel" else str(entry["owner"]).replace("_", " ").capitalize()
            sections.setdefault(section, []).append((str(entry["name"]).replace(".", " "), str(entry["summary"])))
        for title, rows in sections.items():
            with formatter.section(title):
                formatter.write_dl(rows)
        if access.build_error is not None:
            formatter.write_paragraph()
            formatter.write_text(f"The plugins' commands are missing: {access.build_error}")

    def _tree(self, ctx: click.Context) -> click.Group:
        options = ctx.ensure_object(Options)
        found = ctx.meta.get("peerkit.tree")
        if not isinstance(found, click.Group):
            found = ctx.meta["peerkit.tree"] = build_tree(options.access.catalogue)
        return found


ROOT_HELP = """Run a peer-to-peer node, and ask it for things.

Exit status: 0 done, 1 failed, 2 usage, 3 not found, 4 verification failed, 5 denied by a policy, 6 no node running.
"""


def build_tree(entries: Sequence[Entry]) -> click.Group:
    """Nested groups from dotted names.  An operation that has others below it is what its group does by itself."""
    root = click.Group()
    for entry in sorted(entries, key=lambda e: str(e["name"])):  # `routines` comes before `routines.start`
        *path, leaf = str(entry["name"]).split(".")
        group = root
        for step in path:
            below = group.commands.get(step)
            if not isinstance(below, click.Group):
                below = _as_group(step, below)
                group.add_command(below)
            group = below
        group.add_command(_command(leaf, entry))
    return root


def _as_group(name: str, command: click.Command | None) -> click.Group:
    if command is None:
        return click.Group(name, no_args_is_help=True)
    return click.Group(
        name,
        params=command.params,
        callback=command.callback,
        help=command.help,
        short_help=command.short_help,
        invoke_without_command=True,
    )


def _command(name: str, entry: Entry) -> click.Command:
    summary, more = str(entry.get("summary") or ""), str(entry.get("help") or "")
    starts_node = bool(entry.get("one_shot")) or entry["name"] in OFFLINE
    return click.Command(
        name.replace("_", "-"),
        params=[*parameters_of(entry), *common_options(starts_node)],
        callback=_runner(entry),
        help="\n\n".join(dict.fromkeys(_with_point(text) for text in (summary, more) if text)),
        short_help=summary,
    )


def _with_point(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else text + "."


def _runner(entry: Entry) -> Callable[..., None]:
    @click.pass_context
    def run(ctx: click.Context, /, **_values: object) -> None:
        if ctx.invoked_subcommand is not None:
            return
        options = ctx.ensure_object(Options)
        run_operation(options, entry, arguments_of(entry, ctx))

    return run


def run_operation(options: Options, entry: Entry, args: dict[str, object]) -> None:
    """Run it, show how far it is, show its answer."""
    view = ProgressView(str(entry["name"]).replace(".", " "), plain_lines=not options.as_json)
    streamed = 0

    def on_progress(progress: Progress) -> None:
        view.show(progress)

    def on_item(item: Json) -> None:
        nonlocal streamed
        streamed += 1
        output.show_item(entry, item, options.as_json)

    try:
        answer = options.access.run(entry, args, on_progress, on_item if output.is_stream(entry) else None)
    finally:
        view.close()
    if not streamed:
        if options.as_json and output.is_stream(entry) and isinstance(answer, list):
            for item in answer:
                output.show_item(entry, item, as_json=True)
        else:
            output.show_answer(entry, answer, options.as_json)
