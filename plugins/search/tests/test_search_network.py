"""Whole search plugins of many nodes under virtual time."""

import asyncio

from peerkit.testing import run
from plugins.search.tests.swarm import CollectingCall, Swarm


def test_content_is_found_by_a_node_that_never_met_its_publisher() -> None:
    async def main() -> None:
        swarm = Swarm(12)
        content_id = swarm[0].share("Big Buck Bunny (2008).mp4", 1234, "video/mp4")
        await asyncio.sleep(3)
        call = CollectingCall()
        (hit,) = await swarm[7].search("bunny", "big", call=call)
        assert (hit.content_id, hit.name, hit.size_bytes, hit.type) == (
            content_id,
            "Big Buck Bunny (2008).mp4",
            1234,
            "video/mp4",
        )
        assert hit.publisher == str(swarm[0].ctx.peer_id)
        assert hit.sources == 1
        assert [item.content_id for item in call.items] == [content_id]
        assert await swarm[7].names("bunny", "elephant") == []
        await swarm.close()

    run(main())


def test_unshared_content_is_gone_from_every_node() -> None:
    async def main() -> None:
        swarm = Swarm(12)
        content_id = swarm[0].share("forbidden planet.mp4")
        swarm[0].share("blue planet.mp4")
        await asyncio.sleep(3)
        assert sorted(await swarm[5].names("planet")) == ["blue planet.mp4", "forbidden planet.mp4"]
        swarm[0].unshare(content_id)
        await asyncio.sleep(2)
        for number in (0, 5, 9):
            assert await swarm[number].names("planet") == ["blue planet.mp4"], number
        await swarm.close()

    run(main())


def test_a_tombstone_of_one_index_peer_outweighs_the_posting_of_another() -> None:
    async def main() -> None:
        swarm = Swarm(6)
        content_id = swarm[0].share("secret recipe.txt")
        await asyncio.sleep(3)
        swarm[3].is_up = False  # misses the tombstone
        swarm[0].unshare(content_id)
        await asyncio.sleep(6)
        swarm[3].is_up = True
        assert await swarm[1].names("recipe") == []
        assert await swarm[1].names("recipe", local=True) == []
        await swarm.close()

    run(main())


def test_names_shared_while_alone_are_published_when_peers_come() -> None:
    async def main() -> None:
        swarm = Swarm(1)
        swarm[0].share("early bird.txt")
        await asyncio.sleep(20)
        late = swarm.add()
        await asyncio.sleep(20)
        assert await late.names("bird") == ["early bird.txt"]
        await swarm.close()

    run(main())


def test_a_newcomer_to_a_small_network_is_brought_all_postings() -> None:
    async def main() -> None:
        swarm = Swarm(3)
        swarm[0].share("old news.txt")
        await asyncio.sleep(5)
        newcomer = swarm.add()
        await asyncio.sleep(30)
        swarm[0].plugin._changed.set()  # as the pool's PeerConnected and a routine do
        await asyncio.sleep(5)
        assert len(newcomer.plugin._store) == 1
        await swarm.close()

    run(main())


def test_many_files_are_published_in_few_requests_and_one_lookup() -> None:
    async def main() -> None:
        swarm = Swarm(6)
        for number in range(300):
            swarm[0].share(f"module_{number:04d}.py")
        await asyncio.sleep(20)
        assert all(len(member.plugin._store) == 300 for member in swarm.members.values())
        assert swarm[5].requests <= 300 / 60 + 2  # batches of some 90
        assert swarm.lookups <= 6 * 4  # one serves all terms,
        hits = await swarm[3].search("module_0250")
        assert [hit.name for hit in hits] == ["module_0250.py"]
        await swarm.close()

    run(main())


def test_search_survives_dead_index_peers() -> None:
    async def main() -> None:
        swarm = Swarm(40, local=False)
        swarm[0].share("lighthouse keeper.pdf")
        await asyncio.sleep(10)
        # One third of all peers vanish; the asker's routing still names some of them for a while.
        for number in range(1, 40, 3):
            await swarm[number].stop()
        started = asyncio.get_running_loop().time()
        assert await swarm[38].names("lighthouse") == ["lighthouse keeper.pdf"]
        assert asyncio.get_running_loop().time() - started < 12
        for member in swarm.members.values():
            if member.is_up:
                await member.stop()

    run(main())


def test_the_trust_gate_keeps_a_denied_peer_from_storing_and_asking() -> None:
    async def main() -> None:
        swarm = Swarm(3)
        outcast = swarm[2].ctx.peer_id
        for number in (0, 1):
            swarm[number].ctx.deny = lambda question: "outcast" if question.peer_id == outcast else None
        swarm[2].share("spam.txt")
        swarm[0].share("ham.txt")
        await asyncio.sleep(5)
        assert await swarm[0].names("spam") == []
        assert await swarm[1].names("ham") == ["ham.txt"]
        assert len(swarm[1].plugin._store) == 1
        await swarm.close()

    run(main())


def test_a_type_filter_and_a_limit_are_kept() -> None:
    async def main() -> None:
        swarm = Swarm(5)
        for number in range(30):
            swarm[0].share(f"holiday {number:02d}.mp4", type="video/mp4")
        swarm[1].share("holiday song.flac", type="audio/flac")
        await asyncio.sleep(5)
        assert [hit.type for hit in await swarm[3].search("holiday", type="audio")] == ["audio/flac"]
        assert len(await swarm[3].search("holiday", limit=7, type="video/mp4")) == 7
        await swarm.close()

    run(main())


def test_words_in_other_forms_find_each_other_across_nodes() -> None:
    async def main() -> None:
        swarm = Swarm(4)
        swarm[0].share("Die Häuser von Wien.pdf")
        swarm[0].share("running_shoes.jpg")
        swarm[0].share("Новые книги.txt")
        swarm[0].share("東京の地図.png")
        await asyncio.sleep(5)
        asker = swarm[3]
        assert await asker.names("hauser") == ["Die Häuser von Wien.pdf"]
        assert await asker.names("haus", "wien") == ["Die Häuser von Wien.pdf"]
        assert await asker.names("Run") == ["running_shoes.jpg"]
        assert await asker.names("книга") == ["Новые книги.txt"]
        assert await asker.names("地図") == ["東京の地図.png"]
        await swarm.close()

    run(main())


def test_postings_are_renewed_before_they_expire() -> None:
    async def main() -> None:
        swarm = Swarm(3, republish_s=3600)
        swarm[0].share("evergreen.txt")
        await asyncio.sleep(5)
        for _ in range(30):
            await asyncio.sleep(3600)
            swarm[0].plugin._changed.set()  # as the routine does
            await asyncio.sleep(5)
            for member in swarm.members.values():
                await member.plugin._expire()
        assert await swarm[2].names("evergreen", local=True) == ["evergreen.txt"]
        await swarm.close()

    run(main())


def test_postings_of_a_publisher_that_died_expire_after_a_day() -> None:
    async def main() -> None:
        swarm = Swarm(3)
        swarm[0].share("orphan.txt")
        await asyncio.sleep(5)
        await swarm[0].stop()
        assert await swarm[2].names("orphan") == ["orphan.txt"]
        await asyncio.sleep(24 * 3600 + 1)
        for number in (1, 2):
            await swarm[number].plugin._expire()
            assert len(swarm[number].plugin._store) == 0
        assert await swarm[2].names("orphan") == []
        for number in (1, 2):
            await swarm[number].stop()

    run(main())
