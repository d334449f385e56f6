"""Checks of what stops the work on an answer, and what does not (spec section 2.3)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from time import monotonic

from consilience.v1 import ask_pb2, node_pb2
from consilience_conformance.checks import Check
from consilience_conformance.needs import Needs, NotApplicableError
from consilience_conformance.rules.answers import answer_findings, card_of
from consilience_conformance.rules.endings import (
    cancel_tells,
    ended_as,
    snapshot_of,
    snapshot_tells,
    text_is,
)
from consilience_conformance.rules.logs import Log, complete, read_log
from consilience_conformance.rules.refusals import was_accepted
from consilience_conformance.stage import LOOK_SECONDS, Stage, accepted, text_seen, token, wait
from consilience_conformance.transcripts import Exchange, Transcript
from consilience_conformance.verdicts import Finding
from consilience_conformance.wire_values import nanoseconds_of, shown_time, timestamp

DEADLINE = timedelta(seconds=1)
"""How far ahead the deadline lies; the clocks of node and tester may differ by less than that."""

LONGEST_RUN = timedelta(seconds=5)
"""A max_run_time above this is not waited for."""


async def _cancel_live(stage: Stage) -> None:
    ask = stage.ask()
    reader = stage.open_ask("ask", ask)
    await reader.until(accepted, budget=stage.budget)
    await stage.cancel("cancel", ask)
    await reader.until(budget=stage.budget)
    await stage.get("get", ask)


def _judge_cancel_live(seen: Transcript) -> Iterator[Finding]:
    """The work may have been over already; if it was not, the Final says what stopped it."""
    yield from complete(seen["ask"])
    log = read_log(seen["ask"])
    yield from cancel_tells(seen["cancel"], log)
    yield from snapshot_tells(seen["get"], log)
    yield from answer_findings(seen, log, asked=seen["ask"])


async def _cancel_scripted(stage: Stage) -> None:
    """Stops one answer that has said nothing yet, and one in the middle; the second time they are over."""
    for name, steps in (("early", ()), ("midway", (token("so far"),))):
        ask = stage.ask(*steps, wait(stage.gate()), token(" and on"))
        reader = stage.open_ask(f"{name}-ask", ask)
        await reader.until(text_seen("so far") if steps else accepted, budget=stage.budget)
        await stage.cancel(f"{name}-cancel", ask)
        await reader.until(budget=stage.budget)
        await stage.cancel(f"{name}-again", ask)
        await stage.get(f"{name}-get", ask)


def _judge_cancel_scripted(seen: Transcript) -> Iterator[Finding]:
    for name, text in (("early", ""), ("midway", "so far")):
        asked = seen[f"{name}-ask"]
        log = read_log(asked)
        yield from _stopped(seen, asked, log, ending="CANCELLED CANCELLED", text=text, requirement="ASK-STOP-001")
        yield from cancel_tells(seen[f"{name}-cancel"], log)
        yield from cancel_tells(seen[f"{name}-again"], log)
        yield from snapshot_tells(seen[f"{name}-get"], log)


def _stopped(
    seen: Transcript,
    asked: Exchange,
    log: Log,
    *,
    ending: str,
    text: str,
    requirement: str,
    read: Exchange | None = None,
) -> Iterator[Finding]:
    """Yields what is wrong with an answer that was stopped: how it ended, and what was said before."""
    name = (read or asked).name
    yield from complete(read or asked, requirement=requirement)
    yield from ended_as(log, ending, requirement=requirement, name=name)
    yield from text_is(log, text, requirement=requirement, name=name)
    yield from answer_findings(seen, log, asked=asked, read=read)


async def _deadline(stage: Stage) -> None:
    deadline = timestamp(datetime.now(UTC) + DEADLINE)
    ask = stage.ask(token("so far"), wait(stage.gate()), token(" and on"), limits=ask_pb2.AskLimits(deadline=deadline))
    await stage.send("ask", ask)
    await stage.get("get", ask)


def _judge_deadline(seen: Transcript) -> Iterator[Finding]:
    asked = seen["ask"]
    if not asked.accepted:
        yield from was_accepted(asked, requirement="ASK-STOP-002")
        return
    log = read_log(asked)
    yield from _stopped(seen, asked, log, ending="CANCELLED DEADLINE", text="so far", requirement="ASK-STOP-002")
    yield from snapshot_tells(seen["get"], log)
    ask = ask_pb2.Ask.FromString(ask_pb2.AskRequest.FromString(asked.request).ask.payload)
    answer = log.answer
    if answer and nanoseconds_of(answer.finish_time) < nanoseconds_of(ask.limits.deadline):
        yield Finding(
            requirement="ASK-STOP-002",
            message="the work was stopped before its deadline",
            expected=f"not before {shown_time(ask.limits.deadline)}",
            got=shown_time(answer.finish_time),
            exchange="ask",
        )


async def _run_time(stage: Stage) -> None:
    """Asks without a deadline: what stops the work is the time that the card gives it."""
    longest = _longest_run(stage.target.card, skill_id=stage.subject.skill.id)
    if longest > LONGEST_RUN:
        least, most = longest.total_seconds(), LONGEST_RUN.total_seconds()
        raise NotApplicableError(f"work may go on for {least:g} s, and more than {most:g} s are not waited for")
    ask = stage.ask(token("so far"), wait(stage.gate()), token(" and on"))
    await stage.send("ask", ask)
    await stage.get("get", ask)


def _longest_run(card: node_pb2.NodeCard, *, skill_id: str) -> timedelta:
    """Returns the max_run_time that holds for a skill: its own where it states one, else the card's."""
    own = [skill.limits for skill in card.skills if skill.id == skill_id and skill.limits.HasField("max_run_time")]
    # Python's own durations cannot hold every one of the wire; none that is that long is waited for.
    seconds = min(nanoseconds_of((own or [card.limits])[0].max_run_time) / 1e9, 1e9)
    return timedelta(seconds=seconds)


