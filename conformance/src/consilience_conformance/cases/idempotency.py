"""Idempotency: one ask is one execution, and the first check that fails is the refusal (spec section 2.2)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from time import monotonic

from consilience.v1 import ask_pb2
from consilience_conformance.ask_methods import ASK
from consilience_conformance.checks import Check
from consilience_conformance.needs import UntestableError
from consilience_conformance.rules.logs import complete, read_log, same_log
from consilience_conformance.rules.refusals import outcome_of, refused, server_time, was_accepted
from consilience_conformance.stage import HEADER_LIFETIME, Stage, accepted
from consilience_conformance.transcripts import Transcript
from consilience_conformance.verdicts import Finding
from consilience_conformance.wire_values import timestamp

_COPIES = 8
_SKEW = timedelta(seconds=30)
_LAST_SECONDS = timedelta(seconds=2)
"""How long the header holds of an ask whose copies are sent until it does not."""
_GRACE = timedelta(seconds=2)
"""For how long copies are sent beyond the moment from which they have to be refused."""
_POLL_SECONDS = 0.1


async def _reuse(stage: Stage) -> None:
    ask = stage.ask()
    await stage.send("control-before", ask)
    other = ask_pb2.Ask()
    other.CopyFrom(ask)
    other.turns[-1].parts.add(text="And another thing?")
    await stage.send("defect", other, until=accepted)
    later = ask_pb2.Ask()
    later.CopyFrom(ask)
    later.header.expire_time.FromNanoseconds(ask.header.expire_time.ToNanoseconds() + 1000)
    await stage.send("signed-with-another-time", later, until=accepted)
    await stage.send("control-after", ask)
    other_caller = stage.callers[1]
    header = stage.header(ASK, caller=other_caller, request_id=ask.header.request_id)
    await stage.send("same-id-of-another", stage.ask(header=header), caller=other_caller, until=accepted)


def _judge_reuse(seen: Transcript) -> Iterator[Finding]:
    yield from was_accepted(seen["control-before"], requirement="ASK-IDEM-002")
    for name in ("defect", "signed-with-another-time"):
        yield from refused(seen[name], "REQUEST_ID_REUSED", requirement="ASK-IDEM-002")
    yield from was_accepted(seen["control-after"], requirement="ASK-IDEM-003")
    logs = [(name, read_log(seen[name])) for name in ("control-before", "control-after")]
    yield from same_log(logs, requirement="ASK-IDEM-003")
    yield from was_accepted(seen["same-id-of-another"], requirement="ASK-IDEM-002")


async def _copy(stage: Stage) -> None:
    envelope = stage.seal(stage.ask())
    copies = min(_COPIES, stage.limit("max_readers_per_answer") or _COPIES)
    await asyncio.gather(*(stage.send(f"copy-{index}", envelope) for index in range(copies)))
    await stage.send("late-copy", envelope)


def _judge_copies(seen: Transcript) -> Iterator[Finding]:
    names = [*(exchange.name for exchange in seen.named("copy-")), "late-copy"]
    for name in names:
        yield from was_accepted(seen[name], requirement="ASK-IDEM-003", called="a copy")
        if seen[name].accepted:
            yield from complete(seen[name])
    logs = [(name, read_log(seen[name])) for name in names if seen[name].accepted]
    if logs:
        yield from same_log(logs, requirement="ASK-IDEM-003")


async def _retry_a_refusal(stage: Stage) -> None:
    await stage.send("control-before", stage.ask(), until=accepted)
    await stage.let_go()
    good = stage.ask()
    bad = ask_pb2.Ask()
    bad.CopyFrom(good)
    bad.card_digest = stage.random.randbytes(32)
    envelope = stage.seal(bad)
    await asyncio.gather(*(stage.send(f"refused-{index}", envelope, until=accepted) for index in range(_COPIES)))
    await stage.send("refused-again", envelope, until=accepted)
    await stage.get("state", good)
    await stage.send("control-after", good, until=accepted)


def _judge_retried(seen: Transcript) -> Iterator[Finding]:
    yield from was_accepted(seen["control-before"], requirement="ASK-CARD-001")
    for exchange in seen.named("refused"):
        yield from refused(exchange, "STALE_CARD", requirement="ASK-CARD-001", called="a copy of a bad ask")
    yield from refused(seen["state"], "ANSWER_UNKNOWN", requirement="ASK-IDEM-005")
    yield from was_accepted(seen["control-after"], requirement="ASK-IDEM-005")


async def _clock_ahead(stage: Stage) -> timedelta:
    """Returns how far the clock of the node is ahead of ours, as a refusal tells it.

    No more than the skew is believed: with such a clock the node would have taken no ask of ours.
    """
    long_ago = stage.header(ASK, age=timedelta(hours=1))
    told = server_time(await stage.send("clock", stage.ask(header=long_ago), until=accepted))
    now = datetime.now(UTC)
    return told - now if told is not None and abs(told - now) <= _SKEW else timedelta(0)


async def _copy_until_it_expires(stage: Stage) -> None:
    """Sends copies of an ask that is about to be too old; nothing tells when it is, so they follow one another."""
    expires = datetime.now(UTC) + await _clock_ahead(stage) - _SKEW + _LAST_SECONDS
    header = stage.header(ASK, issue_time=timestamp(expires - HEADER_LIFETIME), expire_time=timestamp(expires))
    envelope = stage.seal(stage.ask(header=header))
    first = await stage.send("first", envelope)
    if not first.accepted:
        raise UntestableError(f"an ask whose header holds for {_LAST_SECONDS.seconds} s more was {outcome_of(first)}")
    end = monotonic() + (_LAST_SECONDS + _GRACE).seconds
    for index in count():
        began = monotonic()
        copy = await stage.send(f"copy-{index:03}", envelope, until=accepted)
        if not copy.accepted or began > end:
            break
        await asyncio.sleep(_POLL_SECONDS)


def _judge_expiring(seen: Transcript) -> Iterator[Finding]:
    began = read_log(seen["first"]).events[:1]
    *copies, last = list(seen.named("copy-")) or [seen["first"]]
    for copy in copies:
        if read_log(copy).events[:1] != began:
            yield Finding(
                requirement="ASK-IDEM-006",
                message="a copy that is still fresh was begun anew",
                expected="the Accepted of the first",
                got="another",
                exchange=copy.name,
            )
    if last.accepted:
        message = "a copy is still accepted when its header has long expired"
        yield Finding(requirement="SIG-HDR-004", message=message, got=outcome_of(last), exchange=last.name)
    else:
        yield from refused(last, "CALL_EXPIRED", requirement="ASK-IDEM-006", called="a copy that is too old")


CHECKS = (
    Check(
        name="another-ask-under-a-bound-id-is-refused",
        title="Another ask under a request id that is bound is refused; the id of one caller is not that of another.",
        requirements=("ASK-IDEM-002", "ASK-IDEM-003"),
        drive=_reuse,
        judge=_judge_reuse,
        callers=2,
    ),
    Check(
        name="copies-of-an-ask-are-one-execution",
        title="Copies of one ask, together and later, read one log.",
        requirements=("ASK-IDEM-003", "STRM-LOG-001", "STRM-LOG-002", "STRM-LOG-003", "STRM-TXT-001", "STRM-CUR-002"),
        drive=_copy,
        judge=_judge_copies,
    ),
    Check(
        name="refusal-binds-nothing",
        title="Copies of an ask that is refused are all refused, and its request id stays free.",
        requirements=("ASK-IDEM-005", "ASK-CARD-001"),
        drive=_retry_a_refusal,
        judge=_judge_retried,
    ),
    Check(
        name="ask-stays-bound-until-its-header-expires",
        title="A copy of an ask attaches until its header has expired, and is refused from then on.",
        requirements=("ASK-IDEM-006", "SIG-HDR-004"),
        drive=_copy_until_it_expires,
        judge=_judge_expiring,
    ),
)
