"""Checks of the limits on what runs at one time (spec sections 2.2, step 19, and 2.6): reached, and one more."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from time import monotonic

from consilience.v1 import ask_pb2
from consilience.v1.error_details_pb2 import LimitExceeded
from consilience_conformance.ask_methods import RESUME
from consilience_conformance.callers import TESTER_KEYS, Caller
from consilience_conformance.checks import Check
from consilience_conformance.needs import Needs, NotApplicableError, UntestableError
from consilience_conformance.rules.logs import complete
from consilience_conformance.rules.refusals import refusal_of, refused, was_accepted
from consilience_conformance.stage import LOOK_SECONDS, Stage, accepted, token, wait
from consilience_conformance.steps import opens
from consilience_conformance.streams import Stream
from consilience_conformance.transcripts import Exchange, Transcript
from consilience_conformance.verdicts import Finding

MOST = 128
"""Asks or readers with which a node is filled at most."""


async def _full(stage: Stage, *, callers: Sequence[Caller], one_more: Caller) -> None:
    """Fills the node, asks once more, makes room, asks the same again, and lets all of it end.

    Args:
        stage: To act with.
        callers: Who asks; as often as a caller stands there.
        one_more: Who asks when the node is full. This ask opens the gates at which the others wait.
    """
    gates = [stage.gate() for _ in callers]
    asks = [stage.ask(wait(gate), token("over"), caller=caller) for caller, gate in zip(callers, gates, strict=True)]
    streams = []
    for index, (ask, caller) in enumerate(zip(asks, callers, strict=True)):
        streams.append(stage.open_ask(f"fill-{index}", ask, caller=caller))
        if not await streams[-1].until(accepted, budget=stage.budget):
            return
    stage.note("full", len(streams))
    late = stage.seal(stage.ask(*map(opens, gates), caller=one_more), caller=one_more)
    await stage.send("one-more", late, until=accepted)
    await stage.get("state", ask_pb2.Ask.FromString(late.payload), caller=one_more)
    if stage.limit("max_readers_per_answer") != 1:  # else the one that reads takes the only place
        await stage.send("copy", stage.seal(asks[-1], caller=callers[-1]), until=accepted)
    await stage.cancel("make-room", asks[0], caller=callers[0])
    await _until_there_is_room(stage, lambda name: stage.send(name, late))
    await asyncio.gather(*(stream.until(budget=stage.budget) for stream in streams))


async def _until_there_is_room(stage: Stage, attempt: Callable[[str], Awaitable[Exchange]]) -> None:
    """Tries until the node has noticed that a place is free, as exchanges `try-N`; no event tells of it."""
    until = monotonic() + stage.budget
    tries = 0
    while not (await attempt(f"try-{tries}")).accepted and monotonic() < until:
        tries += 1
        await asyncio.sleep(LOOK_SECONDS)
    stage.note("tries", tries)


def _stated(stage: Stage, name: str) -> int:
    """Returns a limit, which a card that is complete always states."""
    if not (limit := stage.limit(name)):
        raise UntestableError(f"the card does not set {name}, as every card has to: see the check card-is-complete")
    return limit


async def _each(stage: Stage) -> None:
    limit, all_of_it = _stated(stage, "max_running_asks_per_caller"), _stated(stage, "max_running_asks")
    if limit > MOST:
        raise NotApplicableError(f"a caller may have {limit} asks running, and more than {MOST} are not tried")
    if limit >= all_of_it:
        raise NotApplicableError("the node has no more places than one caller may take")
    await _full(stage, callers=[stage.caller] * limit, one_more=stage.caller)


async def _all(stage: Stage) -> None:
    each, limit = _stated(stage, "max_running_asks_per_caller"), _stated(stage, "max_running_asks")
    if limit > MOST:
        raise NotApplicableError(f"the node works on {limit} asks, and more than {MOST} are not tried")
    if limit >= each * len(stage.callers):
        raise NotApplicableError(f"{len(stage.callers)} callers with {each} asks each do not fill the node")
    callers = [stage.callers[index % len(stage.callers)] for index in range(limit)]
    await _full(stage, callers=callers, one_more=stage.callers[limit % len(stage.callers)])


def _judge_full(limit: str) -> Callable[[Transcript], Iterator[Finding]]:
    def judge(seen: Transcript) -> Iterator[Finding]:
        for filled in seen.named("fill-"):
            yield from was_accepted(filled, requirement="ASK-LIM-001", called="an ask within the limit")
        if "full" not in seen.notes:
            return
        yield from _names(seen, "one-more", limit)
        yield from refused(seen["state"], "ANSWER_UNKNOWN", requirement="ASK-IDEM-005")
        for copy in seen.named("copy"):
            yield from was_accepted(copy, requirement="ASK-IDEM-003")
        last = seen[f"try-{seen.notes['tries']}"]
        yield from was_accepted(last, requirement="ASK-LIM-001", called="an ask in the place of one that is over")
        for filled in seen.named("fill-"):
            yield from complete(filled)

    return judge


def _names(seen: Transcript, name: str, limit: str) -> Iterator[Finding]:
    """Yields what is wrong with the refusal of one more than a limit allows."""
    exchange = seen[name]
    yield from refused(exchange, "LIMIT_EXCEEDED", requirement="ASK-LIM-001")
    detail = refusal_of(exchange).details.get(LimitExceeded.DESCRIPTOR.full_name)
    if isinstance(detail, LimitExceeded) and detail.limit != limit:
        yield Finding(
            requirement="ASK-LIM-001",
            message="the refusal names another limit",
            expected=limit,
            got=detail.limit,
            exchange=name,
        )


async def _readers(stage: Stage) -> None:
    limit = _stated(stage, "max_readers_per_answer")
    if limit > MOST:
        raise NotApplicableError(f"an answer has {limit} readers, and more than {MOST} are not tried")
    gate = stage.gate()
    ask = stage.ask(wait(gate), token("over"))
    readers: list[Stream] = []
    for index in range(limit):
        name = f"fill-{index}"
        readers.append(_open_resume(stage, name, ask) if index else stage.open_ask(name, ask))
        if not await readers[-1].until(accepted, budget=stage.budget):
            return
    stage.note("full", len(readers))
    await stage.resume("one-more", ask, until=accepted)
    await stage.get("get", ask)
    readers[-1].cut()
    await _until_there_is_room(stage, lambda name: stage.resume(name, ask, until=accepted))
    await stage.open_gate("open", gate)
    await asyncio.gather(*(reader.until(budget=stage.budget) for reader in readers[:-1]))


def _open_resume(stage: Stage, name: str, ask: ask_pb2.Ask) -> Stream:
    call = ask_pb2.ResumeAnswerCall(header=stage.header(RESUME), ask_request_id=ask.header.request_id)
    return stage.open(name, RESUME, ask_pb2.ResumeAnswerRequest(call=stage.seal(call)))


def _judge_readers(seen: Transcript) -> Iterator[Finding]:
    filled = list(seen.named("fill-"))
    for reader in filled:
        yield from was_accepted(reader, requirement="ASK-LIM-001", called="a reader within the limit")
    if "full" not in seen.notes:
        return
    yield from _names(seen, "one-more", "max_readers_per_answer")
    yield from was_accepted(seen["get"], requirement="ASK-LIM-001")
    last = seen[f"try-{seen.notes['tries']}"]
    yield from was_accepted(last, requirement="ASK-LIM-001", called="a reader in the place of one that is gone")
    if len(filled) > 1:
        yield from complete(filled[0])


CHECKS = (
    Check(
        name="a-caller-has-no-more-asks-than-the-card-says",
        title="One ask more than a caller may have running is refused, and taken when one of them is over.",
        requirements=("ASK-LIM-001", "ASK-IDEM-003", "ASK-IDEM-005"),
        drive=_each,
        judge=_judge_full("max_running_asks_per_caller"),
        needs=Needs.SCRIPT,
        alone=True,
    ),
    Check(
        name="a-node-has-no-more-asks-than-the-card-says",
        title="One ask more than the node works on is refused, and taken when one of them is over.",
        requirements=("ASK-LIM-001", "ASK-IDEM-003", "ASK-IDEM-005"),
        drive=_all,
        judge=_judge_full("max_running_asks"),
        needs=Needs.SCRIPT,
        alone=True,
        callers=TESTER_KEYS,
    ),
    Check(
        name="an-answer-has-no-more-readers-than-the-card-says",
        title="One stream more than an answer may have is refused, and taken when another has gone.",
        requirements=("ASK-LIM-001",),
        drive=_readers,
        judge=_judge_readers,
        needs=Needs.SCRIPT,
        alone=True,
    ),
)
