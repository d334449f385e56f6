"""The order of the checks of an ask: of several defects, the one that the table names first is told (ASK-IDEM-004)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from consilience.v1 import ask_pb2, node_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance import envelopes
from consilience_conformance.ask_methods import ASK, GET
from consilience_conformance.callers import Caller
from consilience_conformance.checks import Check
from consilience_conformance.rules.refusals import refused, was_accepted
from consilience_conformance.stage import Stage, accepted
from consilience_conformance.transcripts import Transcript
from consilience_conformance.verdicts import Finding
from consilience_conformance.wire_bytes import field_of
from consilience_conformance.wire_values import timestamp

_HOUR = timedelta(hours=1)
_LARGEST_FRAME = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """A step of the table, broken.

    Attributes:
        reason: By which it refuses.
        spoil: Breaks it, in an ask in which all later steps are broken already.
        offered: Tells whether the node has this step at all.
    """

    reason: str
    spoil: Callable[[Stage, ask_pb2.Ask], None]
    offered: Callable[[Stage], bool] = lambda _: True


def _set_lifetime(ask: ask_pb2.Ask, *, issued: datetime) -> None:
    ask.header.issue_time.CopyFrom(timestamp(issued))
    ask.header.expire_time.CopyFrom(timestamp(issued + timedelta(minutes=2)))


def _expire(_: Stage, ask: ask_pb2.Ask) -> None:
    _set_lifetime(ask, issued=datetime.now(UTC) - _HOUR)


def _require_extension(_: Stage, ask: ask_pb2.Ask) -> None:
    ask.header.required_extensions.append("https://extension.example.org/that-nobody-knows")


def _break_rules(_: Stage, ask: ask_pb2.Ask) -> None:
    ask.header.request_id = ask.header.request_id[:-1]
    ask.limits.max_hidden_tokens = -1


def _ask_restricted(_: Stage, ask: ask_pb2.Ask) -> None:
    ask.data_class = node_pb2.DATA_CLASS_RESTRICTED


def _refuses_data(stage: Stage) -> bool:
    highest = stage.target.card.data_policy.max_data_class
    own = stage.subject.skill.max_data_class
    return min(highest, own or highest) < node_pb2.DATA_CLASS_RESTRICTED


def _ask_for_more_tokens(stage: Stage, ask: ask_pb2.Ask) -> None:
    ask.limits.max_output_tokens = stage.limit("max_output_tokens") + 1


def _pass_deadline(_: Stage, ask: ask_pb2.Ask) -> None:
    ask.limits.deadline.CopyFrom(timestamp(datetime.now(UTC) - _HOUR))


def _text(name: str, value: str) -> Callable[[Stage, ask_pb2.Ask], None]:
    return lambda _, ask: setattr(ask, name, value)


_STEPS: dict[str, _Step] = {
    "fields": _Step(reason="FIELD_INVALID", spoil=_break_rules),
    "method": _Step(reason="METHOD_WRONG", spoil=lambda _, ask: setattr(ask.header, "method", GET)),
    "audience": _Step(reason="AUDIENCE_WRONG", spoil=lambda _, ask: setattr(ask.header, "audience", Caller.new().key)),
    "extension": _Step(reason="EXTENSION_UNSUPPORTED", spoil=_require_extension),
    "freshness": _Step(reason="CALL_EXPIRED", spoil=_expire),
    "card": _Step(
        reason="STALE_CARD", spoil=lambda stage, ask: setattr(ask, "card_digest", stage.random.randbytes(32))
    ),
    "skill": _Step(reason="SKILL_UNKNOWN", spoil=_text("skill_id", "no-such-skill")),
    "model": _Step(reason="MODEL_UNKNOWN", spoil=_text("model_id", "no-such-model")),
    "media-type": _Step(
        reason="MEDIA_TYPE_UNSUPPORTED",
        spoil=lambda _, ask: setattr(ask.turns[-1].parts.add().blob, "media_type", "application/nowhere-read"),
    ),
    "schema": _Step(reason="ANSWER_SCHEMA_UNSUPPORTED", spoil=_text("answer_schema", "no schema")),
    "data-class": _Step(reason="DATA_CLASS_REFUSED", spoil=_ask_restricted, offered=_refuses_data),
    "deadline": _Step(reason="DEADLINE_PASSED", spoil=_pass_deadline),
    "limits": _Step(
        reason="LIMIT_EXCEEDED",
        spoil=_ask_for_more_tokens,
        offered=lambda stage: bool(stage.limit("max_output_tokens")),
    ),
}
"""The steps of the table from 4 on, in its order."""


async def _break_more_and_more(stage: Stage) -> None:
    """Breaks the last step, then the one before it too, and so on to the first; the one broken last has to be told."""
    bound = stage.ask()
    await stage.send("bound", bound, until=accepted)
    good, offered = stage.ask(), [name for name, step in _STEPS.items() if step.offered(stage)]
    stage.note("steps", list(offered))
    ask = ask_pb2.Ask()
    ask.CopyFrom(good)
    for name in reversed(offered):
        _STEPS[name].spoil(stage, ask)
        await stage.send(f"from-{name}-on", ask, until=accepted)
        if name == "freshness":
            reuse = ask_pb2.Ask()
            reuse.CopyFrom(ask)
            reuse.header.request_id = bound.header.request_id
            await stage.send("from-reuse-on", reuse, until=accepted)
    await stage.get("state", good)
    await _break_envelopes(stage, ask)
    await stage.let_go()
    await stage.send("control-after", good, until=accepted)


async def _break_envelopes(stage: Stage, ask: ask_pb2.Ask) -> None:
    """Breaks the steps of an envelope around an ask in which all else is broken, from the last to the first."""
    envelope = stage.seal(ask, caller=Caller.new())
    for name in _ENVELOPE_STEPS:
        match name:
            case "nonsense":
                nonsense = b"\x0a\xff\xff\x01"
                envelope = envelopes.seal_bytes(nonsense, payload_type=envelope.payload_type, seed=stage.caller.seed)
            case "signature":
                envelope.signature = bytes(64)
            case "no-signature":
                envelope.signature = b""
            case "key":
                envelope.public_key = b"short"
            case "type":
                envelope.payload_type = "consilience.v1.GetAnswerCall"
        await stage.send(f"from-{name}-on", envelope, until=accepted)
    largest = stage.target.card.limits.max_message_bytes
    if largest and largest < _LARGEST_FRAME:
        request = ask_pb2.AskRequest(ask=SignedEnvelope()).SerializeToString() + field_of(2000, bytes(largest))
        await stage.call("from-size-on", ASK, request + b"\xff", until=accepted, abridged=True)


_ENVELOPE_STEPS = {
    "signer": "SIGNER_WRONG",
    "nonsense": "ENVELOPE_MALFORMED",
    "signature": "SIGNATURE_INVALID",
    "no-signature": "SIGNATURE_MISSING",
    "key": "ENVELOPE_MALFORMED",
    "type": "PAYLOAD_TYPE_WRONG",
}
"""The steps of an envelope, from the last to the first."""


def _judge_order(seen: Transcript) -> Iterator[Finding]:
    yield from was_accepted(seen["bound"], requirement="ASK-IDEM-004")
    reasons = {name: step.reason for name, step in _STEPS.items()} | _ENVELOPE_STEPS
    reasons |= {"reuse": "REQUEST_ID_REUSED", "size": "LIMIT_EXCEEDED"}
    for exchange in seen.named("from-"):
        name = exchange.name.removeprefix("from-").removesuffix("-on")
        yield from refused(exchange, reasons[name], requirement="ASK-IDEM-004")
    yield from refused(seen["state"], "ANSWER_UNKNOWN", requirement="ASK-IDEM-005")
    yield from was_accepted(seen["control-after"], requirement="ASK-IDEM-005")


CHECKS = (
    Check(
        name="first-check-that-fails-is-the-refusal",
        title="Of several defects of an ask, the one that the table of checks names first is told.",
        requirements=("ASK-IDEM-004", "ASK-IDEM-005"),
        drive=_break_more_and_more,
        judge=_judge_order,
    ),
)
