"""Refusals: a status with a reason of the catalogue, its code, its detail, and no more than 4 KiB (spec chapter 5)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from google.rpc import error_details_pb2

from consilience.v1 import ask_pb2, conformance_pb2, node_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance import envelopes
from consilience_conformance.ask_methods import GET
from consilience_conformance.callers import Caller
from consilience_conformance.checks import Check
from consilience_conformance.rules.refusals import refusal_of, refused, status_findings
from consilience_conformance.signed_calls import METHODS
from consilience_conformance.stage import SCRIPT_MEDIA_TYPE, Stage, accepted, token
from consilience_conformance.subjects import SCRIPT_SKILL
from consilience_conformance.transcripts import Transcript
from consilience_conformance.verdicts import Finding
from consilience_conformance.wire_values import timestamp

_HOUR = timedelta(hours=1)
_MANY = 600
"""As many defects of one kind as no status of 4 KiB can list."""

Spoil = Callable[[Stage, ask_pb2.Ask], None]
Reseal = Callable[[SignedEnvelope], None]


def _issued(age: timedelta) -> Spoil:
    def spoil(_: Stage, ask: ask_pb2.Ask) -> None:
        ask.header.issue_time.CopyFrom(timestamp(datetime.now(UTC) - age))
        ask.header.expire_time.CopyFrom(timestamp(datetime.now(UTC) - age + timedelta(minutes=2)))

    return spoil


def _require_many(_: Stage, ask: ask_pb2.Ask) -> None:
    ask.header.required_extensions.extend(f"https://{index}.example.org/{'x' * 200}" for index in range(16))


_ASKS: dict[str, Spoil] = {
    "METHOD_WRONG": lambda _, ask: setattr(ask.header, "method", GET),
    "AUDIENCE_WRONG": lambda _, ask: setattr(ask.header, "audience", Caller.new().key),
    "CALL_EXPIRED": _issued(_HOUR),
    "CALL_NOT_YET_VALID": _issued(-_HOUR),
    "FIELD_INVALID": lambda _, ask: setattr(ask, "data_class", node_pb2.DATA_CLASS_UNSPECIFIED),
    "EXTENSION_UNSUPPORTED": _require_many,
    "STALE_CARD": lambda _, ask: setattr(ask, "card_digest", bytes(32)),
    "SKILL_UNKNOWN": lambda _, ask: setattr(ask, "skill_id", "no-such-skill"),
    "MODEL_UNKNOWN": lambda _, ask: setattr(ask, "model_id", "no-such-model"),
    "MEDIA_TYPE_UNSUPPORTED": lambda _, ask: setattr(
        ask.turns[-1].parts.add().blob, "media_type", "application/nowhere-read"
    ),
    "ANSWER_SCHEMA_UNSUPPORTED": lambda _, ask: setattr(ask, "answer_schema", "no schema"),
    "DATA_CLASS_REFUSED": lambda _, ask: setattr(ask, "data_class", node_pb2.DATA_CLASS_RESTRICTED),
    "DEADLINE_PASSED": lambda _, ask: ask.limits.deadline.CopyFrom(timestamp(datetime.now(UTC) - _HOUR)),
    "LIMIT_EXCEEDED": lambda _, ask: ask.limits.deadline.CopyFrom(timestamp(datetime.now(UTC) + 10_000 * _HOUR)),
}
"""What an ask is refused for, by the reason that is provoked; what a node accepts is a matter of other checks."""

_ENVELOPES: dict[str, Reseal] = {
    "ENVELOPE_MALFORMED": lambda envelope: setattr(envelope, "public_key", b"short"),
    "PAYLOAD_TYPE_WRONG": lambda envelope: setattr(envelope, "payload_type", "consilience.v1.Answer"),
    "SIGNATURE_MISSING": lambda envelope: setattr(envelope, "signature", b""),
    "SIGNATURE_INVALID": lambda envelope: setattr(envelope, "signature", bytes(64)),
}


async def _provoke(stage: Stage) -> None:
    bound = stage.ask()
    await stage.send("accepted", bound)
    for reason, spoil in _ASKS.items():
        ask = stage.ask()
        spoil(stage, ask)
        await stage.send(f"refusal-{reason}", ask, until=accepted)
        await stage.let_go()
    for method in METHODS:
        for reason, reseal in _ENVELOPES.items():
            envelope = stage.seal(method.call(stage, stage.ask()))
            reseal(envelope)
            name = f"refusal-{reason}-{method.word}"
            await stage.call(name, method.name, method.request(envelope), until=accepted)
    await stage.send("refusal-SIGNER_WRONG", stage.seal(stage.ask(), caller=Caller.new()), until=accepted)
    reused = ask_pb2.Ask()
    reused.CopyFrom(bound)
    reused.allow_truncation = not bound.allow_truncation
    await stage.send("refusal-REQUEST_ID_REUSED", reused, until=accepted)
    await _provoke_about_answers(stage, bound)


async def _provoke_about_answers(stage: Stage, bound: ask_pb2.Ask) -> None:
    unknown = stage.random.randbytes(16)
    await stage.get("refusal-ANSWER_UNKNOWN-get", unknown)
    await stage.resume("refusal-ANSWER_UNKNOWN-resume", unknown)
    await stage.cancel("refusal-ANSWER_UNKNOWN-cancel", unknown)
    await stage.resume("refusal-SEQUENCE_UNKNOWN", bound, after=2**40)
    if any(skill.id == SCRIPT_SKILL for skill in stage.target.card.skills):
        stranger = stage.stranger()
        ask = stage.ask(caller=stranger, skill_id=SCRIPT_SKILL, turns=[_script_without_leave(stage, stranger)])
        await stage.send("refusal-GRANT_INVALID", ask, caller=stranger, until=accepted)


def _script_without_leave(stage: Stage, stranger: Caller) -> ask_pb2.Turn:
    """Returns a script that breaks no rule, with a grant that whoever asks signed for himself."""
    grant = conformance_pb2.ConformanceGrant(node_id=stage.target.node_id, testers=[stranger.key])
    grant.issue_time.CopyFrom(timestamp(datetime.now(UTC)))
    grant.expire_time.CopyFrom(timestamp(datetime.now(UTC) + _HOUR / 2))
    script = conformance_pb2.ConformanceScript(grant=stage.seal(grant, caller=stranger), steps=[token("let me in")])
    blob = ask_pb2.Blob(media_type=SCRIPT_MEDIA_TYPE, data=script.SerializeToString(deterministic=True))
    return ask_pb2.Turn(role=ask_pb2.ROLE_ASKER, parts=[ask_pb2.Part(blob=blob)])


def _judge_provoked(seen: Transcript) -> Iterator[Finding]:
    for exchange in seen.named("refusal-"):
        if not exchange.accepted:
            yield from status_findings(exchange)


async def _break_many(stage: Stage) -> None:
    turn = ask_pb2.Turn(role=ask_pb2.ROLE_UNSPECIFIED)
    await stage.send("many-violations", stage.ask(turns=[turn] * _MANY), until=accepted)
    await stage.send("long-paths", stage.ask(turns=[turn] * _MANY, skill_id="\u00e9" * 2000), until=accepted)
    long_name = "\u00e9" * 100 + "/" + "x" * 20_000
    await stage.send("long-type", envelopes.seal_bytes(b"\x08\x01", payload_type=long_name, seed=stage.caller.seed))
    ask = stage.ask()
    ask.header.method = "consilience.v1." + "\u00e9" * 100
    await stage.send("long-method", ask, until=accepted)
    several = stage.ask(data_class=node_pb2.DATA_CLASS_UNSPECIFIED, skill_id="No Skill", card_digest=b"short")
    several.header.request_id = b"short"
    await stage.send("several-violations", several, until=accepted)


def _judge_many(seen: Transcript) -> Iterator[Finding]:
    found: list[Finding] = []
    for name in ("many-violations", "long-paths", "several-violations"):
        found += refused(seen[name], "FIELD_INVALID", requirement="ERR-FLD-001")
    for exchange in seen.exchanges:
        if not exchange.accepted:
            found += status_findings(exchange)
    yield from dict.fromkeys(found)  # the code of a refusal is looked at twice
    detail = refusal_of(seen["several-violations"]).details.get("google.rpc.BadRequest")
    violations = detail.field_violations if isinstance(detail, error_details_pb2.BadRequest) else ()
    blamed = {violation.field for violation in violations}
    missing = {"header.request_id", "skill_id", "card_digest", "data_class"} - blamed
    if missing and blamed:
        yield Finding(
            requirement="ERR-STAT-003",
            message="the detail of FIELD_INVALID does not list every field that is wrong",
            expected="header.request_id, skill_id, card_digest, data_class",
            got=", ".join(sorted(blamed)),
            exchange="several-violations",
        )


_STATUS = ("ERR-STAT-001", "ERR-STAT-002", "ERR-STAT-003", "ERR-STAT-004")

CHECKS = (
    Check(
        name="refusals-say-why",
        title="Every refusal carries a reason of the catalogue, its code and its detail, in at most 4 KiB.",
        requirements=_STATUS,
        drive=_provoke,
        judge=_judge_provoked,
    ),
    Check(
        name="large-refusals-arrive",
        title="A refusal with more to list than fits is shortened, and arrives.",
        requirements=(*_STATUS, "ERR-FLD-001"),
        drive=_break_many,
        judge=_judge_many,
    ),
)
