"""Recall of keyword search against a central index, and what it costs: `python -m plugins.search.bench.search_recall`.

A Zipf corpus is published by 2,000 publishers to the index peers of its words; queries of one to three words of real
documents are asked and compared with plain BM25 over the whole corpus.  Prints one JSON object.
"""

import argparse
import json
import random
import statistics
import time

from plugins.search.bench.simulation import SearchSimulation
from plugins.search.tests.corpus import CentralIndex, recall, zipf_corpus


def gini(values: list[int]) -> float:
    """0: all alike, towards 1: one has everything."""
    ordered = sorted(values)
    total = sum(ordered)
    return sum((2 * i - len(ordered) + 1) * value for i, value in enumerate(ordered)) / (len(ordered) * total)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--peers", type=int, default=1_000)
    parser.add_argument(
        "--replicas", type=int, default=3, help="20 on a real node; memory here is for all nodes at once"
    )
    parser.add_argument("--vocabulary", type=int, default=50_000)
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    documents = zipf_corpus(args.documents, args.vocabulary, 2_000, rng)
    simulation = SearchSimulation(args.peers, args.replicas, 32_768, rng)
    started = time.perf_counter()
    for document in documents:
        simulation.publish(document.name, document.root, document.publisher)
    published_s = time.perf_counter() - started
    lookups = simulation.lookups
    oracle = CentralIndex(documents)
    recalls: dict[int, list[float]] = {1: [], 2: [], 3: []}
    results = []
    for _ in range(args.queries):
        document = rng.choice(documents)
        distinct = sorted(set(document.words))
        words = rng.sample(distinct, min(len(distinct), rng.choice((1, 2, 2, 3))))
        result = simulation.search(" ".join(words), 20)
        results.append(result)
        recalls[len(words)].append(recall(result.roots, oracle.scores(words)))
    every = [value for values in recalls.values() for value in values]
    loads = [len(store) for store in simulation.stores.values()]
    print(
        json.dumps(
            {
                "documents": args.documents,
                "peers": args.peers,
                "replicas": args.replicas,
                "recall_at_20": round(statistics.mean(every), 4),
                "recall_by_words": {n: round(statistics.mean(v), 4) for n, v in recalls.items() if v},
                "recall_p5": round(sorted(every)[len(every) // 20], 4),
                "publish_s": round(published_s, 1),
                "publish_lookups": lookups,
                "stored": simulation.stored,
                "waiting": simulation.waiting,
                "refused": simulation.refused,
                "requests_per_query": round(statistics.mean(r.requests for r in results), 2),
                "lookups_per_query": round(statistics.mean(r.lookups for r in results), 2),
                "answer_kib_per_query": round(statistics.mean(r.answer_bytes for r in results) / 1024, 1),
                "first_hit_p50_s": round(statistics.median(r.first_hit_s for r in results), 3),
                "index_load_gini": round(gini(loads), 3),
                "index_load_max": max(loads),
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
