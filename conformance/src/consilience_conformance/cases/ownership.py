"""Checks of whose answers are, and how long they are kept (spec section 2.6)."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

from consilience.v1 import ask_pb2
from consilience_conformance.callers import Caller
from consilience_conformance.checks import Check
from consilience_conformance.needs import Needs
from consilience_conformance.rules.answers import card_of
from consilience_conformance.rules.endings import ended_as, snapshot_of, snapshot_tells, text_is
from consilience_conformance.rules.logs import complete, read_log
from consilience_conformance.rules.refusals import refused, was_accepted
from consilience_conformance.signed_calls import ABOUT_AN_ANSWER
from consilience_conformance.stage import Stage, text_seen, token, wait
from consilience_conformance.transcripts import Exchange, Transcript
from consilience_conformance.verdicts import Finding
from consilience_conformance.wire_values import nanoseconds_of, shown_time


async def _pry(stage: Stage, ask: ask_pb2.Ask, *, stranger: Caller) -> None:
    """Calls as a stranger: about an answer of somebody else, and about one that there is not."""
    nothing = secrets.token_bytes(16)
    for what, about in (("foreign", ask.header.request_id), ("unknown", nothing)):
        await stage.get(f"{what}-get", about, caller=stranger)
        await stage.resume(f"{what}-resume", about, caller=stranger)
        await stage.cancel(f"{what}-cancel", about, caller=stranger)
        stage.note(what, about.hex())


def _judge_prying(seen: Transcript) -> Iterator[Finding]:
    for call in ABOUT_AN_ANSWER:
        foreign, unknown = seen[f"foreign-{call}"], seen[f"unknown-{call}"]
        for exchange in (foreign, unknown):
            yield from refused(exchange, "ANSWER_UNKNOWN", requirement="ASK-OWN-001")
        one, other = (_told(exchange, str(seen.notes[what])) for what, exchange in _both(foreign, unknown))
        if not foreign.accepted and one != other:
            yield Finding(
                requirement="ASK-OWN-001",
                message="a stranger can tell a foreign answer from one that there is not",
                expected=other,
                got=one,
                exchange=foreign.name,
            )


def _both(foreign: Exchange, unknown: Exchange) -> tuple[tuple[str, Exchange], tuple[str, Exchange]]:
    return ("foreign", foreign), ("unknown", unknown)


def _told(exchange: Exchange, request_id: str) -> str:
    """Returns all that a refusal tells, without the id that the stranger knows anyhow."""
    message = exchange.message.replace(request_id, "ID")
    details = exchange.details.replace(request_id.encode(), b"ID").replace(bytes.fromhex(request_id), b"ID")
    return f"{exchange.code} {message!r} {details.hex()}"


async def _finished(stage: Stage) -> None:
    ask = stage.ask()
    await stage.send("ask", ask)
    await _pry(stage, ask, stranger=stage.stranger())
    await stage.get("own", ask)


def _judge_finished(seen: Transcript) -> Iterator[Finding]:
    yield from _judge_prying(seen)
    yield from snapshot_tells(seen["own"], read_log(seen["ask"]), requirement="ASK-OWN-001")


async def _running(stage: Stage) -> None:
    gate = stage.gate()
    ask = stage.ask(token("so far"), wait(gate), token(" and on"))
    reader = stage.open_ask("ask", ask)
    await reader.until(text_seen("so far"), budget=stage.budget)
    await _pry(stage, ask, stranger=stage.stranger())
    await stage.open_gate("open", gate)
    await reader.until(budget=stage.budget)


def _judge_running(seen: Transcript) -> Iterator[Finding]:
    yield from _judge_prying(seen)
    log = read_log(seen["ask"])
    yield from ended_as(log, "ANSWERED COMPLETE", requirement="ASK-OWN-001", name="ask")
    yield from text_is(log, "so far and on", requirement="ASK-OWN-001", name="ask")


async def _same_id(stage: Stage) -> None:
    """Two callers happen to choose one request id: two answers, of which each caller has one."""
    mine, other = stage.ask(), stage.callers[1]
    header = stage.header(mine.header.method, caller=other, request_id=mine.header.request_id)
    theirs = stage.ask(caller=other, header=header)
    await stage.send("mine", mine)
    await stage.send("theirs", theirs, caller=other)
    await stage.get("my-get", mine)
    await stage.get("their-get", theirs, caller=other)


def _judge_same_id(seen: Transcript) -> Iterator[Finding]:
    for whose, got in (("mine", "my-get"), ("theirs", "their-get")):
        yield from was_accepted(seen[whose], requirement="ASK-OWN-001")
        yield from snapshot_tells(seen[got], read_log(seen[whose]), requirement="ASK-OWN-001")


async def _kept(stage: Stage) -> None:
    ask = stage.ask()
    envelope = stage.seal(ask)
    await stage.send("ask", envelope)
    await stage.get("get", ask)
    # The work on another ask in between is when a node would make room.
    await stage.send("another", stage.ask())
    await stage.get("later", ask)
    await stage.send("copy", envelope)


def _judge_kept(seen: Transcript) -> Iterator[Finding]:
    log = read_log(seen["ask"])
    yield from complete(seen["copy"], requirement="ASK-KEEP-001")
    for name in ("get", "later"):
        yield from snapshot_tells(seen[name], log, requirement="ASK-KEEP-001")
    snapshot, answer = snapshot_of(seen["get"]), log.answer
    if snapshot is None or answer is None:
        return
    retention = card_of(seen)[1].limits.answer_retention
    least = nanoseconds_of(answer.finish_time) + nanoseconds_of(retention)
    if nanoseconds_of(snapshot.keep_until_time) < least:
        yield Finding(
            requirement="ASK-KEEP-001",
            message="the answer is not kept for as long as the card says",
            expected=f"{shown_time(retention)} after {shown_time(answer.finish_time)}",
            got=shown_time(snapshot.keep_until_time),
            exchange="get",
        )


CHECKS = (
    Check(
        name="a-stranger-learns-nothing-of-an-answer",
        title="Whoever did not ask is told the same of an answer as of one that there is not.",
        requirements=("ASK-OWN-001",),
        drive=_finished,
        judge=_judge_finished,
    ),
    Check(
        name="a-stranger-cannot-touch-the-work",
        title="Nobody but the asker reads an answer that is being written, nor stops it.",
        requirements=("ASK-OWN-001",),
        drive=_running,
        judge=_judge_running,
        needs=Needs.SCRIPT,
    ),
    Check(
        name="callers-share-no-request-ids",
        title="Two callers that choose one request id have an answer each.",
        requirements=("ASK-OWN-001",),
        drive=_same_id,
        judge=_judge_same_id,
        callers=2,
    ),
    Check(
        name="a-finished-answer-is-kept",
        title="A finished answer can be read until its time, which is not before what the card promises.",
        requirements=("ASK-KEEP-001",),
        drive=_kept,
        judge=_judge_kept,
    ),
)
