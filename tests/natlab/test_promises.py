"""What the matrix is judged by."""

from itertools import combinations_with_replacement

from peerkit.testing import NATS
from tests.natlab.promises import Attempt, Cell, broken

DIRECT, RELAYED, FAILED = Attempt("direct", 0.4), Attempt("relayed", 0.2), Attempt("", 20.0, "nobody answers")


def cell(dialer: str, listener: str, *attempts: Attempt, transport: str = "udp") -> Cell:
    return Cell(dialer, listener, transport, attempts)


def not_direct(transport: str) -> set[tuple[str, str]]:
    pairs = combinations_with_replacement(NATS, 2)
    return {pair for pair in pairs if not cell(*pair, transport=transport).promises_direct}


def test_over_udp_all_are_direct_but_two_symmetric_ones_and_those_without_udp() -> None:
    pairs = set(combinations_with_replacement(("symmetric", "symmetric_sequential"), 2))
    pairs |= {pair for pair in combinations_with_replacement(NATS, 2) if "udp_blocked" in pair}
    assert not_direct("udp") == pairs


def test_over_tcp_all_are_direct_where_neither_is_symmetric_or_one_can_be_reached() -> None:
    hidden = [kind for kind in NATS if kind not in ("none", "full_cone")]
    symmetric = {"symmetric", "symmetric_sequential"}
    pairs = {pair for pair in combinations_with_replacement(hidden, 2) if symmetric & {*pair}}
    pairs |= {("port_restricted_accepting", "port_restricted_accepting")}
    assert not_direct("tcp") == pairs


def test_every_pair_must_connect() -> None:
    assert broken([cell("symmetric", "symmetric", RELAYED)]) == []
    (failure,) = broken([cell("symmetric", "symmetric", FAILED)])
    assert failure == "symmetric → symmetric over udp: 0 of 1 connected (nobody answers)"


def test_what_is_promised_direct_must_be_and_fast() -> None:
    assert broken([cell("double", "double", DIRECT)]) == []
    assert broken([cell("double", "double", RELAYED)]) == ["double → double over udp: 0 of 1 are direct"]
    assert broken([cell("double", "double", *[DIRECT] * 19, RELAYED)]) == []
    assert len(broken([cell("double", "double", *[DIRECT] * 18, RELAYED, RELAYED)])) == 1
    slow = Attempt("direct", 1.7)
    late = "direct after 1.70 s (p50), 1.5 s are promised"
    assert broken([cell("double", "double", slow)]) == [f"pairs that are easy over udp: {late}"]
    assert broken([cell("double", "double", *[slow] * 5), *[cell("none", "none", *[DIRECT] * 5)] * 2]) == [
        f"double → double over udp: {late}"
    ]
    assert broken([cell("double", "double", slow), cell("none", "none", DIRECT, DIRECT)]) == []


def test_what_happens_by_chance_is_judged_over_all_such_pairs() -> None:
    lucky, unlucky = cell("symmetric", "double", *[DIRECT] * 18), cell("symmetric", "port_restricted", RELAYED)
    assert broken([lucky, lucky, unlucky]) == []
    assert broken([lucky, unlucky]) == ["pairs with a port to be guessed: 18 of 19 are direct"]


def test_a_row_has_what_readers_of_the_table_need() -> None:
    slow = Attempt("direct", 0.8)
    assert cell("none", "double", DIRECT, slow, slow, FAILED).row == {
        "dialer": "none",
        "listener": "double",
        "transport": "udp",
        "path": "direct",
        "runs": 4,
        "connected": 3,
        "direct": 3,
        "p50_s": 0.8,
    }
