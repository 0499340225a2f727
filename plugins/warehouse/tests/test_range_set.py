"""Range sets behave as sets of numbers."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from peerkit_warehouse.range_set import RangeSet

operations = st.lists(st.tuples(st.booleans(), st.integers(0, 40), st.integers(0, 12)), max_size=30)


@given(operations, st.integers(0, 50), st.integers(0, 50))
def test_it_behaves_as_a_set(steps: list[tuple[bool, int, int]], a: int, b: int) -> None:
    ours, reference = RangeSet(), set[int]()
    for is_add, start, length in steps:
        if is_add:
            ours.add(start, start + length)
            reference |= set(range(start, start + length))
        else:
            ours.discard(start, start + length)
            reference -= set(range(start, start + length))
        flat = [n for first, stop in ours for n in range(first, stop)]
        assert flat == sorted(reference)
    ranges = list(ours)
    assert all(stop < start for (_, stop), (start, _) in pairwise(ranges))  # merged
    assert ours.total == len(reference)
    assert (a in ours) == (a in reference)
    low, high = sorted((a, b))
    assert ours.covers(low, high) == (set(range(low, high)) <= reference)
    assert ours == RangeSet(ranges)
