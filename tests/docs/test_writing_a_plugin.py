"""Each example of the page is a file that `peerkit new-plugin` writes, whose tests `kernel/tests/cli` runs."""

import re
from pathlib import Path

from peerkit._cli.new_plugin import write_plugin

PAGE = (Path(__file__).parents[2] / "docs/writing-a-plugin.md").read_text("utf-8")
NAMES = {
    "protocol": "greeter",
    "discovery": "phone-book",
    "transport": "carrier",
    "trust_policy": "friends",
    "routine": "head-count",
}


def test_the_examples_are_what_the_command_writes(tmp_path: Path) -> None:
    for kind, name in NAMES.items():
        write_plugin(name, kind, tmp_path)
    written = {path.read_text(): path for path in tmp_path.rglob("*.py")}
    shown = re.findall(r"```py\n(.*?)```", PAGE, re.DOTALL)
    assert [text for text in shown if text not in written] == []
    assert {written[text].parent.name for text in shown if written[text].name == "adapter.py"} == {
        name.replace("-", "_") for name in NAMES.values()
    }
