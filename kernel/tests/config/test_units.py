import pytest
from hypothesis import given
from hypothesis import strategies as st

from peerkit._config.units import parse_bytes, parse_rate


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("2000000", 2_000_000),
        ("2 MB/s", 2_000_000),
        ("2MB", 2_000_000),
        ("1.5 kB/s", 1_500),
        ("64 KiB", 65_536),
        ("1 GiB/s", 2**30),
        ("3 G", 3 * 10**9),
        ("10 B/s", 10),
    ],
)
def test_amounts_are_read_as_people_write_them(text: str, amount: int) -> None:
    assert parse_rate(text) == amount
    assert parse_bytes(text) == amount


@pytest.mark.parametrize("text", ["none", "None", "unlimited", ""])
def test_no_rate_is_unlimited(text: str) -> None:
    assert parse_rate(text) is None


@pytest.mark.parametrize("text", ["fast", "-1 MB/s", "1 MB/h", "1 mb/s ps", "1e9", "MB", "1 PB"])
def test_other_text_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="write 2000000, 2 MB/s"):
        parse_rate(text)


@given(st.text(max_size=30))
def test_no_text_raises_anything_but_value_error(text: str) -> None:
    try:
        value = parse_rate(text)
    except ValueError:
        return
    assert value is None or isinstance(value, int)
