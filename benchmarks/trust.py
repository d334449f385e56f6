"""What reputation costs in a large network: against a second, and its trust flow against networkx.

Both are taken in processor time: neither waits for anything, and what else runs on the machine is no part of it.
"""

import random
import time
from collections.abc import Callable
from datetime import timedelta

import networkx as nx

from benchmarks.pairs import Measure, Ratio, in_turn, ratio_of
from consilience.network.reputation import Evidence, Policy, Reputation, Verification
from consilience.network.reputation.trust_flow import TrustGraph
from consilience.network.trust_edges import TrustEdge
from consilience.units import PublicKey, utc_now

NODES = 10_000
EDGES = 500_000
REVIEWS = 100_000
DOMAIN = "units"
ROUNDS = 5
LIMIT_SECONDS = 1.0


async def measure_reputation() -> list[Ratio]:
    """Measures scores of all nodes, from edges and reviews on, and the trust flow alone."""
    draw = random.Random(1)  # noqa: S311 - a network to compute on, not a secret
    nodes = [PublicKey(draw.randbytes(32)) for _ in range(NODES)]
    edges = [TrustEdge(truster=draw.choice(nodes), trusted=draw.choice(nodes)) for _ in range(EDGES)]
    now = utc_now()
    reviews = [
        Evidence(
            judge=draw.choice(nodes),
            subject=draw.choice(nodes),
            domain=DOMAIN,
            score_milli=draw.choice((0, 1000, 1000, 1000)),
            verification=Verification.TOOL,
            time=now - timedelta(days=draw.uniform(0, 30)),
        )
        for _ in range(REVIEWS)
    ]
    viewer, damping = nodes[0], Policy().damping

    def scores() -> None:
        Reputation(reviews, viewer=viewer, edges=edges, now=now).scores(domain=DOMAIN)

    def our_flow() -> None:
        TrustGraph(edges, viewer=viewer, damping=damping)

    def their_flow() -> None:
        graph = nx.DiGraph()
        graph.add_weighted_edges_from((edge.truster, edge.trusted, edge.weight) for edge in edges)
        nx.pagerank(graph, alpha=damping, personalization={viewer: 1})

    return [
        ratio_of(
            await in_turn(_seconds(scores), _limit, rounds=ROUNDS),
            name="reputation_vs_1_s",
            unit=f"s of processor for scores by {EDGES:,} edges and {REVIEWS:,} reviews of {NODES:,} nodes",
            goal=1.0,
            higher_is_better=False,
        ),
        ratio_of(
            await in_turn(_seconds(our_flow), _seconds(their_flow), rounds=ROUNDS),
            name="trust_flow_vs_networkx",
            unit=f"s of processor for {EDGES:,} edges among {NODES:,} nodes",
            goal=1.0,
            higher_is_better=False,
        ),
    ]


def _seconds(work: Callable[[], None]) -> Measure:
    async def measure() -> float:
        began = time.process_time()
        work()
        return time.process_time() - began

    return measure


async def _limit() -> float:
    return LIMIT_SECONDS
