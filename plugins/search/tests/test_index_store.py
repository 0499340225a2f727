"""What an index peer keeps, for whom, and what it answers."""

import random
from collections import Counter

import pytest
from peerkit_search.admission import WINDOW_S, Shares, Tickets, waiting_time
from peerkit_search.codec import Outcome, OutcomeCode, QueryRequest, StoreItem
from peerkit_search.index_store import IndexStore, Source
from peerkit_search.posting import LIFE_S, Posting, read_posting
from peerkit_search.terms import term_id

from plugins.search.tests.corpus import ENGLISH, NETWORK, WALL, identity, posting

ALL = 0xFFFFFF


def make_store(capacity: int = 1000) -> IndexStore:
    return IndexStore(NETWORK, bytes(32), capacity)


def source(who: int, prefix: str = "") -> Source:
    return Source(identity(who).peer_id.raw, prefix)


def offer(
    store: IndexStore,
    item: Posting,
    who: int = 1,
    prefix: str = "",
    now: float = 0.0,
    ticket: bytes = b"",
    under: int = ALL,
) -> Outcome:
    return store.offer(StoreItem(item.data, under, ticket), source(who, prefix), now, WALL + now)


def ask(
    store: IndexStore, text: str, limit: int = 20, type: str = "", now: float = 0.0, key: str = ""
) -> list[Posting]:
    """Postings that the store answers with, tombstones too."""
    words = ENGLISH.query_words(text)
    ids = tuple(tuple(frozenset(map(term_id, alternative)) for alternative in word.alternatives) for word in words)
    request = QueryRequest(term_id(key or words[0].alternatives[0][0]), ids, limit, type)
    return [read_posting(hit.posting, WALL + now).posting for hit in store.match(request, now).hits]


def test_an_offered_posting_is_found_by_all_its_words() -> None:
    store = make_store()
    assert offer(store, posting("big buck bunny")).code is OutcomeCode.STORED
    assert [p.title for p in ask(store, "bunny big")] == ["big buck bunny"]
    assert ask(store, "bunny elephant") == []
    assert store.count((term_id("buck"), term_id("elephant"))) == (1, 0)


def test_only_the_publisher_itself_may_store() -> None:
    store = make_store()
    assert offer(store, posting("mine", who=1), who=2).code is OutcomeCode.REFUSED
    assert len(store) == 0


def test_a_forged_posting_is_refused() -> None:
    store = make_store()
    good = posting("forged")
    bad = StoreItem(good.data[:-1] + bytes((good.data[-1] ^ 1,)), ALL)
    assert store.offer(bad, source(1), 0, WALL).code is OutcomeCode.REFUSED
    assert (len(store), store.counters.refused) == (0, 1)


def test_it_is_indexed_only_under_the_terms_asked_for() -> None:
    store = make_store()
    item = posting("alpha beta")
    offer(store, item, under=1 << item.terms.index(term_id("alpha")))
    assert ask(store, "alpha beta", key="alpha")
    assert not ask(store, "alpha beta", key="beta")
    assert offer(store, item, under=0).code is OutcomeCode.REFUSED


def test_a_higher_sequence_replaces_and_a_lower_one_is_refused() -> None:
    store = make_store()
    root = bytes(32)
    offer(store, posting("old name", root=root, sequence=5))
    assert offer(store, posting("new name", root=root, sequence=6)).code is OutcomeCode.STORED
    assert offer(store, posting("old name", root=root, sequence=5)).code is OutcomeCode.REFUSED
    assert offer(store, posting("other", root=root, sequence=6)).code is OutcomeCode.REFUSED
    assert [p.title for p in ask(store, "name")] == ["new name"]
    assert ask(store, "old") == []


def test_a_tombstone_forgets_and_blocks_what_is_older() -> None:
    store = make_store()
    root = bytes(32)
    offer(store, posting("secret plan", root=root, sequence=5))
    assert offer(store, posting("secret plan", root=root, sequence=6, withdrawn=True)).code is OutcomeCode.STORED
    assert offer(store, posting("secret plan", root=root, sequence=5)).code is OutcomeCode.REFUSED
    assert [p.withdrawn for p in ask(store, "secret plan")] == [True]


def test_the_same_posting_again_adds_terms_without_a_signature_check() -> None:
    store = make_store()
    item = posting("alpha beta")
    offer(store, item, under=1)
    assert offer(store, item, under=2).code is OutcomeCode.STORED
    assert store.count(item.terms[:2]) == (1, 1)
    assert len(store) == 1


def test_postings_expire() -> None:
    store = make_store()
    offer(store, posting("short lived"))
    assert ask(store, "lived", now=LIFE_S - 1)
    assert store.expire(LIFE_S + 1) == 1
    assert (len(store), store.count((term_id("live"),))) == (0, (0,))


def test_a_type_filter_takes_a_half_or_a_whole_type() -> None:
    store = make_store()
    offer(store, posting("holiday film", type="video/mp4"))
    offer(store, posting("holiday song", type="audio/flac"))
    assert [p.title for p in ask(store, "holiday", type="video")] == ["holiday film"]
    assert [p.title for p in ask(store, "holiday", type="audio/flac")] == ["holiday song"]
    assert ask(store, "holiday", type="vid") == []


