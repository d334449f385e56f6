"""The check that a CancelAnswer which is refused stops nothing: its work stands at a gate while it is called.

Elsewhere such calls are about answers that may be over, of which nobody can see whether they were stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from consilience_conformance.batches import Defect, fate_of, send_spoilt
from consilience_conformance.cases import constraints, envelopes, headers
from consilience_conformance.checks import Check
from consilience_conformance.needs import Needs
from consilience_conformance.rules.endings import cancel_tells, ended_as, text_is
from consilience_conformance.rules.logs import complete, read_log
from consilience_conformance.signed_calls import CANCELLING
from consilience_conformance.stage import Stage, text_seen, token, wait
from consilience_conformance.transcripts import Transcript
from consilience_conformance.verdicts import Finding

_DEFECTS = (*envelopes.defects(), *headers.defects(), *constraints.defects_of(CANCELLING))
REFUSED = tuple(
    Defect(name=defect.name, requirement=defect.requirement, reason=defect.reason, spoil=defect.spoil)
    for defect in _DEFECTS
    if defect.reason
)
"""Those without a reason would stop the work; what else a refusal has to show is looked at elsewhere."""


async def _cancel_in_vain(stage: Stage) -> None:
    gate = stage.gate()
    ask = stage.ask(token("so far"), wait(gate), token(" and on"))
    reader = stage.open_ask("ask", ask)
    await reader.until(text_seen("so far"), budget=stage.budget)
    await asyncio.gather(*(send_spoilt(stage, CANCELLING, ask, defect) for defect in REFUSED))
    await stage.open_gate("open", gate)
    await reader.until(budget=stage.budget)
    await stage.cancel("control-after", ask)


def _judge_in_vain(seen: Transcript) -> Iterator[Finding]:
    for defect in REFUSED:
        yield from fate_of(seen, defect)
    log = read_log(seen["ask"])
    yield from complete(seen["ask"], requirement="ASK-STOP-001")
    yield from ended_as(log, "ANSWERED COMPLETE", requirement="ASK-STOP-001", name="ask")
    yield from text_is(log, "so far and on", requirement="ASK-STOP-001", name="ask")
    yield from cancel_tells(seen["control-after"], log)


CHECKS = (
    Check(
        name="a-refused-cancel-stops-nothing",
        title="The work goes on to its end while calls of CancelAnswer are refused, each for its own defect.",
        requirements=tuple(dict.fromkeys(("ASK-STOP-001", *(defect.requirement for defect in REFUSED)))),
        drive=_cancel_in_vain,
        judge=_judge_in_vain,
        after=("ask", "cancel-stops-the-work"),
        needs=Needs.SCRIPT,
    ),
)
