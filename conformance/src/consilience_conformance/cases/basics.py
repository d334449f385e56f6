"""The first checks, on which all others rest: a card, a refusal that means it, an ask that is answered."""

from __future__ import annotations

from collections.abc import Iterator

from consilience_conformance.checks import Check
from consilience_conformance.rules.answers import answer_findings
from consilience_conformance.rules.logs import complete, read_log
from consilience_conformance.rules.refusals import refused, was_accepted
from consilience_conformance.stage import Stage
from consilience_conformance.transcripts import Transcript
from consilience_conformance.verdicts import Finding


async def _ask_for_what_nobody_offers(stage: Stage) -> None:
    nonce = stage.random.randrange(10**12)
    await stage.send("unknown-skill", stage.ask(skill_id=f"no-such-skill-{nonce}"))
    if stage.subject.skill.id:
        await stage.send("unknown-model", stage.ask(model_id=f"no-such-model-{nonce}"))


def _judge_what_nobody_offers(seen: Transcript) -> Iterator[Finding]:
    yield from refused(seen["unknown-skill"], "SKILL_UNKNOWN", requirement="ASK-SKILL-001")
    for exchange in seen.named("unknown-model"):
        yield from refused(exchange, "MODEL_UNKNOWN", requirement="ASK-SKILL-001")


async def _ask(stage: Stage) -> None:
    await stage.send("ask", stage.ask())


def _judge_ask(seen: Transcript) -> Iterator[Finding]:
    exchange = seen["ask"]
    if not exchange.accepted:
        yield from was_accepted(exchange, requirement="NODE-PROF-001")
        return
    yield from complete(exchange)
    yield from answer_findings(seen, read_log(exchange), asked=exchange)


CHECKS = (
    Check(
        name="unknown-skill-is-refused",
        title="What the card does not offer is refused: a node that says yes to everything stops here.",
        requirements=("ASK-SKILL-001",),
        drive=_ask_for_what_nobody_offers,
        judge=_judge_what_nobody_offers,
        after=(),
        asks=False,
    ),
    Check(
        name="ask",
        title="An ask is answered with a log by the rules and a signed answer that fits it.",
        requirements=(
            "NODE-PROF-001",
            "STRM-LOG-001",
            "STRM-LOG-002",
            "STRM-LOG-003",
            "STRM-TXT-001",
            "STRM-TXT-002",
            "SIG-ENV-001",
            "ASK-ANS-001",
            "ASK-ANS-002",
            "ASK-ANS-003",
            "ASK-ANS-004",
            "ASK-ANS-005",
        ),
        drive=_ask,
        judge=_judge_ask,
        after=("unknown-skill-is-refused", "methods-of-the-profiles-are-served"),
    ),
)
