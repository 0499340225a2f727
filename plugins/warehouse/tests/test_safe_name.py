"""Names from outside: what may become a name on this disk, and what may not."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from peerkit_warehouse.safe_name import check_unique, folded, problem_with, safe_name, safe_path

from peerkit.errors import UsageError

BAD = [
    "",
    ".",
    "..",
    "a/b",
    "/etc/passwd",
    "..\\x",
    "a\\b",
    "C:",
    "C:file",
    "file:stream",
    "file::$DATA",
    "CON",
    "con",
    "Con.txt",
    "nul.tar.gz",
    "COM1",
    "com0",
    "LPT9.log",
    "lpt¹",
    "aux .txt",
    "CONIN$",
    "trailing.",
    "trailing ",
    " leading",
    "...",
    "x" * 300,
    "ä" * 128,  # 256 bytes in UTF-8
    "a\x00b",
    "a\nb",
    "a\x1b[31m",
    "a\x7f",
    "a\x85b",
    "photo\u202egpj.exe",  # shows as photoexe.jpg
    "\u2066x",
    "a\u200fb",
    "a\u2028b",
    "what?",
    "a*",
    "a<b",
    "a|b",
    'a"b',
    "\ud800",
]
GOOD = [
    "a",
    "a.txt",
    ".hidden",
    "naïve résumé.pdf",
    "日本語.txt",
    "console",
    "com10",
    "a b",
    "x" * 255,
    "a..b",
    "👩‍👩‍👧.png",
]


@pytest.mark.parametrize("name", BAD)
def test_a_dangerous_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        safe_name(name)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", GOOD)
def test_an_ordinary_name_is_kept(name: str) -> None:
    assert safe_name(name) == unicodedata.normalize("NFC", name)


@given(st.text(max_size=300))
def test_what_is_accepted_has_none_of_the_dangers(name: str) -> None:
    try:
        kept = safe_name(name)
    except UsageError:
        return
    assert kept == unicodedata.normalize("NFC", kept)
    assert not problem_with(kept)
    assert len(kept.encode()) <= 255
    assert not set(kept) & set('/\\:*?"<>|\0')
    assert kept not in (".", "..")
    assert kept[-1] not in " ."


@given(st.text(max_size=60))
def test_a_path_never_leaves_its_folder(path: str) -> None:
    try:
        kept = safe_path(path)
    except UsageError:
        return
    assert not kept.startswith("/")
    assert all(part not in ("", ".", "..") for part in kept.split("/"))


@pytest.mark.parametrize("path", ["../x", "a/../../x", "/a", "a//b", "a/", "a/" * 40 + "b", "a/" + "b" * 1100])
def test_a_path_that_climbs_or_is_too_deep_is_refused(path: str) -> None:
    with pytest.raises(UsageError):
        safe_path(path)


@pytest.mark.parametrize(
    ("files", "folders"),
    [
        (["a", "a"], []),
        (["File", "fILE"], []),
        (["caf\u00e9", "cafe\u0301"], []),
        (["stra\u00dfe", "STRASSE"], []),
        (["a", "a/b"], []),
        (["a/b", "A/c"], []),
        (["a/b", "a"], []),
        (["x"], ["x"]),
        (["x"], ["x/y"]),
    ],
)
def test_names_that_meet_on_some_disk_are_refused(files: list[str], folders: list[str]) -> None:
    with pytest.raises(UsageError):
        check_unique(files, folders)


def test_names_that_do_not_meet_are_accepted() -> None:
    check_unique(["a", "b", "d/e", "d/f"], ["g", "d/h", "d"])


@given(st.text(max_size=20))
def test_folding_is_stable(text: str) -> None:
    assert folded(unicodedata.normalize("NFD", text)) == folded(text)
