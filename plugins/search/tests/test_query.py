"""The query machine by hand: slow, dead and lying index peers."""

from collections.abc import Sequence

from peerkit_search.codec import CountAnswer, CountRequest, Hit, QueryAnswer, QueryRequest
from peerkit_search.posting import Posting
from peerkit_search.query import MAX_BAD, SLOW_S, Ask, FindPeers, Finished, Found, Query, Withdrawn
from peerkit_search.term_counts import TermCounts
from peerkit_search.terms import term_id

from peerkit.identity import PeerId
from peerkit.record import Signed
from plugins.search.tests.corpus import ENGLISH, NETWORK, WALL, identity, posting

PEERS = [identity(1000 + i).peer_id for i in range(20)]


def query(text: str, wanted: int = 10, counts: TermCounts | None = None, type: str = "") -> Query:
    machine = Query(ENGLISH.query_words(text), wanted, type, NETWORK, counts or TermCounts())
    machine.start(0.0)
    return machine


def drain(machine: Query) -> list[object]:
    events: list[object] = []
    while (event := machine.next_event()) is not None:
        events.append(event)
    return events


def asked(events: Sequence[object]) -> list[PeerId]:
    return [event.peer for event in events if isinstance(event, Ask)]


def titles(events: Sequence[object]) -> list[str]:
    return [event.evidence.posting.title for event in events if isinstance(event, Found)]


def answer(*postings: Posting, count: int = 0) -> QueryAnswer:
    return QueryAnswer(tuple(Hit(p.data) for p in postings), len(postings), count)


def located(text: str, peers: Sequence[PeerId] = PEERS, wanted: int = 10) -> tuple[Query, list[object]]:
    """A one-word query whose peers are known."""
    machine = query(text, wanted)
    (find,) = drain(machine)
    assert isinstance(find, FindPeers)
    machine.receive_peers(find.term, peers, 0.0)
    return machine, drain(machine)


def test_a_single_word_needs_one_lookup_and_no_count() -> None:
    machine, events = located("bunny")
    assert asked(events) == PEERS[:3]
    assert machine.counters.lookups == 1


def test_only_the_peers_of_the_rarest_word_are_asked() -> None:
    counts = TermCounts()
    counts.learn("common", 5000, 0)
    counts.learn("rare", 3, 0)
    machine = query("common rare", counts=counts)
    (find,) = drain(machine)
    assert isinstance(find, FindPeers) and find.term == "rare"
    machine.receive_peers("rare", PEERS, 0.0)
    request = next(event.request for event in drain(machine) if isinstance(event, Ask))
    assert isinstance(request, QueryRequest)
    assert request.key == term_id("rare")
    assert len(request.words) == 2


def test_unknown_words_are_counted_once_each_and_the_rarest_chosen() -> None:
    machine = query("common rare")
    finds = drain(machine)
    assert [find.term for find in finds if isinstance(find, FindPeers)] == ["common", "rare"]
    machine.receive_peers("common", PEERS[:10], 0.0)
    machine.receive_peers("rare", PEERS[10:], 0.0)
    probes = [event for event in drain(machine) if isinstance(event, Ask)]
    assert [(p.peer, p.request) for p in probes] == [
        (PEERS[0], CountRequest((term_id("common"),))),
        (PEERS[10], CountRequest((term_id("rare"),))),
    ]
    machine.receive(PEERS[0], CountAnswer((900,)), 0.1, WALL)
    machine.receive(PEERS[10], CountAnswer((2,)), 0.1, WALL)
    assert asked(drain(machine)) == PEERS[10:13]


def test_a_count_that_does_not_come_is_not_waited_for() -> None:
    machine = query("common rare")
    drain(machine)
    machine.receive_peers("common", PEERS[:10], 0.0)
    machine.receive_peers("rare", PEERS[10:], 0.0)
    drain(machine)
    machine.receive(PEERS[10], CountAnswer((2,)), 0.1, WALL)
    machine.handle_timer(machine.next_timer())
    assert asked(drain(machine)) == PEERS[10:13]


def test_in_a_small_network_no_word_is_counted() -> None:
    machine = query("common rare")
    drain(machine)
    machine.receive_peers("common", PEERS[:5], 0.0)
    machine.receive_peers("rare", list(reversed(PEERS[:5])), 0.0)
    requests = [event.request for event in drain(machine) if isinstance(event, Ask)]
    assert len(requests) == 3
    assert all(isinstance(request, QueryRequest) for request in requests)


def test_results_stream_out_once_each() -> None:
    machine, _ = located("bunny")
    item = posting("big bunny")
    machine.receive(PEERS[0], answer(item), 0.1, WALL)
    assert titles(drain(machine)) == ["big bunny"]
    machine.receive(PEERS[1], answer(item), 0.1, WALL)
    assert titles(drain(machine)) == []


def test_it_ends_when_enough_is_found_and_three_were_heard() -> None:
    machine, _ = located("bunny", wanted=2)
    items = [posting("bunny one"), posting("bunny two")]
    for i in range(3):
        assert not machine.is_done
        machine.receive(PEERS[i], answer(*items), 0.1, WALL)
    assert machine.is_done
    assert isinstance(drain(machine)[-1], Finished)


