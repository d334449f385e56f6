"""Batches of twins: a call that is accepted, many with one defect each, and the first kind once more.

All calls of a batch are about one ask. Where they are asks themselves, the defects carry the request id of the ask
that is sent at the end: were one of them bound, GetAnswer would find it, and the good ask would be refused as another
one. So forty defects cost two asks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from google.protobuf.message import DecodeError

from consilience.v1 import ask_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance.checks import Check
from consilience_conformance.rules.refusals import refused, was_accepted
from consilience_conformance.signed_calls import ASKING, CANCELLING, Method, SignedCall
from consilience_conformance.stage import Stage, accepted
from consilience_conformance.transcripts import Exchange, Transcript
from consilience_conformance.verdicts import Finding

BEFORE, STATE, AFTER = "control-before", "state", "control-after"
_TOO_LARGE = "too-large: "
"""Begins the note that a defect makes a request larger than the card allows."""

Spoil = Callable[[Stage, Method, SignedCall], SignedEnvelope | bytes]
"""Returns a signed call, or a whole encoded request, with a defect; it gets a good call to change."""

SpoilCall = Callable[[Stage, Method, SignedCall], SignedEnvelope]
"""The same of a call that still comes in an envelope."""

Look = Callable[[Exchange], Iterator[Finding]]
"""Judges more of an exchange than whether and why it was refused."""


def _nothing(_: Exchange) -> Iterator[Finding]:
    yield from ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Defect:
    """One of many.

    Attributes:
        name: Of its exchange.
        requirement: The rule that wants the refusal.
        reason: Of the refusal; empty: the call is at the edge and has to be accepted.
        spoil: Brings it about.
        look: What else the refusal has to show.
    """

    name: str
    requirement: str
    reason: str
    spoil: Spoil
    look: Look = field(default=_nothing)


def batch(
    name: str,
    *,
    title: str,
    method: Method,
    defects: Sequence[Defect],
    requirements: tuple[str, ...] = (),
    after: tuple[str, ...] = ("ask",),
) -> Check:
    """Returns the check of calls of one method that have to be refused, each for its own reason.

    Args:
        name: Of the check.
        title: Of the check.
        method: That is called.
        defects: In the order of the report; those without a reason have to be accepted, and are not for asks, where a
            good ask under the same request id follows.
        requirements: Those that what is looked at besides may break.
        after: Checks without which this one says nothing.
    """

    async def drive(stage: Stage) -> None:
        first, good = stage.ask(), stage.ask()
        await stage.send(BEFORE if method is ASKING else "ask", first, until=accepted)
        if method is not ASKING:
            good = first
            if method is not CANCELLING:
                await _send_good(stage, BEFORE, method, good)
        await asyncio.gather(*(send_spoilt(stage, method, good, defect) for defect in defects))
        await stage.get(STATE, good)
        if method is ASKING:
            await stage.let_go()
        await _send_good(stage, AFTER, method, good)

    def judge(seen: Transcript) -> Iterator[Finding]:
        requirement = defects[0].requirement
        if method is not CANCELLING:
            yield from was_accepted(seen[BEFORE], requirement=requirement)
        for defect in defects:
            yield from fate_of(seen, defect)
        yield from _state(seen, method, requirement=requirement)
        yield from was_accepted(seen[AFTER], requirement="ASK-IDEM-005" if method is ASKING else requirement)

    ids = dict.fromkeys((*(defect.requirement for defect in defects), *requirements))
    if method is ASKING:
        ids.setdefault("ASK-IDEM-005")
    return Check(name=name, title=title, requirements=tuple(ids), drive=drive, judge=judge, after=after)


async def send_spoilt(stage: Stage, method: Method, good: ask_pb2.Ask, defect: Defect) -> None:
    """Makes a call about an ask with a defect, under the name of the defect, if the node takes requests so large."""
    spoilt = defect.spoil(stage, method, method.call(stage, good))
    request = method.request(spoilt).SerializeToString() if isinstance(spoilt, SignedEnvelope) else spoilt
    largest = stage.target.card.limits.max_message_bytes
    if largest and len(request) > largest:
        # Of a node that takes no such requests only their size could be judged, and another check does.
        stage.note(f"{_TOO_LARGE}{defect.name}", len(request))
        return
    await stage.call(defect.name, method.name, request, until=accepted)


async def _send_good(stage: Stage, name: str, method: Method, ask: ask_pb2.Ask) -> None:
    request = method.request(stage.seal(method.call(stage, ask)))
    await stage.call(name, method.name, request, until=accepted)


def fate_of(seen: Transcript, defect: Defect) -> Iterator[Finding]:
    """Yields what is wrong with how a call with a defect went, if it was made."""
    if f"{_TOO_LARGE}{defect.name}" in seen.notes:
        return
    exchange = seen[defect.name]
    if defect.reason:
        yield from refused(exchange, defect.reason, requirement=defect.requirement)
    else:
        yield from was_accepted(exchange, requirement=defect.requirement)
    yield from defect.look(exchange)


def _state(seen: Transcript, method: Method, *, requirement: str) -> Iterator[Finding]:
    """Yields what the refused calls did all the same: bound an ask, or stopped one."""
    if method is ASKING:
        yield from refused(seen[STATE], "ANSWER_UNKNOWN", requirement="ASK-IDEM-005")
        return
    yield from was_accepted(seen[STATE], requirement=requirement)
    if method is CANCELLING and _was_cancelled(seen[STATE]):
        yield Finding(
            requirement=requirement,
            message="a refused CancelAnswer stopped the work",
            expected="an answer that goes on, or ended by itself",
            got="STOP_REASON_CANCELLED",
            exchange=STATE,
        )


def _was_cancelled(exchange: Exchange) -> bool:
    try:
        snapshots = [ask_pb2.GetAnswerResponse.FromString(response.data) for response in exchange.responses]
        answers = [ask_pb2.Answer.FromString(one.final.answer.payload) for one in snapshots if one.HasField("final")]
    except DecodeError:
        return False
    return any(answer.stop_reason == ask_pb2.STOP_REASON_CANCELLED for answer in answers)
