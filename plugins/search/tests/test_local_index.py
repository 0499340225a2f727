"""The local index, on a SQLite database under the simulation's rules."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from peerkit_search.codec import WordIds
from peerkit_search.local_index import MIGRATIONS, LocalIndex, OwnDocument, StoredPosting
from peerkit_search.posting import LIFE_S, Posting, own_posting
from peerkit_search.terms import term_id

from peerkit.testing import SimNetwork, run
from plugins.search.tests.corpus import ENGLISH, WALL, posting


def stored(item: Posting, is_own: bool = False) -> StoredPosting:
    return StoredPosting(
        item.publisher.raw, item.root, item.sequence, item.expires_at, 7, is_own, item.data, item.terms
    )


def ids(text: str) -> tuple[WordIds, ...]:
    words = ENGLISH.query_words(text)
    return tuple(tuple(frozenset(map(term_id, alternative)) for alternative in word.alternatives) for word in words)


async def titles(index: LocalIndex, text: str, now: float = WALL) -> list[str]:
    return [own_posting(data).title for data, _, _ in await index.search(ids(text), now)]


def with_index(test: Callable[[LocalIndex], Awaitable[None]]) -> None:
    async def main() -> None:
        platform = SimNetwork().platform()
        await test(LocalIndex(await platform.open_database(Path("/nowhere/search.db"), MIGRATIONS)))

    run(main())


def test_all_words_must_match_in_any_form() -> None:
    async def test(index: LocalIndex) -> None:
        await index.cache([stored(posting("BigBuckBunny running.mp4")), stored(posting("big elephant.mp4"))], WALL)
        assert await titles(index, "big") == ["big elephant.mp4", "BigBuckBunny running.mp4"]
        assert await titles(index, "bunny BIG run") == ["BigBuckBunny running.mp4"]
        assert await titles(index, "bigbuckbunny") == ["BigBuckBunny running.mp4"]
        assert await titles(index, "bunny elephant") == []

    with_index(test)


def test_own_documents_survive_and_come_first() -> None:
    async def test(index: LocalIndex) -> None:
        mine = posting("my bunny with a longer name", sequence=4)
        document = OwnDocument(mine.root, "my bunny with a longer name", 1000, "text/plain", 4, mine.expires_at)
        await index.save([document], [stored(mine, is_own=True)])
        await index.cache([stored(posting("bunny", who=2))], WALL)
        assert await titles(index, "bunny") == ["my bunny with a longer name", "bunny"]
        assert await titles(index, "bunny", WALL + LIFE_S + 1) == ["my bunny with a longer name"]
        assert await index.own() == [document]
        await index.forget_own([mine.root])
        assert await index.own() == []

    with_index(test)


def test_a_newer_posting_replaces_and_an_older_one_does_not() -> None:
    async def test(index: LocalIndex) -> None:
        root = bytes(32)
        await index.cache([stored(posting("bunny two", root=root, sequence=2))], WALL)
        await index.cache([stored(posting("bunny one", root=root, sequence=1))], WALL)
        assert await titles(index, "bunny") == ["bunny two"]
        await index.cache([stored(posting("bunny three", root=root, sequence=3))], WALL)
        assert await titles(index, "bunny") == ["bunny three"]
        assert await titles(index, "two") == []

    with_index(test)


def test_a_withdrawn_posting_is_forgotten() -> None:
    async def test(index: LocalIndex) -> None:
        item = posting("bunny", sequence=2)
        await index.cache([stored(item)], WALL)
        await index.withdraw(item.publisher.raw, item.root, 2)
        assert await titles(index, "bunny") == ["bunny"]  # a tombstone of that very sequence is none
        await index.withdraw(item.publisher.raw, item.root, 3)
        assert await titles(index, "bunny") == []

    with_index(test)


def test_what_expired_is_neither_answered_nor_kept() -> None:
    async def test(index: LocalIndex) -> None:
        await index.cache([stored(posting("old bunny"))], WALL)
        later = WALL + LIFE_S + 1
        assert await titles(index, "bunny", later) == []
        await index.cache([stored(posting("new bunny", wall=later))], later)
        assert await titles(index, "bunny") == ["new bunny"]

    with_index(test)
