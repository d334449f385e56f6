"""Trust flow: how much of the viewer's trust reaches whom (personalised PageRank; Page et al. 1999, section 6).

A walk starts at one of those whom the viewer trusts, and goes on along edges of trust, each step with the probability
`damping`, until it stops. The flow to a node is the probability that the walk stops there. A walk that has nowhere to
go is lost; it is not handed out to everybody, as a PageRank for all would do. So what an attacker's region receives is
bounded by the flow across the edges into it, whatever stands behind them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from consilience.network.reputation.posteriors import Floats
from consilience.network.trust_edges import TrustEdge
from consilience.units import PublicKey

TOLERANCE = 1e-13
"""How much flow may be missing in all, because no walk is followed for ever."""

_SMALLEST = float(np.finfo(np.float64).tiny)


def steps_of(weights: csr_array) -> csr_array:
    """Returns where a walk goes on: each row divided by its sum. Rows of zeros stay, for walks end there.

    Args:
        weights: In row u, how much u trusts each other.
    """
    sums = np.asarray(weights.sum(axis=1)).ravel()
    shares = np.divide(1.0, sums, out=np.zeros_like(sums), where=sums > 0)
    steps = weights.copy()
    steps.data = steps.data * np.repeat(shares, np.diff(steps.indptr))
    return steps


def trust_flow(steps: csr_array, *, start: Floats, damping: float) -> Floats:
    """Returns the probability that a walk stops at each node.

    The number of rounds depends on `damping` alone, so that what strangers do changes no bit of the result.

    Args:
        steps: From `steps_of`.
        start: The probabilities of where it starts; their sum is 1, or 0 where nobody is trusted.
        damping: The probability of each further step, below 1.
    """
    rounds = math.ceil(math.log(TOLERANCE) / math.log(damping)) if damping > 0 else 0
    backwards = steps.T.tocsr()
    reached = start
    stopped = (1 - damping) * start
    for _ in range(rounds):
        reached = damping * (backwards @ reached)
        stopped = stopped + (1 - damping) * reached
    return stopped


class TrustGraph:
    """The edges of trust as the viewer sees them: its own say where walks start, and none leads back to it.

    Edges between the same two add up. Who trusts itself is not heard.
    """

    def __init__(self, edges: Iterable[TrustEdge], *, viewer: PublicKey, damping: float) -> None:
        self._damping = damping
        listed = edges if isinstance(edges, Sequence) else tuple(edges)
        named = {edge.truster for edge in listed} | {edge.trusted for edge in listed}
        self._ids = [viewer, *sorted(named - {viewer})]
        self._index = {key: number for number, key in enumerate(self._ids)}
        index, size = self._index, len(listed)
        rows = np.fromiter((index[edge.truster] for edge in listed), dtype=np.int32, count=size)
        columns = np.fromiter((index[edge.trusted] for edge in listed), dtype=np.int32, count=size)
        weights = np.fromiter((edge.weight for edge in listed), dtype=np.float64, count=size)
        order = np.lexsort((weights, columns, rows))  # sums of floats depend on their order, and nothing else is to
        order = order[(columns != 0)[order] & (columns != rows)[order]]
        shape = (len(self._ids), len(self._ids))
        self._steps = steps_of(csr_array((weights[order], (rows[order], columns[order])), shape=shape))
        start: Floats = self._steps[[0], :].toarray().ravel()
        self._flow = trust_flow(self._steps, start=start, damping=damping)

    def flow(self, node_id: PublicKey) -> float:
        """Returns the trust that flows from the viewer to a node, 0 to 1; 0 for strangers and for the viewer."""
        number = self._index.get(node_id)
        return 0.0 if number is None else float(self._flow[number])

    def paths(self, node_ids: Iterable[PublicKey]) -> dict[PublicKey, tuple[PublicKey, ...]]:
        """Returns the most likely walk to each node that trust flows to, from the viewer to the node itself."""
        lengths = self._steps.copy()
        lengths.data = -np.log(max(self._damping, _SMALLEST)) - np.log(np.maximum(lengths.data, _SMALLEST))
        _, before = dijkstra(lengths, indices=0, return_predecessors=True)
        return {key: self._path(key, before) for key in node_ids if self.flow(key) > 0}

    def _path(self, node_id: PublicKey, before: Sequence[int]) -> tuple[PublicKey, ...]:
        path = [self._index[node_id]]
        while path[-1] != 0:
            path.append(int(before[path[-1]]))
        return tuple(self._ids[number] for number in reversed(path))
