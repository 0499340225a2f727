"""Each example of the page is a file that `peerkit new-plugin` writes, whose tests `kernel/tests/cli` runs."""

from collections import Counter

import pytest

from peerkit._cli.new_plugin import KINDS
from tools.plugin_page import EXAMPLE, PAGE, filled

TEXT = PAGE.read_text("utf-8")
EXAMPLES = [found.groups() for found in EXAMPLE.finditer(TEXT)]


def test_the_examples_are_what_the_command_writes() -> None:
    assert filled(TEXT) == TEXT, "run .venv/bin/python tools/plugin_page.py"


def test_nothing_is_shown_that_no_test_runs() -> None:
    assert TEXT.count("```py\n") == len(EXAMPLES) - sum(language != "py" for *_, language in EXAMPLES)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_a_chapter_of_its_own_with_plugin_settings_and_tests(kind: str) -> None:
    shown = [path.rpartition("/")[2] for of, _, path, _ in EXAMPLES if of == kind]
    assert {"adapter.py", "settings.py"} <= {*shown}
    assert any(name.startswith("test_") for name in shown)
    assert max(Counter(shown).values()) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_plugin_of_each_kind_has_fewer_than_a_hundred_lines(kind: str) -> None:
    lines: list[str] = []
    for found in EXAMPLE.finditer(TEXT):
        of, _, path, _ = found.groups()
        if of == kind and path.startswith("src/"):
            lines += filter(str.strip, found[0].splitlines()[3:-1])
    assert len(lines) < 100
