from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from consilience.network.reputation.trust_flow import TrustGraph, steps_of, trust_flow
from consilience.network.trust_edges import LEAST_WEIGHT, TrustEdge
from sdk.tests.network.reputation.scenes import ME, UNHURRIED, edges_among, key, trusts

PEOPLE = ["ann", "bob", "cy", "dee", "eve"]
DAMPING = 0.5


@UNHURRIED
@given(
    weights=st.lists(st.lists(st.sampled_from([0.0, 0.0, 0.25, 1.0]), min_size=6, max_size=6), min_size=6, max_size=6),
    start=st.lists(st.floats(0.01, 1), min_size=6, max_size=6),
    damping=st.sampled_from([0.0, 0.3, 0.5, 0.85, 0.99]),
)
def test_the_flow_solves_its_equation(weights: list[list[float]], start: list[float], damping: float) -> None:
    rows, first = np.array(weights), np.array(start) / sum(start)
    sums = rows.sum(axis=1, keepdims=True)
    steps = np.divide(rows, sums, out=np.zeros_like(rows), where=sums > 0)
    exact = (1 - damping) * np.linalg.solve(np.eye(6) - damping * steps.T, first)
    found = trust_flow(steps_of(csr_array(rows)), start=first, damping=damping)
    assert found == pytest.approx(exact, abs=1e-12)


def test_trust_is_divided_among_those_whom_one_trusts() -> None:
    graph = TrustGraph(
        [*trusts("me", "ann", weight=0.75), *trusts("me", "bob", weight=0.25)], viewer=ME, damping=DAMPING
    )
    assert (graph.flow(key("ann")), graph.flow(key("bob"))) == pytest.approx((0.375, 0.125))


def test_the_least_weights_make_shares() -> None:
    least = [*trusts("me", "ann", weight=LEAST_WEIGHT), *trusts("me", "bob", weight=LEAST_WEIGHT)]
    graph = TrustGraph(least, viewer=ME, damping=DAMPING)
    assert (graph.flow(key("ann")), graph.flow(key("bob"))) == pytest.approx((0.25, 0.25))


def test_trust_that_goes_on_is_halved_at_each_step() -> None:
    graph = TrustGraph([*trusts("me", "ann"), *trusts("ann", "bob")], viewer=ME, damping=DAMPING)
    assert (graph.flow(key("ann")), graph.flow(key("bob"))) == pytest.approx((0.5, 0.25))


def test_strangers_get_nothing_however_they_trust_each_other_and_me() -> None:
    graph = TrustGraph([*trusts("me", "ann"), *trusts("eve", "bob", "me", "ann")], viewer=ME, damping=DAMPING)
    assert [graph.flow(key(name)) for name in ("eve", "bob", "never seen")] == [0, 0, 0]
    assert graph.flow(key("ann")) == pytest.approx(0.5)


def test_nothing_flows_to_oneself_even_where_others_trust_one() -> None:
    graph = TrustGraph([*trusts("me", "ann"), *trusts("ann", "me", "bob")], viewer=ME, damping=DAMPING)
    assert graph.flow(ME) == 0
    assert graph.flow(key("bob")) == pytest.approx(0.25)


def test_who_trusts_itself_is_not_heard() -> None:
    honest = TrustGraph([*trusts("me", "ann"), *trusts("ann", "bob")], viewer=ME, damping=DAMPING)
    vain = TrustGraph([*trusts("me", "ann"), *trusts("ann", "ann", "bob")], viewer=ME, damping=DAMPING)
    assert vain.flow(key("ann")) == honest.flow(key("ann"))


def test_who_trusts_nobody_hears_nobody() -> None:
    graph = TrustGraph(trusts("ann", "bob"), viewer=ME, damping=DAMPING)
    assert graph.flow(key("bob")) == 0
    assert graph.paths([key("bob")]) == {}


@UNHURRIED
@given(edges_among(["me", *PEOPLE], ["me", *PEOPLE]), st.floats(0, 0.9))
def test_all_flow_together_is_no_more_than_one(edges: list[TrustEdge], damping: float) -> None:
    graph = TrustGraph(edges, viewer=ME, damping=damping)
    flows = [graph.flow(key(name)) for name in PEOPLE]
    assert all(flow >= 0 for flow in flows)
    assert sum(flows) <= 1 + 1e-12


def test_the_path_is_the_most_likely_walk() -> None:
    edges = [
        *trusts("me", "ann", "bob"),
        *trusts("ann", "cy", weight=0.9),
        *trusts("ann", "dee", weight=0.1),
        *trusts("bob", "dee"),
    ]
    graph = TrustGraph(edges, viewer=ME, damping=DAMPING)
    paths = graph.paths([key("dee"), key("cy"), key("eve")])
    assert paths == {key("dee"): (ME, key("bob"), key("dee")), key("cy"): (ME, key("ann"), key("cy"))}


@UNHURRIED
@given(edges_among(["me", *PEOPLE], PEOPLE), st.floats(0, 0.9))
def test_there_is_a_path_to_everybody_whom_trust_reaches(edges: list[TrustEdge], damping: float) -> None:
    graph = TrustGraph(edges, viewer=ME, damping=damping)
    stated = {(edge.truster, edge.trusted) for edge in edges}
    paths = graph.paths(map(key, PEOPLE))
    assert set(paths) == {key(name) for name in PEOPLE if graph.flow(key(name)) > 0}
    for target, path in paths.items():
        assert (path[0], path[-1]) == (ME, target)
        assert set(pairwise(path)) <= stated


@pytest.mark.parametrize("weight", [0.0, -1.0, 1.5, float("nan")])
def test_a_weight_that_is_none_is_refused(weight: float) -> None:
    with pytest.raises(ValueError, match="weight of a trust edge"):
        trusts("me", "ann", weight=weight)