def _judge_run_time(seen: Transcript) -> Iterator[Finding]:
    asked = seen["ask"]
    if not asked.accepted:
        yield from was_accepted(asked, requirement="ASK-STOP-002")
        return
    log = read_log(asked)
    yield from _stopped(seen, asked, log, ending="CANCELLED DEADLINE", text="so far", requirement="ASK-STOP-002")
    yield from snapshot_tells(seen["get"], log)
    ask = ask_pb2.Ask.FromString(ask_pb2.AskRequest.FromString(asked.request).ask.payload)
    longest = _longest_run(card_of(seen)[1], skill_id=ask.skill_id)
    answer = log.answer
    if answer is None:
        return
    took = (nanoseconds_of(answer.finish_time) - nanoseconds_of(answer.accept_time)) / 1e9
    if took < longest.total_seconds():
        yield Finding(
            requirement="ASK-STOP-002",
            message="the work was stopped before its time was over",
            expected=f"not before {longest.total_seconds():g} s",
            got=f"{took:g} s",
            exchange="ask",
        )


async def _reader_goes(stage: Stage) -> None:
    gate = stage.gate()
    ask = stage.ask(token("so far"), wait(gate), token(" and on"))
    reader = stage.open_ask("ask", ask)
    await reader.until(text_seen("so far"), budget=stage.budget)
    reader.cut()
    # A node that takes the loss for a reason to stop has had a round trip of time to notice it.
    await stage.get("meanwhile", ask)
    await stage.open_gate("open", gate)
    await stage.resume("back", ask)


def _judge_reader_goes(seen: Transcript) -> Iterator[Finding]:
    back = seen["back"]
    yield from complete(back, requirement="ASK-STOP-003")
    log = read_log(back)
    yield from ended_as(log, "ANSWERED COMPLETE", requirement="ASK-STOP-003", name="back")
    yield from text_is(log, "so far and on", requirement="ASK-STOP-003", name="back")
    yield from answer_findings(seen, log, asked=seen["ask"], read=back)


