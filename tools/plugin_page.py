"""Writes the examples of `docs/writing-a-plugin.md`: each is a file that `peerkit new-plugin` makes, whose tests run.

A comment above a block names the kind, the plugin and the file: `<!-- transport carrier src/carrier/adapter.py -->`.
Run it after a template has changed: `.venv/bin/python tools/plugin_page.py`.
"""

import re
import tempfile
from pathlib import Path

from peerkit._cli.new_plugin import write_plugin

PAGE = Path(__file__).resolve().parents[1] / "docs/writing-a-plugin.md"
EXAMPLE = re.compile(r"<!-- (\w+) ([\w-]+) (\S+) -->\n+```(\w+)\n.*?```\n", re.DOTALL)


def filled(page: str) -> str:
    """The page with every example as the command writes it now."""
    with tempfile.TemporaryDirectory() as folder:

        def example(found: re.Match[str]) -> str:
            kind, name, path, language = found.groups()
            if not (Path(folder) / name).exists():
                write_plugin(name, kind, Path(folder))
            text = (Path(folder) / name / path).read_text("utf-8")
            return f"<!-- {kind} {name} {path} -->\n\n```{language}\n{text}```\n"

        return EXAMPLE.sub(example, page)


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text("utf-8")), "utf-8")
