"""Scenes for reputation: people with short names, what they say of each other, and strategies that draw both."""

import hashlib
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import cache

from hypothesis import settings
from hypothesis import strategies as st

from consilience.network.reputation import Evidence, Policy, Verification
from consilience.network.trust_edges import TrustEdge
from consilience.units import PublicKey

UNHURRIED = settings(deadline=None)
"""How properties are tried: however busy the machine is."""

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
DOMAIN = "units"


@cache
def key(name: str) -> PublicKey:
    """Returns the key of somebody."""
    return PublicKey(hashlib.sha256(name.encode()).digest())


ME = key("me")
NODE = key("node")


def judged(
    judge: str,
    score_milli: int = 1000,
    *,
    subject: str = "node",
    days: float = 0,
    verification: Verification = Verification.GROUND_TRUTH,
    paid_bucket: int = 60,
    domain: str = DOMAIN,
) -> Evidence:
    """Returns a judgement; paid so dearly that it counts as one to within the precision of a float."""
    return Evidence(
        judge=key(judge),
        subject=key(subject),
        domain=domain,
        score_milli=score_milli,
        verification=verification,
        time=NOW - timedelta(days=days),
        paid_bucket=paid_bucket,
    )


def trusts(truster: str, *trusted: str, weight: float = 1.0) -> list[TrustEdge]:
    """Returns edges from one to several."""
    return [TrustEdge(truster=key(truster), trusted=key(name), weight=weight) for name in trusted]


WEIGHTS = st.floats(0.01, 1.0)
POLICIES = st.builds(
    Policy,
    half_life=st.timedeltas(min_value=timedelta(hours=1), max_value=timedelta(days=400)),
    cap_start=st.floats(0, 3),
    cap_growth=st.floats(0, 1),
    counts_per_flow=st.floats(0, 100),
    damping=st.floats(0.0, 0.9),
    cross_check_weight=st.floats(0, 1),
    unpaid_weight=st.floats(0, 1),
)


def edges_among(
    trusters: Iterable[str], trusted: Iterable[str], *, most: int = 20
) -> st.SearchStrategy[list[TrustEdge]]:
    """Draws edges from some people to others."""
    edge = st.builds(
        TrustEdge,
        truster=st.sampled_from([key(name) for name in trusters]),
        trusted=st.sampled_from([key(name) for name in trusted]),
        weight=WEIGHTS,
    )
    return st.lists(edge, max_size=most)


def judgements_of(judges: Iterable[str], *, most: int = 20) -> st.SearchStrategy[list[Evidence]]:
    """Draws judgements of the node, of one other node, and sometimes of a judge."""
    names = list(judges)
    judgement: Callable[..., st.SearchStrategy[Evidence]] = st.builds
    return st.lists(
        judgement(
            Evidence,
            judge=st.sampled_from([key(name) for name in names]),
            subject=st.sampled_from([NODE, NODE, key("another"), key(names[0])]),
            domain=st.sampled_from([DOMAIN, DOMAIN, "law"]),
            score_milli=st.integers(0, 1000),
            verification=st.sampled_from(Verification),
            time=st.timedeltas(min_value=timedelta(days=-1), max_value=timedelta(days=1000)).map(lambda age: NOW - age),
            paid_bucket=st.integers(0, 8),
        ),
        max_size=most,
    )
