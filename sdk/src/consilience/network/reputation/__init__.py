"""Reputation: how good a node is, from the point of view of whoever asks.

No score is the same for everyone, because none that is can withstand invented identities. What one verified oneself
counts fully. The reviews of those whom one trusts, directly or through others, count as far as trust flows to them, and
all of them together no more than a fixed part of what one knows oneself. The reviews of strangers count nothing.

Nothing here knows a signature, a clock or a network. The signed reviews of `consilience.reviews` become `Evidence`
beside this room, in `consilience.network.review_evidence`: that is where a ticket counts
once, and where what was retracted stays away. `docs/network/reputation.md` says what is guaranteed and what is not.

It needs the extra: `pip install "consilience[network]"`.

>>> reputation = Reputation(evidence, viewer=me, edges=book.edges(viewer=me), now=utc_now())
>>> reputation.score(node_id, domain="units").mean
"""

from __future__ import annotations

try:
    from consilience.network.reputation.reputation import Reputation
except ModuleNotFoundError as error:
    if error.name is None or error.name.partition(".")[0] == "consilience":
        raise
    raise ModuleNotFoundError(
        f'reputation needs {error.name}: pip install "consilience[network]"', name=error.name
    ) from error
from consilience.network.reputation.evidence import Evidence, EvidenceClass, Verification
from consilience.network.reputation.evidence_files import read_evidence
from consilience.network.reputation.policy import Policy
from consilience.network.reputation.scores import ClassCount, Contribution, Explanation, Limit, Score

__all__ = [
    "ClassCount",
    "Contribution",
    "Evidence",
    "EvidenceClass",
    "Explanation",
    "Limit",
    "Policy",
    "Reputation",
    "Score",
    "Verification",
    "read_evidence",
]
