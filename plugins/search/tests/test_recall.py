"""Recall of the whole pure part against a central index: the same corpus, terms, index peers, queries and ranking as on
a network, without the network.  `plugins/search/bench/search_recall.py` does it for 100,000 documents, 1,000 peers."""

import random

from plugins.search.bench.simulation import SearchSimulation
from plugins.search.tests.corpus import CentralIndex, recall, zipf_corpus


def test_recall_at_20_is_at_least_95_percent_of_a_central_index() -> None:
    rng = random.Random(11)
    documents = zipf_corpus(400, 300, 60, rng)
    simulation = SearchSimulation(40, replicas=4, capacity=32_768, rng=rng)
    for document in documents:
        simulation.publish(document.name, document.root, document.publisher)
    oracle = CentralIndex(documents)
    recalls: list[float] = []
    for _ in range(50):
        document = rng.choice(documents)
        words = rng.sample(sorted(set(document.words)), min(len(set(document.words)), rng.choice((1, 2, 2, 3))))
        result = simulation.search(" ".join(words), 20)
        assert result.bad_postings == 0
        recalls.append(recall(result.roots, oracle.scores(words)))
        assert result.counts_asked <= len(words)
    assert sum(recalls) / len(recalls) >= 0.95