def test_it_ends_after_eight_quiet_answers() -> None:
    machine, events = located("bunny", wanted=10)
    machine.receive(PEERS[0], answer(posting("bunny")), 0.1, WALL)
    heard = 0
    todo = [p for p in asked(events) if p != PEERS[0]]
    while not machine.is_done:
        todo += asked(events := drain(machine))
        finds = [event for event in events if isinstance(event, FindPeers)]
        if finds:  # the folded word, asked for since one result is fewer than ten
            machine.receive_peers(finds[0].term, [], 0.2)
            continue
        machine.receive(todo.pop(0), answer(), 0.1, WALL)
        heard += 1
    assert heard == 8


def test_all_peers_are_asked_while_nothing_is_found() -> None:
    machine, events = located("zebra")
    todo = asked(events)
    seen = []
    while todo:
        peer = todo.pop(0)
        seen.append(peer)
        machine.receive(peer, answer(), 0.1, WALL)
        todo += asked(drain(machine))
    assert seen == PEERS
    assert machine.is_done


def test_a_slow_peer_does_not_hold_up_the_next() -> None:
    machine, _ = located("bunny")
    assert machine.next_timer() == SLOW_S
    machine.handle_timer(SLOW_S)
    assert asked(drain(machine)) == PEERS[3:6]
    machine.receive(PEERS[0], answer(posting("late bunny")), 1.5, WALL)
    assert titles(drain(machine)) == ["late bunny"]


def test_dead_peers_are_passed_over() -> None:
    machine, _ = located("bunny", PEERS[:5])
    for peer in PEERS[:4]:
        machine.failed(peer, 0.1)
    machine.receive(PEERS[4], answer(posting("bunny")), 0.2, WALL)
    assert titles(drain(machine)) == ["bunny"]
    assert machine.counters.failures == 4


def test_no_index_peers_ends_with_nothing() -> None:
    machine, _ = located("qqq", [])
    assert machine.is_done


def test_the_deadline_ends_everything() -> None:
    machine, _ = located("bunny")
    machine.handle_timer(10.0)
    assert machine.is_done
    assert machine.next_timer() == float("inf")
    machine.receive(PEERS[0], answer(posting("bunny")), 10.1, WALL)
    assert titles(drain(machine)) == []


def test_when_the_stem_brings_too_little_the_word_itself_is_asked_for() -> None:
    machine, _ = located("running", PEERS[:1], wanted=5)
    machine.receive(PEERS[0], answer(posting("run")), 0.1, WALL)
    (find,) = [event for event in drain(machine) if isinstance(event, FindPeers)]
    assert find.term == "running"


def test_postings_that_lie_are_counted_and_dropped() -> None:
    machine, _ = located("bunny")
    good = posting("honest bunny")
    forged = good.data[:-1] + bytes((good.data[-1] ^ 1,))
    lies = [
        Hit(forged),
        Hit(posting("elephant").data),  # does not hold the word
        Hit(posting("old bunny", wall=WALL - 90_000).data),  # expired
        Hit(b"rubbish"),
        Hit(Signed(b"", bytes(64)).to_bytes()),
    ]
    machine.receive(PEERS[0], QueryAnswer((*lies, Hit(good.data)), 6, 6), 0.1, WALL)
    assert titles(drain(machine)) == ["honest bunny"]
    assert (machine.counters.bad_postings, machine.counters.lying_peers) == (5, 1)


def test_after_eight_lies_the_rest_of_an_answer_is_not_read() -> None:
    machine, _ = located("bunny")
    hits = (*(Hit(b"rubbish %d" % i) for i in range(50)), Hit(posting("bunny").data))
    machine.receive(PEERS[0], QueryAnswer(hits, 51, 51), 0.1, WALL)
    assert machine.counters.bad_postings == MAX_BAD
    assert titles(drain(machine)) == []


def test_an_answer_nobody_asked_for_is_ignored() -> None:
    machine, _ = located("bunny")
    machine.receive(PEERS[15], answer(posting("bunny")), 0.1, WALL)
    assert titles(drain(machine)) == []


def test_a_type_that_was_not_asked_for_is_a_lie() -> None:
    machine = query("bunny", type="video")
    (find,) = drain(machine)
    assert isinstance(find, FindPeers)
    machine.receive_peers(find.term, PEERS, 0.0)
    drain(machine)
    machine.receive(PEERS[0], answer(posting("bunny", type="audio/flac")), 0.1, WALL)
    assert titles(drain(machine)) == []
    assert machine.counters.bad_postings == 1


def test_a_tombstone_outweighs_older_postings_whoever_brings_them() -> None:
    machine, _ = located("bunny")
    root = bytes(32)
    machine.receive(PEERS[0], answer(posting("bunny", root=root, sequence=5, withdrawn=True)), 0.1, WALL)
    machine.receive(PEERS[1], answer(posting("bunny", root=root, sequence=4)), 0.1, WALL)
    events = drain(machine)
    assert [type(event) for event in events if isinstance(event, Withdrawn | Found)] == [Withdrawn]


def test_counts_are_learnt_from_answers() -> None:
    counts = TermCounts()
    machine = query("bunny", counts=counts)
    (find,) = drain(machine)
    assert isinstance(find, FindPeers)
    machine.receive_peers(find.term, PEERS, 0.0)
    machine.receive(PEERS[0], answer(count=77), 0.1, WALL)
    assert counts.at(1.0)[find.term] == 77
    assert find.term not in counts.at(4000.0)
