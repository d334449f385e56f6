"""Evidence: one judgement of one answer of a node, as reputation reads it."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime

from consilience.identity import PUBLIC_KEY_BYTES
from consilience.units import PublicKey

FULL_SCORE = 1000
MOST_BUCKET = 64
"""Far more than the digits of any amount: from there on, no float tells paid evidence from wholly paid."""


class Verification(enum.Enum):
    """How a judge knows what it says of an answer."""

    GROUND_TRUTH = "ground truth"
    """It knew the right answer before it asked."""

    TOOL = "tool"
    """A deterministic program checked the answer."""

    HUMAN = "human"
    """A person accepted or rejected it."""

    CROSS_CHECK = "cross-check"
    """Independent nodes agreed or disagreed."""

    NONE = "none"
    """Nobody checked: an opinion, which counts nothing."""


class EvidenceClass(enum.Enum):
    """What a piece of evidence is to the viewer. The value is its letter in the specification."""

    OWN = "A"
    """The viewer verified it: counts fully."""

    TRUSTED = "B"
    """Trust flows from the viewer to its judge: counts as far as it flows, and up to the cap."""

    STRANGER = "C"
    """No trust flows to its judge: counts nothing, and raises the audit rate where it accuses."""

    SET_ASIDE = "-"
    """Nobody checked it, or the node judged itself: counts nothing at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A judgement of one answer.

    A review becomes evidence like this: CORRECT has the full score, WRONG and HARMFUL have 0, PARTLY_CORRECT has the
    score that it states, and UNVERIFIABLE is no evidence. Whoever converts them sees to it that a ticket is used once
    and that what was retracted stays away.

    Attributes:
        judge: Who judged.
        subject: The node that was judged.
        domain: In which domain the question was; empty: none was named.
        score_milli: How right the answer was, in thousandths.
        verification: How the judge knows.
        time: When it judged, aware. A time to come counts as now.
        paid_bucket: The bucket of the amount in the payment attestation, 64 at most; 0: none.
    """

    judge: PublicKey
    subject: PublicKey
    domain: str
    score_milli: int
    verification: Verification
    time: datetime
    paid_bucket: int = 0

    def __post_init__(self) -> None:
        if len(self.judge) != PUBLIC_KEY_BYTES or len(self.subject) != PUBLIC_KEY_BYTES:
            raise ValueError(f"judge and subject are public keys of {PUBLIC_KEY_BYTES} bytes")
        if not 0 <= self.score_milli <= FULL_SCORE:
            raise ValueError(f"a score is 0 to {FULL_SCORE} thousandths, not {self.score_milli!r:.12}")
        if self.time.tzinfo is None:
            raise ValueError("the time of evidence is aware")
        if not 0 <= self.paid_bucket <= MOST_BUCKET:
            raise ValueError(f"a bucket of amounts is 0 to {MOST_BUCKET}, not {self.paid_bucket!r:.12}")
