"""Order of results, and what spam can do to it."""

import random
from dataclasses import replace

from peerkit_search.codec import OutcomeCode, QueryRequest, StoreItem
from peerkit_search.index_store import IndexStore, Source
from peerkit_search.posting import LIFE_S, Posting, read_posting
from peerkit_search.ranking import Evidence, rank
from peerkit_search.terms import term_id

from plugins.search.tests.corpus import ENGLISH, NETWORK, WALL, identity, posting

WORDS = ENGLISH.query_words("bunny")


def order(*evidence: Evidence, text: str = "bunny") -> list[str]:
    return [row.posting.title for row in rank(ENGLISH.query_words(text), evidence, ENGLISH, {}, WALL)]


def test_short_names_come_before_long_ones() -> None:
    assert order(Evidence(posting("a very long name with a bunny in it")), Evidence(posting("bunny"))) == [
        "bunny",
        "a very long name with a bunny in it",
    ]


def test_a_word_that_occurs_twice_counts_more() -> None:
    assert order(Evidence(posting("bunny and other animals")), Evidence(posting("bunny meets bunny here")))[
        0
    ].startswith("bunny meets")


def test_words_of_a_title_that_its_terms_do_not_hold_count_nothing() -> None:
    made = posting("bunny animals")
    (honest,) = rank(WORDS, [Evidence(made)], ENGLISH, {}, WALL)
    (liar,) = rank(WORDS, [Evidence(replace(made, title="bunny animals invented"))], ENGLISH, {}, WALL)
    assert liar.score == honest.score


def test_the_word_itself_comes_before_its_stem() -> None:
    assert order(Evidence(posting("run away")), Evidence(posting("running away")), text="running")[0] == "running away"


def test_content_of_many_neighbourhoods_comes_first() -> None:
    popular = [Evidence(posting("bunny movie", who=i, root=bytes(32)), i) for i in range(1, 5)]
    assert order(Evidence(posting("bunny only"), 9), *popular)[0] == "bunny movie"
    (first, _) = rank(WORDS, [*popular, Evidence(posting("bunny only"), 9)], ENGLISH, {}, WALL)
    assert first.publishers == 4


def test_many_identities_of_one_neighbourhood_count_as_one() -> None:
    crowd = [Evidence(posting("bunny spam", who=i, root=bytes(32)), 7) for i in range(1, 50)]
    single = [Evidence(posting("bunny real", who=99), 8)]
    scores = {row.posting.title: row.score for row in rank(WORDS, [*crowd, *single], ENGLISH, {}, WALL)}
    assert scores["bunny spam"] == scores["bunny real"]


def test_fresh_postings_come_before_old_ones() -> None:
    old = posting("bunny old", wall=WALL - LIFE_S * 0.9)
    assert order(Evidence(old), Evidence(posting("bunny new"))) == ["bunny new", "bunny old"]


def test_conflicting_titles_of_one_content_are_one_result_with_the_title_of_the_majority() -> None:
    root = bytes(32)
    honest = [Evidence(posting("bunny film", who=i, root=root), i) for i in (1, 2, 3)]
    liars = [Evidence(posting("bunny free money", who=i, root=root, sequence=9), 50) for i in range(10, 30)]
    assert order(*honest, *liars) == ["bunny film"]


def test_content_that_nobody_serves_comes_later() -> None:
    dead, live = posting("bunny a"), posting("bunny b")
    ranked = rank(
        WORDS, [Evidence(dead), Evidence(live)], ENGLISH, {}, WALL, lambda root: 0.5 if root == dead.root else 1.0
    )
    assert [row.posting.title for row in ranked] == ["bunny b", "bunny a"]


def test_a_crowd_from_one_neighbourhood_does_not_fill_the_first_page() -> None:
    spam = [Evidence(posting(f"bunny s{i:02d}", who=1), 7) for i in range(30)]
    honest = [Evidence(posting(f"bunny h{i:02d}", who=100 + i), 100 + i) for i in range(9)]
    assert sum("bunny h" in title for title in order(*spam, *honest)[:10]) == 9


def test_spam_by_a_fifth_of_the_publishers_leaves_the_first_ten_precise() -> None:
    """100 publishers, 20 of them spammers in 5 prefixes who flood three popular words with 40 short names each."""
    rng = random.Random(5)
    store = IndexStore(NETWORK, bytes(32), 1200)
    popular = ["music", "movie", "game"]

    def offer(item: Posting, who: int, prefix: str, now: float) -> None:
        outcome = store.offer(
            StoreItem(item.data, 0xFFFFFF), Source(identity(who).peer_id.raw, prefix), now, WALL + now
        )
        if outcome.code is OutcomeCode.WAIT and now + outcome.wait_s < 600:
            later = now + outcome.wait_s + 1
            store.offer(
                StoreItem(item.data, 0xFFFFFF, outcome.ticket),
                Source(identity(who).peer_id.raw, prefix),
                later,
                WALL + later,
            )

    for number in range(40):
        for who in range(1, 21):
            offer(posting(f"{rng.choice(popular)} x{who}{number}", who=who), who, f"8.0.{who % 5}.0/24", 0.0)
    for who in range(21, 101):
        for number in range(4):
            name = f"{rng.choice(popular)} {rng.choice(['live', 'best', 'new'])} number{number} of{who}"
            offer(posting(name, who=who), who, f"9.{who}.0.0/24", 1.0)
    for word in popular:
        words = ENGLISH.query_words(word)
        ids = tuple(tuple(frozenset(map(term_id, alternative)) for alternative in w.alternatives) for w in words)
        answer = store.match(QueryRequest(term_id(words[0].alternatives[0][0]), ids, 100), 2.0)
        evidence = [Evidence(read_posting(hit.posting, WALL).posting, hit.neighbourhood) for hit in answer.hits]
        honest = [
            row.posting.publisher not in {identity(i).peer_id for i in range(1, 21)}
            for row in rank(words, evidence, ENGLISH, {}, WALL)
        ]
        # 800 spam names against some 107 honest ones for each word; a tenth of the answer would be honest by count.
        assert sum(honest[:10]) >= 5, word
