"""Writes answers and errors of commands: for people by the operation's view, or as JSON.

With `--json` standard output holds exactly the answer's keys (a stream: one object a line), and an error is one line of
JSON on standard error: `{"error": {"code", "message", "details", "exit_status"}}`.
"""

import json
import os
import shutil
import sys

import click

from .._control.wire import Json
from ..errors import PeerkitError
from . import render
from .access import Entry


def show_answer(entry: Entry, answer: Json, as_json: bool) -> None:
    """Write a whole answer."""
    if as_json:
        show_json(answer)
        return
    view = _view(entry)
    columns = columns_of(entry)
    rows = answer if isinstance(answer, list) else [answer]
    kind = view.get("kind")
    if kind == "lines" or (kind == "none" and not view.get("done")):
        for row in rows if kind == "lines" else ():
            click.echo(render.one_line(row, columns or render.columns_of(rows)))
    elif (details := columns_of(entry, "details")) and rows and _has(rows[0], details[-1].key):
        for row in rows:
            for line in (*render.fields(row, details), ""):
                click.echo(line)
    elif kind == "table" and rows:
        cells = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        heading, *lines = render.table(rows, columns or render.columns_of(rows), cells)
        click.secho(heading, bold=True)
        for line in lines:
            click.echo(line)
    elif kind == "fields":
        for line in render.fields(answer, columns or render.columns_of(rows)):
            click.echo(line)
    if isinstance(answer, list) and not answer:
        if view.get("empty"):
            click.echo(str(view["empty"]))
    elif view.get("done"):
        click.echo(render.sentence(str(view["done"]), answer))


def show_item(entry: Entry, item: Json, as_json: bool) -> None:
    """Write one part of an answer as it comes."""
    if as_json:
        show_line(item)
    else:
        click.echo(render.one_line(item, columns_of(entry) or render.columns_of([item])))


def is_stream(entry: Entry) -> bool:
    """Whether items are shown as they come, not at the end."""
    return bool(entry.get("many")) and _view(entry).get("kind") == "lines"


def show_line(value: Json) -> None:
    """One line of JSON."""
    click.echo(json.dumps(value, ensure_ascii=False))


def show_json(value: Json) -> None:
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def show_error(error: PeerkitError, as_json: bool) -> int:
    """Write an error in one line, or a line for each of its problems; returns the exit status."""
    if as_json:
        described = {
            "code": error.code,
            "message": error.message,
            "details": error.details(),
            "exit_status": error.exit_status,
        }
        click.echo(json.dumps({"error": described}, ensure_ascii=False, default=str), err=True)
        return error.exit_status
    problems: object = getattr(error, "problems", ())
    if isinstance(problems, tuple) and len(problems) > 1:
        click.echo(f"peerkit: {error.message.partition(': ')[0]}:", err=True)
        for problem in problems:
            click.echo(f"  {render.safe(str(problem))}", err=True)
    else:
        click.echo(f"peerkit: {render.safe(error.message)}", err=True)
    return error.exit_status


def use_safe_streams() -> None:
    """What the terminal's encoding cannot hold is escaped, never an error."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def forget_stdout() -> None:
    """After a broken pipe: keep Python from complaining when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _has(row: Json, key: str) -> bool:
    return isinstance(row, dict) and key in row


def columns_of(entry: Entry, which: str = "columns") -> list[render.ColumnView]:
    columns = _view(entry).get(which)
    return [
        render.ColumnView(str(c["key"]), str(c["title"]), str(c.get("format") or "text"))
        for c in (columns if isinstance(columns, list) else [])
        if isinstance(c, dict)
    ]


def _view(entry: Entry) -> Entry:
    view = entry.get("view")
    return view if isinstance(view, dict) else {}