async def _last_reader_goes(stage: Stage) -> None:
    """Of two readers the first goes, and the work goes on; then the other goes."""
    if stage.limit("max_readers_per_answer") == 1:
        raise NotApplicableError("an answer has one reader at a time")
    gate = stage.gate()
    ask = stage.ask(
        token("so far"), wait(gate), token(" and on"), wait(stage.gate()), on_disconnect=ask_pb2.ON_DISCONNECT_CANCEL
    )
    envelope = stage.seal(ask)
    first = stage.open_ask("ask", envelope)
    await first.until(text_seen("so far"), budget=stage.budget)
    second = stage.open_ask("second", envelope)
    await second.until(text_seen("so far"), budget=stage.budget)
    first.cut()
    await stage.get("meanwhile", ask)
    await stage.open_gate("open", gate)
    stage.note("went-on", await second.until(text_seen("so far and on"), budget=stage.budget))
    second.cut()
    over = await _over(stage, ask)
    stage.note("over", over)
    if over:
        await stage.resume("back", ask)


async def _over(stage: Stage, ask: ask_pb2.Ask) -> bool:
    """Looks at an answer until it has ended; there is no event to wait for that would not be a reader."""
    until = monotonic() + stage.budget
    looks = 0
    while monotonic() < until:
        looks += 1
        snapshot = snapshot_of(await stage.get(f"look-{looks}", ask))
        if snapshot is not None and snapshot.HasField("final"):
            return True
        await asyncio.sleep(LOOK_SECONDS)
    return False


def _judge_last_reader_goes(seen: Transcript) -> Iterator[Finding]:
    if not seen.notes["went-on"]:
        message = "the work stopped though a reader was left"
        yield Finding(requirement="ASK-STOP-003", message=message, exchange="second")
        return
    if not seen.notes["over"]:
        message = "the work went on though the last reader had gone and the ask says ON_DISCONNECT_CANCEL"
        yield Finding(requirement="ASK-STOP-003", message=message, exchange="second")
        return
    log = read_log(seen["back"])
    yield from _stopped(
        seen,
        seen["ask"],
        log,
        ending="CANCELLED DISCONNECTED",
        text="so far and on",
        requirement="ASK-STOP-003",
        read=seen["back"],
    )


CHECKS = (
    Check(
        name="cancel-returns-the-final",
        title="CancelAnswer returns the Final that stands in the log, whether the work was over before or not.",
        requirements=("ASK-STOP-001", "STRM-LOG-003"),
        drive=_cancel_live,
        judge=_judge_cancel_live,
    ),
    Check(
        name="cancel-stops-the-work",
        title="CancelAnswer stops the work before its first word and in the middle, and changes nothing afterwards.",
        requirements=("ASK-STOP-001", "STRM-LOG-003"),
        drive=_cancel_scripted,
        judge=_judge_cancel_scripted,
        needs=Needs.SCRIPT,
    ),
    Check(
        name="the-deadline-stops-the-work",
        title="At the deadline of the ask the work stops, and what was said before stays.",
        requirements=("ASK-STOP-002", "STRM-LOG-003"),
        drive=_deadline,
        judge=_judge_deadline,
        needs=Needs.SCRIPT,
    ),
    Check(
        name="the-longest-run-time-stops-the-work",
        title="Work on an ask that sets no deadline stops at the max_run_time of the card.",
        requirements=("ASK-STOP-002", "STRM-LOG-003"),
        drive=_run_time,
        judge=_judge_run_time,
        needs=Needs.SCRIPT,
    ),
    Check(
        name="the-loss-of-readers-does-not-stop-the-work",
        title="The work goes on without its only reader, which finds it done when it comes back.",
        requirements=("ASK-STOP-003",),
        drive=_reader_goes,
        judge=_judge_reader_goes,
        needs=Needs.SCRIPT,
    ),
    Check(
        name="the-last-reader-stops-the-work-where-the-ask-says-so",
        title="With ON_DISCONNECT_CANCEL the work stops when the last of its readers is gone, and not before.",
        requirements=("ASK-STOP-003",),
        drive=_last_reader_goes,
        judge=_judge_last_reader_goes,
        needs=Needs.SCRIPT,
    ),
)
