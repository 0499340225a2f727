"""What README and docs print runs as printed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")


@pytest.mark.integration
@pytest.mark.parametrize(
    ("page", "prints"), [("README.md", "b'hello'\n"), ("docs/testing.md", "b'HELLO'\nunreachable\nb'AGAIN'\n")]
)
def test_the_example_runs_as_printed(page: str, prints: str, tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text("utf-8"), re.DOTALL)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert (done.stdout, done.stderr, done.returncode) == (prints, "", 0)


PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "kernel/*.md", "plugins/*/*.md", "examples/**/*.md")
    for path in ROOT.glob(pattern)
)


def anchors(page: Path) -> set[str]:
    """Of its headings, as both the site and what shows a repository name them."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    found = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", heading.lower()).strip()) for heading in found}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:\s]*)(?:#([^)\s]*))?\)", page.read_text("utf-8"))
    targets = [((page.parent / path).resolve() if path else page, anchor) for path, anchor in links]
    assert [path for path, _ in targets if not path.exists()] == []
    assert [(path, anchor) for path, anchor in targets if anchor and anchor not in anchors(path)] == []


def test_the_site_leads_to_every_document() -> None:
    led_to = set(re.findall(r"\S+\.md", (ROOT / "mkdocs.yml").read_text("utf-8")))
    written = {path.relative_to(ROOT).as_posix() for path in PAGES}
    in_lists = {path for path in written if path.startswith(("plugins/", "docs/decisions/"))}
    assert led_to == written - in_lists - {"kernel/README.md"}


def test_the_table_of_plugins_is_complete() -> None:
    plugins = {p.name for p in (ROOT / "plugins").iterdir() if (p / "pyproject.toml").exists()}
    assert set(re.findall(r"\[(\w+)\]\(plugins/\w+\)", README)) == plugins
