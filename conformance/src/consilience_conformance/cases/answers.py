"""Checks of signed answers (spec section 2.5), beyond those that every answer passes: endings, sources, promises."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from consilience.v1 import ask_pb2, conformance_pb2, node_pb2
from consilience_conformance.checks import Check
from consilience_conformance.needs import Needs
from consilience_conformance.rules.answers import answer_findings, card_of
from consilience_conformance.rules.endings import cancel_tells, ended_as, snapshot_tells, tail_is, text_is
from consilience_conformance.rules.logs import complete, read_log
from consilience_conformance.stage import Stage, token
from consilience_conformance.steps import cites, concludes, fails, reports
from consilience_conformance.subjects import SCRIPT_SKILL
from consilience_conformance.transcripts import Transcript
from consilience_conformance.verdicts import Finding

CAUSE = "the engine ran out of 4711"
"""A reason to fail that the asker is not told."""

INTAKE = ask_pb2.Intake(
    prompt_tokens_received=9, prompt_tokens_used=7, prompt_tokens_dropped=2, dropped_side=ask_pb2.DROPPED_SIDE_START
)
CONFIDENCE = ask_pb2.Confidence(p_correct=0.25, lower=0.125, upper=0.5, method="dice", sample_count=3)
DETAIL = "nothing here bears on it"

ENDINGS: Mapping[str, str] = {
    "by-itself": "ANSWERED COMPLETE",
    "abstained": "ABSTAINED NO_KNOWLEDGE",
    "refused": "REFUSED POLICY",
    "failed": "FAILED ENGINE_FAILURE",
    "output-limit": "TRUNCATED OUTPUT_LIMIT",
}
"""By exchange, how the answer ends that its script makes."""


def _complete(skill: node_pb2.Skill) -> list[conformance_pb2.ScriptStep]:
    """Returns the steps that end an answer with what the card says that the skill gives, and no more."""
    gives: dict[str, object] = {}
    if skill.gives_confidence:
        gives["confidence"] = CONFIDENCE
    if skill.gives_intake:
        gives["intake"] = INTAKE
    sources = [cites("given")] if skill.gives_citations else []
    if not gives:
        return sources
    return [*sources, concludes(ask_pb2.OUTCOME_ANSWERED, ask_pb2.STOP_REASON_COMPLETE, **gives)]


async def _endings(stage: Stage) -> None:
    await stage.send("by-itself", stage.ask(token("all", times=2), *_complete(stage.subject.skill)))
    told = {"detail": DETAIL, "confidence": CONFIDENCE, "intake": INTAKE, "input_tokens": 7}
    abstains = concludes(ask_pb2.OUTCOME_ABSTAINED, ask_pb2.STOP_REASON_NO_KNOWLEDGE, **told)
    await stage.send("abstained", stage.ask(token("I do not know"), abstains, token("or do I")))
    refuses = concludes(ask_pb2.OUTCOME_REFUSED, ask_pb2.STOP_REASON_POLICY, intake=INTAKE)
    await stage.send("refused", stage.ask(refuses))
    await stage.send("failed", stage.ask(token("it began"), fails(CAUSE), token("and went on")))
    limits = ask_pb2.AskLimits(max_output_tokens=3)
    await stage.send("output-limit", stage.ask(token("t", times=5), token("never"), limits=limits))


def _judge_endings(seen: Transcript) -> Iterator[Finding]:
    for name, ending in ENDINGS.items():
        yield from complete(seen[name])
        log = read_log(seen[name])
        if name == "output-limit" and _card_promises_intake(seen):
            continue
        yield from ended_as(log, ending, requirement="STRM-LOG-003", name=name)
        yield from answer_findings(seen, log, asked=seen[name])
    texts = {"by-itself": "allall", "abstained": "I do not know", "failed": "it began", "output-limit": "ttt"}
    for name, text in texts.items():
        yield from text_is(read_log(seen[name]), text, requirement="SEC-SCRIPT-001", name=name)
    for name, tokens in (("by-itself", 2), ("abstained", 1), ("refused", 0), ("output-limit", 3)):
        answer = read_log(seen[name]).answer
        if answer is not None:
            yield from _told("output_tokens", tokens, answer.usage.output_tokens, name=name)
    yield from _judge_conclusion(seen)


def _card_promises_intake(seen: Transcript) -> bool:
    """Tells whether no script can end at the bound on tokens as the card says: a conclusion would carry the intake."""
    return any(skill.gives_intake for skill in card_of(seen)[1].skills if skill.id == SCRIPT_SKILL)


def _judge_conclusion(seen: Transcript) -> Iterator[Finding]:
    if (answer := read_log(seen["abstained"]).answer) is not None:
        yield from _told("detail", DETAIL, answer.detail, name="abstained")
        yield from _told("confidence", CONFIDENCE, answer.confidence, name="abstained")
        yield from _told("intake", INTAKE, answer.intake, name="abstained")
        yield from _told("input_tokens", 7, answer.usage.input_tokens, name="abstained")
    failed = read_log(seen["failed"]).answer
    if failed is not None and CAUSE in failed.detail:
        yield Finding(
            requirement="SEC-SCRIPT-001",
            message="the asker was told why the engine failed",
            expected="another detail",
            got=failed.detail,
            exchange="failed",
        )


def _told(what: str, expected: object, got: object, *, name: str) -> Iterator[Finding]:
    if expected != got:
        message = f"the answer does not tell the {what} of the script"
        yield Finding(
            requirement="SEC-SCRIPT-001", message=message, expected=str(expected), got=str(got), exchange=name
        )


SOURCES = ("b", "a", "c", "a")
"""Documents in the order of the script, which no order by name is, one of them twice."""


async def _sources(stage: Stage) -> None:
    steps = [step for uri in SOURCES for step in (token("Because. "), cites(uri))]
    await stage.send("ask", stage.ask(*steps, reports("nearly there"), *_complete(stage.subject.skill)))


def _judge_sources(seen: Transcript) -> Iterator[Finding]:
    yield from complete(seen["ask"])
    log = read_log(seen["ask"])
    yield from answer_findings(seen, log, asked=seen["ask"])
    cited = [citation.document.uri for citation in log.citations][: len(SOURCES)]
    if cited != list(SOURCES):
        message = "the citations of the log are not those of the script"
        yield Finding(
            requirement="SEC-SCRIPT-001", message=message, expected=str(list(SOURCES)), got=str(cited), exchange="ask"
        )


async def _silence(stage: Stage) -> None:
    await stage.send("ask", stage.ask(token("nothing more")))


def _judge_silence(seen: Transcript) -> Iterator[Finding]:
    """A script that gives nothing of what the card may promise: the node keeps quiet too, or fails the answer."""
    yield from complete(seen["ask"])
    log = read_log(seen["ask"])
    yield from answer_findings(seen, log, asked=seen["ask"])
    if (answer := log.answer) is None:
        return
    for what, made_up in (
        ("citations", bool(answer.citations)),
        ("confidence", answer.HasField("confidence")),
        ("intake", answer.HasField("intake")),
    ):
        if made_up:
            message = f"the node made up the {what} that the script leaves out"
            yield Finding(requirement="ASK-ANS-005", message=message, expected="none", exchange="ask")


async def _one_final(stage: Stage) -> None:
    ask = stage.ask()
    envelope = stage.seal(ask)
    first = await stage.send("first", envelope)
    await stage.get("get", ask)
    await stage.cancel("cancel", ask)
    await stage.send("copy", envelope)
    await stage.resume("final-alone", ask, after=max(0, read_log(first).last - 1))
    await stage.get("get-again", ask)


def _judge_one_final(seen: Transcript) -> Iterator[Finding]:
    yield from complete(seen["first"])
    log = read_log(seen["first"])
    yield from snapshot_tells(seen["get"], log)
    yield from cancel_tells(seen["cancel"], log)
    yield from tail_is(seen["copy"], log, after=0)
    yield from tail_is(seen["final-alone"], log, after=max(0, log.last - 1))
    yield from snapshot_tells(seen["get-again"], log)


CHECKS = (
    Check(
        name="the-final-is-the-same-everywhere",
        title="A stream, its copies, GetAnswer and CancelAnswer tell one and the same Final, byte for byte.",
        requirements=("STRM-CUR-001", "ASK-STOP-001", "STRM-LOG-003"),
        drive=_one_final,
        judge=_judge_one_final,
    ),
    Check(
        name="answers-end-as-their-scripts-do",
        title="A Final tells how the answer ended: by itself, with what the script says, in failure, at its bound.",
        requirements=("STRM-LOG-003", "SEC-SCRIPT-001", "ASK-ANS-003", "STRM-TXT-002"),
        drive=_endings,
        judge=_judge_endings,
        needs=Needs.SCRIPT,
    ),
    Check(
        name="citations-are-those-of-the-log",
        title="A signed answer names the sources that its log named, in the order of the log.",
        requirements=("ASK-ANS-004", "SEC-SCRIPT-001"),
        drive=_sources,
        judge=_judge_sources,
        needs=Needs.SCRIPT,
    ),
    Check(
        name="what-a-script-leaves-out-is-not-made-up",
        title="No citation, confidence or intake stands in an answer whose script gives none.",
        requirements=("ASK-ANS-005",),
        drive=_silence,
        judge=_judge_silence,
        needs=Needs.SCRIPT,
    ),
)