def test_the_store_never_grows_beyond_its_capacity() -> None:
    store = make_store(64)
    rng = random.Random(1)
    now = 0.0
    for i in range(400):
        now += rng.random() * 5
        outcome = offer(store, posting(f"word{i} other{i}", who=i), who=i, prefix=f"8.0.{i}.0/24", now=now)
        if outcome.code is OutcomeCode.WAIT:
            offer(
                store,
                posting(f"word{i} other{i}", who=i),
                who=i,
                prefix=f"8.0.{i}.0/24",
                now=now,
                ticket=outcome.ticket,
            )
    assert len(store) <= 64


def test_one_prefix_fills_only_an_eighth_of_the_index_under_one_term() -> None:
    store = make_store(1600)
    for i in range(300):
        offer(store, posting(f"hot spam{i}", who=1 + i % 8), 1 + i % 8, "8.0.0.0/24")
    assert 200 <= store.count((term_id("hot"),))[0] <= 212


def test_a_flood_that_came_first_makes_room_for_others() -> None:
    store = make_store(256)
    for i in range(256):  # a term of 64 is full of one publisher of a local network, and so is its free share
        offer(store, posting(f"hot spam{i}", who=1 + i % 4), 1 + i % 4)
    assert store.count((term_id("hot"),)) == (64,)
    for who in range(10, 20):
        assert offer(store, posting("hot news", who=who), who=who).code is OutcomeCode.STORED
    assert store.count((term_id("hot"),)) == (64,)
    assert sum(p.title == "hot news" for p in ask(store, "hot news", limit=100)) == 10


def test_an_answer_takes_turns_among_prefixes() -> None:
    store = make_store(10_000)
    for i in range(120):
        offer(store, posting(f"hot {i:03d}", who=1), prefix="8.0.0.0/24")
    for who in range(2, 12):
        offer(
            store,
            posting("hot but with a longer honest name", who=who, root=bytes((who,)) * 32),
            who,
            f"9.0.{who}.0/24",
        )
    publishers = Counter(p.publisher for p in ask(store, "hot", limit=40))
    assert len(publishers) == 11


# -- admission ---------------------------------------------------------------------------------------------------------


def test_nobody_waits_for_a_free_index() -> None:
    assert waiting_time(Shares(0.0, 0.0, 0.0, 0.0)) < 1
    assert waiting_time(Shares(0.3, 0.12, 0.12, 0.2)) < 1


@pytest.mark.parametrize("field", ["occupancy", "term", "publisher", "prefix"])
def test_waiting_grows_with_every_share(field: str) -> None:
    base = {"occupancy": 0.5, "term": 0.3, "publisher": 0.3, "prefix": 0.3}
    assert waiting_time(Shares(**{**base, field: 0.6})) > waiting_time(Shares(**base)) > 1


def test_a_full_index_takes_nobody() -> None:
    assert waiting_time(Shares(1.0, 0.0, 0.0, 0.0)) == float("inf")


def test_who_holds_much_waits_and_gets_in_with_the_ticket_at_its_time() -> None:
    store = make_store(100)
    outcome = Outcome(OutcomeCode.STORED)
    i = 0
    while outcome.code is OutcomeCode.STORED:
        outcome = offer(store, posting(f"flood{i} item{i}"), now=0)
        i += 1
    last = posting(f"flood{i - 1} item{i - 1}")
    assert outcome.code is OutcomeCode.WAIT
    assert 12 <= i <= 20  # an eighth of 100 is free for one publisher
    wait_s = outcome.wait_s
    early = offer(store, last, now=wait_s / 2, ticket=outcome.ticket)
    assert early.code is OutcomeCode.WAIT  # too early is as good as never asked
    assert early.wait_s == pytest.approx(wait_s)
    assert offer(store, last, now=wait_s + 1, ticket=outcome.ticket).code is OutcomeCode.STORED
    # Others are not held up by the flood.
    assert offer(store, posting("honest words", who=2), who=2).code is OutcomeCode.STORED


def test_a_ticket_counts_for_its_bearer_and_its_window_only() -> None:
    tickets = Tickets(b"s" * 32)
    ticket = tickets.issue(b"subject", 10.0, 20.0)
    assert tickets.asked_at(ticket, b"subject", 25.0) == 10.0
    assert tickets.asked_at(ticket, b"other", 25.0) == 25.0
    assert tickets.asked_at(ticket, b"subject", 19.0) == 19.0
    assert tickets.asked_at(ticket, b"subject", 20 + WINDOW_S + 1) == 20 + WINDOW_S + 1
    assert Tickets(b"t" * 32).asked_at(ticket, b"subject", 25.0) == 25.0
    for i in range(len(ticket)):
        forged = bytearray(ticket)
        forged[i] ^= 1
        assert tickets.asked_at(bytes(forged), b"subject", 25.0) == 25.0
