"""Conclusions: what a handler may say, held to the rules that ask.proto declares (ERR-FLD-001).

A node sends nothing that an asker would have to refuse. So the rules by which askers check (`asks.claims`) are checked
where a handler speaks; and no value of a later version can be meant there.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from consilience.asks import (
    MAX_DETAIL_CHARACTERS,
    Citation,
    Confidence,
    DroppedSide,
    Intake,
    Outcome,
    Progress,
    StopReason,
    Usage,
    claim_violations,
)
from consilience.errors import UsageError
from consilience.nodes import Model
from consilience.server.descriptions import at_most, check_model


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """What a handler knows about its answer at the end; the node adds text digest, bytes, sources and times.

    Attributes:
        outcome, stop_reason: How the answer ended, and what ended it.
        detail: Explains the outcome for people, without text of the ask, at most 1024 characters.
        confidence: How sure the handler is, or None: it does not say.
        model: The model that answered, or None: none took part.
        intake: What was read to make the answer, or None: not disclosed.
        usage: Token counts; `output_bytes` and `duration` are the node's to fill.

    Raises:
        UsageError: An asker would have to refuse the answer, because a field breaks a rule of ask.proto.
    """

    outcome: Outcome = Outcome.ANSWERED
    stop_reason: StopReason = StopReason.COMPLETE
    detail: str = ""
    confidence: Confidence | None = None
    model: Model | None = None
    intake: Intake | None = None
    usage: Usage = field(default_factory=Usage)

    def __post_init__(self) -> None:
        if self.outcome is Outcome.UNKNOWN or self.stop_reason is StopReason.UNKNOWN:
            raise UsageError("a conclusion names an outcome and a stop reason of this version")
        at_most("the detail", self.detail, MAX_DETAIL_CHARACTERS)
        _check(self.usage)
        if self.confidence is not None:
            _check(self.confidence)
        if self.model is not None:
            check_model(self.model)
        if self.intake is not None:
            if self.intake.dropped_side is DroppedSide.UNKNOWN:
                raise UsageError("the intake names a dropped side of this version")
            _check(self.intake)


def check_event(event: Citation | Progress) -> None:
    """Checks what a handler yields besides text.

    Raises:
        UsageError: An asker would have to refuse the event.
    """
    _check(event)


def _check(claim: Confidence | Intake | Usage | Citation | Progress) -> None:
    for path, description in claim_violations(claim):
        raise UsageError(f"{path} {description}")
