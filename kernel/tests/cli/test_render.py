import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peerkit._cli import render
from peerkit._cli.render import ColumnView
from peerkit._control.wire import Json

ID = "c" + "a" * 55


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (64 << 20, "64.0 MiB"),
        (2 << 60, "2048.0 PiB"),
    ],
)
def test_sizes_are_binary(number: int, text: str) -> None:
    assert render.size(number) == text


def test_rates_are_decimal() -> None:
    assert [render.rate(n) for n in (999, 1000, 12_345_678, 2e9)] == ["999 B/s", "1.0 kB/s", "12.3 MB/s", "2.0 GB/s"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 s"),
        (0.000_35, "350 µs"),
        (0.0123, "12.3 ms"),
        (1, "1 s"),
        (4.25, "4.2 s"),
        (59.94, "60 s"),
        (60, "1 min"),
        (185, "3 min 5 s"),
        (3725, "1 h 2 min"),
        (90_000, "1 d 1 h"),
        (-5, "-5 s"),
    ],
)
def test_times_are_short(value: float, text: str) -> None:
    assert render.seconds(value) == text


@settings(deadline=None)
@given(st.text())
def test_no_text_can_steer_the_terminal(text: str) -> None:
    shown = render.safe(text)
    assert all(c.isprintable() or c.isspace() or ord(c) > 0x7F for c in shown)
    assert "\x1b" not in shown
    assert "\n" not in shown
    assert "\u202e" not in shown


def test_what_is_unsafe_stays_visible() -> None:
    assert render.safe("a\x1b[2Jb\u202etxt.exe") == "a\\x1b[2Jb\\u202etxt.exe"


@pytest.mark.parametrize("cells", [None, 200])
def test_a_table_is_aligned_and_numbers_stand_right(cells: int | None) -> None:
    rows: list[Json] = [{"n": "a.txt", "s": 5}, {"n": "日本.txt", "s": 123_456}]
    columns = [ColumnView("n", "Name"), ColumnView("s", "Size", "bytes"), ColumnView("e", "Error")]
    assert render.table(rows, columns, cells) == ["NAME           SIZE", "a.txt           5 B", "日本.txt  120.6 KiB"]


def test_ids_move_below_their_row_where_the_terminal_is_narrow() -> None:
    rows: list[Json] = [{"id": ID, "name": "a.txt"}]
    columns = [ColumnView("id", "Id"), ColumnView("name", "Name")]
    assert render.table(rows, columns, 50) == ["NAME", "a.txt", f"  {ID}"]
    assert render.table(rows, columns, 100) == ["ID" + " " * 56 + "NAME", f"{ID}  a.txt"]


def test_a_column_of_short_ids_shortens_them_only_when_it_must() -> None:
    rows: list[Json] = [{"id": ID, "name": "a.txt"}]
    columns = [ColumnView("id", "Id", "id"), ColumnView("name", "Name")]
    assert render.table(rows, columns, 40)[1] == f"{ID[:10]}  a.txt"
    assert render.table(rows, columns)[1] == f"{ID}  a.txt"


@settings(deadline=None)
@given(st.lists(st.text(st.characters(categories=["L", "N", "Zs"]), max_size=60), min_size=1), st.integers(30, 120))
def test_no_line_is_wider_than_the_terminal(names: list[str], cells: int) -> None:
    rows: list[Json] = [{"name": name, "note": "two words"} for name in names]
    lines = render.table(rows, [ColumnView("name", "Name"), ColumnView("note", "Note")], cells)
    in_the_table = [line for line in lines if not line.startswith("  ")]
    assert all(render.width(line) <= cells for line in in_the_table)


def test_fields_leave_out_what_is_empty_and_give_a_list_a_line_each() -> None:
    answer: Json = {"a": ["x", "y"], "b": "", "c": None, "d": 0}
    columns = [ColumnView(key, f"the {key}") for key in "abcd"]
    assert render.fields(answer, columns) == ["The a  x", "       y", "The d  0"]


def test_a_sentence_is_filled_with_readable_values() -> None:
    assert (
        render.sentence("{name} has {size_bytes}, {what}", {"name": "a", "size_bytes": 2048}) == "a has 2.0 KiB, {what}"
    )
    assert render.sentence("{count} files", [{}, {}]) == "2 files"


def test_values_of_any_kind_have_a_form() -> None:
    value: Json = {"a": [1, None], "b": True, "c": 1.5}
    assert render.plain(value) == "a=1, –  b=yes  c=1.5"


@pytest.mark.parametrize(("number", "text"), [(0, "0 hits"), (1, "1 hit"), (2, "2 hits")])
def test_a_count_agrees_with_its_noun(number: int, text: str) -> None:
    assert render.counted(number, "hit") == text
