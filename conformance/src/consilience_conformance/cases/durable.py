"""Checks of what outlives a restart, and of replicas (spec sections 1.2, 1.5, 2.2 and 2.7).

They come last: each stops the node at once, as a crash would, with a command that the operator lends.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from consilience.v1 import error_details_pb2, node_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance.checks import Check
from consilience_conformance.needs import Needs, NotApplicableError, UntestableError
from consilience_conformance.rules.answers import answer_findings
from consilience_conformance.rules.endings import (
    cancel_tells,
    ended_as,
    snapshot_of,
    snapshot_tells,
    tail_is,
    text_is,
)
from consilience_conformance.rules.logs import complete, read_log
from consilience_conformance.rules.refusals import refusal_of, refused, was_accepted
from consilience_conformance.signed_calls import ABOUT_AN_ANSWER
from consilience_conformance.stage import Stage, accepted, text_seen, token, wait
from consilience_conformance.targets import Target, UnreachableError, reach
from consilience_conformance.transcripts import Exchange, Transcript
from consilience_conformance.verdicts import Finding
from consilience_conformance.wire_values import nanoseconds_of, shown_time

DURABLE_RETENTION = timedelta(hours=24)


def _note_card(stage: Stage, name: str, target: Target) -> None:
    stage.note(name, target.envelope.SerializeToString(deterministic=True).hex())


def _sequence(seen: Transcript, name: str) -> int:
    payload = SignedEnvelope.FromString(bytes.fromhex(str(seen.notes[name]))).payload
    return node_pb2.NodeCard.FromString(payload).sequence


def _is_durable(target: Target) -> bool:
    return node_pb2.PROFILE_DURABLE in target.card.profiles


async def present(stage: Stage) -> Stage:
    """Returns a stage that relies on the card that the node shows now: an earlier check may have restarted it."""
    try:
        present = await stage.elsewhere(await reach(stage.target.address))
    except UnreachableError as error:
        raise UntestableError(f"the node did not come back from an earlier restart: {error}") from error
    stage.transcript.card = present.target.envelope.SerializeToString(deterministic=True)
    return present


async def _forgotten_card(stage: Stage) -> None:
    if _is_durable(stage.target):
        raise NotApplicableError("a durable node honours its cards across restarts")
    await _across(stage)


async def _across(stage: Stage) -> None:
    """Asks with the present card, restarts the node, asks with the same card again, and then with the new one."""
    before = await present(stage)
    _note_card(stage, "card-before", before.target)
    await before.send("before", before.ask(), until=accepted)
    after = await before.elsewhere(await stage.surroundings.restart(stage.target))
    _note_card(stage, "card-after", after.target)
    late = before.ask()
    await after.send("old-card", late, until=accepted)
    await after.get("state", late)
    await after.let_go()
    await after.send("new-card", after.ask(), until=accepted)


def _newer(seen: Transcript) -> Iterator[Finding]:
    before, after = _sequence(seen, "card-before"), _sequence(seen, "card-after")
    if after <= before:
        yield Finding(
            requirement="NODE-CARD-008",
            message="the card after a restart has no higher sequence",
            expected=f"above {before}",
            got=str(after),
        )


def _judge_forgotten_card(seen: Transcript) -> Iterator[Finding]:
    yield from was_accepted(seen["before"], requirement="ASK-CARD-001")
    yield from refused(seen["old-card"], "STALE_CARD", requirement="ASK-CARD-001")
    yield from refused(seen["state"], "ANSWER_UNKNOWN", requirement="ASK-IDEM-005")
    yield from was_accepted(seen["new-card"], requirement="ASK-CARD-001")
    yield from _newer(seen)


def _judge_honoured_card(seen: Transcript) -> Iterator[Finding]:
    yield from was_accepted(seen["before"], requirement="ASK-DUR-003")
    yield from was_accepted(seen["old-card"], requirement="ASK-DUR-003")
    yield from was_accepted(seen["new-card"], requirement="ASK-DUR-003")
    yield from _newer(seen)


async def _outlive(stage: Stage) -> None:
    before = await present(stage)
    ask = before.ask()
    envelope = before.seal(ask)
    first = await before.send("ask", envelope)
    await before.get("before", ask)
    after = await before.elsewhere(await stage.surroundings.restart(stage.target))
    await after.get("after", ask)
    await after.send("copy", envelope)
    await after.resume("tail", ask, after=max(0, read_log(first).last - 1))
    await after.cancel("cancel", ask)
    reused = after.ask(header=after.header(ask.header.method, request_id=ask.header.request_id))
    await after.send("reused-id", reused, until=accepted)


def _judge_outlive(seen: Transcript) -> Iterator[Finding]:
    log = read_log(seen["ask"])
    yield from complete(seen["ask"])
    for name in ("before", "after"):
        yield from snapshot_tells(seen[name], log, requirement="ASK-DUR-001")
    yield from complete(seen["copy"], requirement="ASK-DUR-001")
    yield from tail_is(seen["copy"], log, after=0)
    yield from tail_is(seen["tail"], log, after=max(0, log.last - 1))
    yield from cancel_tells(seen["cancel"], log, requirement="ASK-DUR-001")
    yield from refused(seen["reused-id"], "REQUEST_ID_REUSED", requirement="ASK-DUR-001")
    snapshot = snapshot_of(seen["before"])
    if snapshot is None or log.answer is None:
        return
    kept = nanoseconds_of(snapshot.keep_until_time) - nanoseconds_of(log.answer.accept_time)
    if kept < DURABLE_RETENTION // timedelta(microseconds=1) * 1000:
        yield Finding(
            requirement="ASK-DUR-001",
            message="the answer is kept for less than 24 hours after acceptance",
            expected=f"at least until 24 hours after {shown_time(log.answer.accept_time)}",
            got=shown_time(snapshot.keep_until_time),
            exchange="before",
        )


async def _interrupt(stage: Stage) -> None:
    """Restarts the node while it stands in the middle of an answer."""
    before = await present(stage)
    ask = before.ask(token("so far"), wait(before.gate()), token(" and on"))
    envelope = before.seal(ask)
    reader = before.open_ask("ask", envelope)
    await reader.until(text_seen("so far"), budget=stage.budget)
    last = reader.events[-1].sequence if reader.events else 0
    stage.note("last", last)
    after = await before.elsewhere(await stage.surroundings.restart(stage.target))
    await reader.until(budget=stage.budget)
    await after.resume("tail", ask, after=last)
    await after.send("copy", envelope)
    await after.get("get", ask)


def _judge_interrupted(seen: Transcript) -> Iterator[Finding]:
    copy = seen["copy"]
    log = read_log(copy)
    yield from complete(copy, requirement="ASK-DUR-002")
    yield from ended_as(log, "FAILED INTERRUPTED", requirement="ASK-DUR-002", name="copy")
    yield from text_is(log, "so far", requirement="ASK-DUR-002", name="copy")
    yield from answer_findings(seen, log, asked=seen["ask"], read=copy)
    yield from tail_is(seen["tail"], log, after=int(str(seen.notes["last"])))
    yield from snapshot_tells(seen["get"], log, requirement="ASK-DUR-002")


async def _at_a_replica(stage: Stage) -> None:
    """Calls at the second replica about an answer on which the first one works."""
    there = await stage.elsewhere(await reach(stage.surroundings.replica))
    ask = stage.ask(token("so far"), wait(stage.gate()), token(" and on"))
    reader = stage.open_ask("ask", ask)
    await reader.until(text_seen("so far"), budget=stage.budget)
    await there.get("get", ask)
    await there.resume("resume", ask, until=accepted)
    await there.cancel("cancel", ask)
    await stage.cancel("end", ask)
    await reader.until(budget=stage.budget)


def _judge_replica(seen: Transcript) -> Iterator[Finding]:
    for name in ABOUT_AN_ANSWER:
        exchange = seen[name]
        if not exchange.accepted:
            yield from _wrong_replica(exchange)
    log = read_log(seen["ask"])
    yield from complete(seen["ask"], requirement="ASK-DUR-004")
    if seen["cancel"].accepted:
        yield from cancel_tells(seen["cancel"], log, requirement="ASK-DUR-004")


def _wrong_replica(exchange: Exchange) -> Iterator[Finding]:
    yield from refused(exchange, "WRONG_REPLICA", requirement="ASK-DUR-004")
    detail = refusal_of(exchange).details.get(error_details_pb2.Redirect.DESCRIPTOR.full_name)
    if isinstance(detail, error_details_pb2.Redirect) and not detail.uri:
        yield Finding(
            requirement="ERR-STAT-003",
            message="the refusal carries a Redirect that leads nowhere",
            expected="a URI, or no detail",
            exchange=exchange.name,
        )


CHECKS = (
    Check(
        name="cards-are-forgotten-in-a-restart",
        title="A core node that was restarted refuses its old card as stale and shows one with a higher sequence.",
        requirements=("ASK-CARD-001", "NODE-CARD-008", "ASK-IDEM-005"),
        drive=_forgotten_card,
        judge=_judge_forgotten_card,
        needs=Needs.RESTART,
        alone=True,
    ),
    Check(
        name="cards-are-honoured-across-a-restart",
        title="A durable node that was restarted honours its old card and shows one with a higher sequence.",
        requirements=("ASK-DUR-003", "NODE-CARD-008"),
        drive=_across,
        judge=_judge_honoured_card,
        needs=Needs.RESTART,
        profile="durable",
        alone=True,
    ),
    Check(
        name="answers-outlive-a-restart",
        title="Answers and request ids outlive a restart, and are kept for a day.",
        requirements=("ASK-DUR-001", "STRM-CUR-001"),
        drive=_outlive,
        judge=_judge_outlive,
        needs=Needs.RESTART,
        profile="durable",
        alone=True,
    ),
    Check(
        name="an-interrupted-answer-ends",
        title="An answer that a restart interrupted ends with a signed Final, and what was said before is kept.",
        requirements=("ASK-DUR-002", "STRM-LOG-003"),
        drive=_interrupt,
        judge=_judge_interrupted,
        needs=Needs.RESTART | Needs.SCRIPT,
        profile="durable",
        alone=True,
    ),
    Check(
        name="a-replica-sends-on-what-it-cannot-serve",
        title="A replica serves a call about an answer of another one, or refuses it with WRONG_REPLICA.",
        requirements=("ASK-DUR-004", "ERR-STAT-003"),
        drive=_at_a_replica,
        judge=_judge_replica,
        needs=Needs.REPLICA | Needs.SCRIPT,
        profile="durable",
        alone=True,
    ),
)
