"""Admission: what the card does not offer or goes over a limit of it is refused (spec sections 2.1, 2.2, 2.8)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from consilience.v1 import ask_pb2, error_details_pb2, node_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance.ask_methods import ASK, GET
from consilience_conformance.checks import Check
from consilience_conformance.needs import NotApplicableError
from consilience_conformance.rules.logs import MAX_MESSAGE_BYTES, complete, read_log
from consilience_conformance.rules.refusals import refusal_of, refused, was_accepted
from consilience_conformance.stage import Stage, accepted
from consilience_conformance.transcripts import Exchange, Transcript
from consilience_conformance.twins import ask_twin
from consilience_conformance.verdicts import Finding
from consilience_conformance.wire_bytes import field_of, varint
from consilience_conformance.wire_values import duration_of, enum_name, nanoseconds_of, timestamp

_NOWHERE_READ = "application/vnd.consilience.conformance.nowhere-read"
_PADDING_FIELD = 2000
_OWN_BYTES = 4096
"""More than what an ask is made of besides its text."""
_TURN_BYTES = 10
"""What the shortest turn takes in a request."""
_OF_QUESTIONS = frozenset({"max_turns", "max_input_bytes"})
"""Limits that a script, which is no question, does not come near."""
_MARGIN = timedelta(seconds=60)
"""How far from a limit of time a deadline lies, as the clocks of tester and node differ."""
_LONGEST = timedelta(days=3650)
"""Of work that a deadline is set for; later ones come near the end of all calendars."""
MakeAsk = Callable[[Stage, int], ask_pb2.Ask]
"""Returns an ask for a limit."""

_AT, _OVER, _AFTER = "at-the-limit", "over-the-limit", "control-after"


def _unreadable_part(stage: Stage, ask: ask_pb2.Ask) -> SignedEnvelope:
    ask.turns[-1].parts.add().blob.media_type = _NOWHERE_READ
    return stage.seal(ask)


def _unfit_schema(stage: Stage, ask: ask_pb2.Ask) -> SignedEnvelope:
    ask.answer_schema = "no schema" if stage.subject.skill.accepts_answer_schema else "{}"
    return stage.seal(ask)


def _model_of_another_skill(stage: Stage, ask: ask_pb2.Ask) -> SignedEnvelope:
    own = set(stage.subject.skill.model_ids)
    others = (model for skill in stage.target.card.skills for model in skill.model_ids if model not in own)
    ask.model_id = next(others, "no-model-of-this-node")
    return stage.seal(ask)


def _unknown_card(stage: Stage, ask: ask_pb2.Ask) -> SignedEnvelope:
    ask.card_digest = stage.random.randbytes(32)
    return stage.seal(ask)


def _almost_the_card(stage: Stage, ask: ask_pb2.Ask) -> SignedEnvelope:
    digest = stage.target.card_digest
    ask.card_digest = digest[:-1] + bytes([digest[-1] ^ 1])
    return stage.seal(ask)


def _passed_deadline(stage: Stage, ask: ask_pb2.Ask) -> SignedEnvelope:
    ask.limits.deadline.CopyFrom(timestamp(datetime.now(UTC) - _MARGIN))
    return stage.seal(ask)


async def _ask_by_data_class(stage: Stage) -> None:
    highest = stage.target.card.data_policy.max_data_class
    if stage.subject.skill.max_data_class:
        highest = min(highest, stage.subject.skill.max_data_class)
    if highest >= max(node_pb2.DataClass.values()):
        raise NotApplicableError("the node reads data of every class")
    over = stage.ask(data_class=highest)
    await stage.send(_AT, stage.ask(data_class=highest), until=accepted)
    for data_class in node_pb2.DataClass.values():
        if data_class > highest:
            over.data_class = data_class
            await stage.send(f"{_OVER}-{data_class}", over, until=accepted)
    await _ask_again(stage, over)


def _judge_data_class(seen: Transcript) -> Iterator[Finding]:
    yield from was_accepted(seen[_AT], requirement="ASK-DATA-002")
    for exchange in seen.named(_OVER):
        yield from refused(exchange, "DATA_CLASS_REFUSED", requirement="ASK-DATA-002")
    yield from _nothing_is_bound(seen)


async def _ask_again(stage: Stage, refused_ask: ask_pb2.Ask) -> None:
    """Reads back what became of an ask that was refused, and sends a good one under its request id."""
    await stage.get("state", refused_ask)
    await stage.let_go()
    await stage.send(_AFTER, stage.ask(header=refused_ask.header), until=accepted)


def _nothing_is_bound(seen: Transcript) -> Iterator[Finding]:
    yield from refused(seen["state"], "ANSWER_UNKNOWN", requirement="ASK-IDEM-005")
    yield from was_accepted(seen[_AFTER], requirement="ASK-IDEM-005")


def _largest_request(stage: Stage) -> int:
    """Returns how large a request may be, in bytes; whatever a card says, no more than any card may say."""
    stated = stage.target.card.limits.max_message_bytes
    return min(stated, MAX_MESSAGE_BYTES) if stated > 0 else MAX_MESSAGE_BYTES


def _limit_check(
    name: str, *, title: str, limit: str, at: MakeAsk, over: MakeAsk, unit_bytes: int, most: int = sys.maxsize
) -> Check:
    """Returns the check of a limit: an ask at it is accepted, and one above it refused with what it is.

    Args:
        name: Of the check.
        title: Of the check.
        limit: The name of the field in Limits.
        at: Makes an ask at the limit.
        over: Makes one above.
        unit_bytes: How much a request grows with the limit at least, so that what is too large is not made at all.
        most: A card with a higher limit cannot be asked for more than it.
    """

    async def drive(stage: Stage) -> None:
        maximum = stage.limit(limit)
        if not maximum:
            raise NotApplicableError(f"the card states no {limit}")
        if stage.subject.scripted and limit in _OF_QUESTIONS:
            raise NotApplicableError("a script is one part of one turn")
        room = _largest_request(stage) - _OWN_BYTES
        makes = 0 < maximum <= min(most, room // unit_bytes if unit_bytes else most)
        if not makes or over(stage, maximum).ByteSize() > room:
            raise NotApplicableError(f"no ask that goes over {limit} fits into a request")
        good, bad = at(stage, maximum), over(stage, maximum)
        stage.note("maximum", maximum)
        await stage.send(_AT, good, until=accepted, abridged=True)
        await stage.send(_OVER, bad, until=accepted, abridged=True)
        await _ask_again(stage, bad)

    def judge(seen: Transcript) -> Iterator[Finding]:
        maximum = int(str(seen.notes["maximum"]))
        yield from _not_beyond(seen[_AT])
        yield from _names_limit(seen[_OVER], limit=limit, maximum=maximum, requested=maximum + 1)
        yield from _nothing_is_bound(seen)

    return Check(name=name, title=title, requirements=("ASK-LIM-001", "ASK-IDEM-005"), drive=drive, judge=judge)


def _detail(exchange: Exchange) -> error_details_pb2.LimitExceeded:
    detail = refusal_of(exchange).details.get("consilience.v1.LimitExceeded")
    return detail if isinstance(detail, error_details_pb2.LimitExceeded) else error_details_pb2.LimitExceeded()


def _not_beyond(exchange: Exchange) -> Iterator[Finding]:
    """Yields that what is just within a limit was refused; it may have too many tokens, which nobody here counts."""
    if _detail(exchange).limit != "max_input_tokens":
        yield from was_accepted(exchange, requirement="ASK-LIM-001")


def _names_limit(
    exchange: Exchange, *, limit: str, maximum: int, requested: int, tolerance: int = 0
) -> Iterator[Finding]:
    yield from refused(exchange, "LIMIT_EXCEEDED", requirement="ASK-LIM-001")
    if refusal_of(exchange).reason != "LIMIT_EXCEEDED":
        return
    detail = _detail(exchange)
    near = abs(detail.requested - requested) <= tolerance
    if (detail.limit, detail.maximum) != (limit, maximum) or not near:
        yield Finding(
            requirement="ASK-LIM-001",
            message="the detail of LIMIT_EXCEEDED tells another limit",
            expected=f"{limit}: maximum {maximum}, requested {requested}",
            got=f"{detail.limit}: maximum {detail.maximum}, requested {detail.requested}",
            exchange=exchange.name,
        )


def _with_turns(stage: Stage, count: int) -> ask_pb2.Ask:
    ask = stage.ask()
    question = ask.turns[-1]
    earlier = [
        ask_pb2.Turn(
            role=ask_pb2.ROLE_ASKER if index % 2 == count % 2 else ask_pb2.ROLE_NODE, parts=[ask_pb2.Part(text="so")]
        )
        for index in range(1, count)
    ]
    del ask.turns[:]
    ask.turns.extend([*earlier, question])
    return ask


def _with_bytes(stage: Stage, count: int) -> ask_pb2.Ask:
    """Fills up with characters of two bytes, as the limit counts bytes."""
    ask = stage.ask()
    text = ask.turns[-1].parts[-1].text
    missing = count - len(text.encode())
    ask.turns[-1].parts[-1].text = text + "\u00e9" * (missing // 2) + "." * (missing % 2)
    return ask


def _with_output_tokens(stage: Stage, count: int) -> ask_pb2.Ask:
    return stage.ask(limits=ask_pb2.AskLimits(max_output_tokens=count))


async def _ask_by_run_time(stage: Stage) -> None:
    own, of_card = stage.subject.skill.limits.max_run_time, stage.target.card.limits.max_run_time
    longest = duration_of(own if nanoseconds_of(own) else of_card)
    if longest is None or not _MARGIN < longest <= _LONGEST:
        raise NotApplicableError(f"max_run_time is absent, as short as clocks may differ, or over {_LONGEST.days} days")
    stage.note("maximum", longest // timedelta(milliseconds=1))
    asks = {}
    for name, beyond in ((_AT, -_MARGIN), (_OVER, _MARGIN)):
        deadline = timestamp(datetime.now(UTC) + longest + beyond)
        asks[name] = stage.ask(limits=ask_pb2.AskLimits(deadline=deadline))
        await stage.send(name, asks[name], until=accepted)
    await _ask_again(stage, asks[_OVER])


def _judge_run_time(seen: Transcript) -> Iterator[Finding]:
    maximum, margin = int(str(seen.notes["maximum"])), _MARGIN // timedelta(milliseconds=1)
    yield from was_accepted(seen[_AT], requirement="ASK-LIM-001")
    yield from _names_limit(
        seen[_OVER], limit="max_run_time", maximum=maximum, requested=maximum + margin, tolerance=margin
    )
    yield from _nothing_is_bound(seen)


def _padded(request: bytes, *, size: int) -> bytes:
    """Returns a request with an unknown field behind, which makes it exactly so large."""
    for digits in range(1, 5):
        padding = size - len(request) - len(field_of(_PADDING_FIELD, b"")) + 1 - digits
        if padding >= 0 and len(varint(padding)) == digits:
            return request + field_of(_PADDING_FIELD, bytes(padding))
    raise ValueError(f"nothing makes {len(request)} bytes {size}")


async def _send_by_size(stage: Stage) -> None:
    maximum = stage.target.card.limits.max_message_bytes
    if not _OWN_BYTES <= maximum <= MAX_MESSAGE_BYTES:
        raise NotApplicableError("the card states no max_message_bytes, or one that no request can reach")
    stage.note("maximum", maximum)
    ask, other = stage.ask(), stage.ask()
    for name, one, size in ((_AT, ask, maximum), (_OVER, other, maximum + 1)):
        request = ask_pb2.AskRequest(ask=stage.seal(one)).SerializeToString(deterministic=True)
        await stage.call(name, ASK, _padded(stage.with_payment(request), size=size), until=accepted, abridged=True)
    await _ask_again(stage, other)
    call = ask_pb2.GetAnswerCall(header=stage.header(GET), ask_request_id=ask.header.request_id)
    request = ask_pb2.GetAnswerRequest(call=stage.seal(call)).SerializeToString(deterministic=True)
    await stage.call(f"get-{_OVER}", GET, _padded(request, size=maximum + 1), abridged=True)


def _judge_size(seen: Transcript) -> Iterator[Finding]:
    maximum = int(str(seen.notes["maximum"]))
    yield from was_accepted(seen[_AT], requirement="ASK-LIM-001")
    for name in (_OVER, f"get-{_OVER}"):
        yield from _names_limit(seen[name], limit="max_message_bytes", maximum=maximum, requested=maximum + 1)
    yield from _nothing_is_bound(seen)


async def _ask_too_much(stage: Stage) -> None:
    maximum, largest = stage.limit("max_input_tokens"), stage.limit("max_input_bytes")
    if not maximum or stage.subject.scripted:
        raise NotApplicableError("the card states no max_input_tokens: the node does not count them")
    room = _largest_request(stage) - _OWN_BYTES
    if not 0 < maximum < (min(largest, room) if largest > 0 else room) // 2:
        raise NotApplicableError("max_input_bytes or max_message_bytes is reached before max_input_tokens")
    # Words apart by spaces: no way to count tokens finds fewer of them than words.
    text = "a " * maximum + "b"
    turns = [ask_pb2.Turn(role=ask_pb2.ROLE_ASKER, parts=[ask_pb2.Part(text=text)])]
    whole, cut = stage.ask(turns=turns), stage.ask(turns=turns, allow_truncation=True)
    await stage.send("whole", whole, abridged=True)
    await stage.send("truncated", cut, abridged=True)
    await _ask_again(stage, whole)


def _judge_too_much(seen: Transcript) -> Iterator[Finding]:
    yield from refused(seen["whole"], "LIMIT_EXCEEDED", requirement="ASK-LIM-002")
    if not seen["whole"].accepted:
        yield from _nothing_is_bound(seen)
    if not seen["truncated"].accepted:
        yield from refused(seen["truncated"], "LIMIT_EXCEEDED", requirement="ASK-LIM-002")
        return
    yield from complete(seen["truncated"])
    answer = read_log(seen["truncated"]).answer
    if answer is None or answer.outcome in {ask_pb2.OUTCOME_FAILED, ask_pb2.OUTCOME_CANCELLED}:
        return
    intake = answer.intake
    if not intake.prompt_tokens_dropped or not intake.dropped_side:
        yield Finding(
            requirement="ASK-LIM-002",
            message="a prompt that is too long was accepted, and the intake does not tell what was dropped",
            expected="prompt_tokens_dropped above zero, and the side",
            got=f"{intake.prompt_tokens_dropped} from {enum_name(ask_pb2.DroppedSide.DESCRIPTOR, intake.dropped_side)}",
            exchange="truncated",
        )


CHECKS = (
    ask_twin(
        "unread-media-type-is-refused",
        title="A part of a media type that the skill does not read is refused.",
        requirement="ASK-SKILL-001",
        reason="MEDIA_TYPE_UNSUPPORTED",
        defect=_unreadable_part,
    ),
    ask_twin(
        "unfit-answer-schema-is-refused",
        title="A schema for the answer is refused where the skill takes none, and what is no schema where it does.",
        requirement="ASK-SKILL-001",
        reason="ANSWER_SCHEMA_UNSUPPORTED",
        defect=_unfit_schema,
    ),
    ask_twin(
        "model-of-another-skill-is-refused",
        title="A model that the skill does not list is refused, though another skill lists it.",
        requirement="ASK-SKILL-001",
        reason="MODEL_UNKNOWN",
        defect=_model_of_another_skill,
    ),
    ask_twin(
        "unknown-card-is-refused",
        title="An ask that relies on a card which the node did not issue is refused.",
        requirement="ASK-CARD-001",
        reason="STALE_CARD",
        defect=_unknown_card,
    ),
    ask_twin(
        "almost-the-card-is-refused",
        title="An ask whose card digest differs from that of the card in one bit is refused.",
        requirement="ASK-CARD-001",
        reason="STALE_CARD",
        defect=_almost_the_card,
    ),
    ask_twin(
        "passed-deadline-is-refused",
        title="An ask whose deadline has passed is refused and not begun.",
        requirement="ASK-STOP-002",
        reason="DEADLINE_PASSED",
        defect=_passed_deadline,
    ),
    Check(
        name="data-class-above-the-highest-is-refused",
        title="Data of the highest class that the card reads is accepted, and that of each class above is refused.",
        requirements=("ASK-DATA-002", "ASK-IDEM-005"),
        drive=_ask_by_data_class,
        judge=_judge_data_class,
    ),
    _limit_check(
        "turns-are-limited",
        title="An ask of max_turns is accepted; one turn more is refused by the name of the limit.",
        limit="max_turns",
        at=_with_turns,
        over=lambda stage, maximum: _with_turns(stage, maximum + 1),
        unit_bytes=_TURN_BYTES,
    ),
    _limit_check(
        "input-bytes-are-limited",
        title="An ask of max_input_bytes is accepted; one byte more is refused by the name of the limit.",
        limit="max_input_bytes",
        at=_with_bytes,
        over=lambda stage, maximum: _with_bytes(stage, maximum + 1),
        unit_bytes=1,
    ),
    _limit_check(
        "output-tokens-are-limited",
        title="An ask for max_output_tokens is accepted; one for a token more is refused by the name of the limit.",
        limit="max_output_tokens",
        at=_with_output_tokens,
        over=lambda stage, maximum: _with_output_tokens(stage, maximum + 1),
        unit_bytes=0,
        most=2**63 - 2,
    ),
    Check(
        name="run-time-is-limited",
        title="A deadline within max_run_time is accepted, and one beyond it is refused by the name of the limit.",
        requirements=("ASK-LIM-001", "ASK-IDEM-005"),
        drive=_ask_by_run_time,
        judge=_judge_run_time,
    ),
    Check(
        name="message-bytes-are-limited",
        title="A request of max_message_bytes is accepted; one byte more is refused by the name of the limit.",
        requirements=("ASK-LIM-001", "ASK-IDEM-005"),
        drive=_send_by_size,
        judge=_judge_size,
    ),
    Check(
        name="prompt-is-not-dropped-in-silence",
        title="A prompt that is too long is refused, and with leave to cut it the intake tells what was dropped.",
        requirements=("ASK-LIM-002", "STRM-LOG-003", "ASK-IDEM-005"),
        drive=_ask_too_much,
        judge=_judge_too_much,
    ),
)
