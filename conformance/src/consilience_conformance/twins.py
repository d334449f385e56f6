"""Twins: a call that is accepted, the same with one defect, the same without it again, and what is left behind.

A node that refuses everything passes no twin, because its controls fail; one that refuses for another reason does not,
because the reason is compared; one that refuses and acts all the same does not, because the state is read back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from consilience.v1 import ask_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance.ask_methods import ASK
from consilience_conformance.checks import Check
from consilience_conformance.rules.refusals import refused, was_accepted
from consilience_conformance.stage import Stage, accepted
from consilience_conformance.transcripts import Transcript
from consilience_conformance.verdicts import Finding

Defect = Callable[[Stage, ask_pb2.Ask], SignedEnvelope]
"""Returns the signed ask with one defect; it gets the good ask, whose request id it keeps."""

BEFORE, DEFECT, STATE, AFTER = "control-before", "defect", "state", "control-after"


def ask_twin(
    name: str,
    *,
    title: str,
    requirement: str,
    reason: str | tuple[str, ...],
    defect: Defect,
    after: tuple[str, ...] = ("ask",),
    same_id: bool = True,
    **others: object,
) -> Check:
    """Returns the check of an ask that has to be refused.

    The third oracle: the refused ask is not there afterwards, and the good ask under the very same request id is
    accepted, so nothing was bound (ASK-IDEM-005).

    Args:
        name: Of the check.
        title: Of the check.
        requirement: The rule that wants the refusal.
        reason: The reason, or those of which each will do.
        defect: Makes the bad ask of a good one, a copy that it may change.
        after: Checks without which this one says nothing.
        same_id: Whether the defect leaves the request id and the caller alone, so that state can be read back by them.
        others: Further fields of the check.
    """
    reasons = (reason,) if isinstance(reason, str) else reason

    async def drive(stage: Stage) -> None:
        await stage.send(BEFORE, stage.ask(), until=accepted)
        good, spoilt = stage.ask(), ask_pb2.Ask()
        spoilt.CopyFrom(good)
        await stage.call(DEFECT, ASK, ask_pb2.AskRequest(ask=defect(stage, spoilt)), until=accepted)
        if same_id:
            await stage.get(STATE, good)
        await stage.let_go()
        await stage.send(AFTER, good, until=accepted)

    def judge(seen: Transcript) -> Iterator[Finding]:
        yield from was_accepted(seen[BEFORE], requirement=requirement)
        yield from refused(seen[DEFECT], *reasons, requirement=requirement)
        if same_id:
            yield from refused(seen[STATE], "ANSWER_UNKNOWN", requirement="ASK-IDEM-005")
        yield from was_accepted(seen[AFTER], requirement="ASK-IDEM-005" if same_id else requirement)

    requirements = (requirement, "ASK-IDEM-005") if same_id and requirement != "ASK-IDEM-005" else (requirement,)
    return Check(
        name=name,
        title=title,
        requirements=requirements,
        drive=drive,
        judge=judge,
        after=after,
        **others,  # type: ignore[arg-type]
    )
