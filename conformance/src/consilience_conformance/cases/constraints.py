"""Constraints: what a node takes and sends keeps the rules that the protos declare (ERR-FLD-001)."""

from __future__ import annotations

from collections.abc import Iterator

from google.rpc import error_details_pb2

from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance import envelopes
from consilience_conformance.ask_methods import ASK, CANCEL, GET, RESUME
from consilience_conformance.batches import Defect, Look, Spoil, batch
from consilience_conformance.breakages import Breakage, breakages
from consilience_conformance.checks import Check
from consilience_conformance.image import message_class
from consilience_conformance.payment_methods import CONFIRM, GET_QUOTE, OPEN
from consilience_conformance.rules.fields import deep_field_findings
from consilience_conformance.rules.refusals import refusal_of
from consilience_conformance.signed_calls import METHODS, Method, SignedCall
from consilience_conformance.stage import Stage
from consilience_conformance.targets import GET_NODE_CARD
from consilience_conformance.transcripts import Exchange, Transcript
from consilience_conformance.verdicts import Finding

_RULE = "ERR-FLD-001"

EARLIER: dict[str, str] = {"header.caller": "SIGNER_WRONG"}
"""Fields that an earlier check reads: whoever signs is not the caller that has another length (section 0.3, step 8)."""


def _broken(breakage: Breakage) -> Spoil:
    def spoil(stage: Stage, method: Method, call: SignedCall) -> SignedEnvelope:
        message = message_class(method.payload_type).FromString(call.SerializeToString())
        breakage.change(message)
        return envelopes.seal(message, seed=stage.caller.seed)

    return spoil


def names_the_field(breakage: Breakage) -> Look:
    """Returns what looks whether the detail of FIELD_INVALID names the field that was broken."""

    def look(exchange: Exchange) -> Iterator[Finding]:
        """Yields that the refusal does not name the field that is wrong."""
        refusal = refusal_of(exchange)
        if refusal.reason != "FIELD_INVALID":
            return
        detail = refusal.details.get("google.rpc.BadRequest")
        violations = detail.field_violations if isinstance(detail, error_details_pb2.BadRequest) else ()
        if not any(breakage.is_named_by(violation.field) for violation in violations):
            yield Finding(
                requirement="ERR-STAT-003",
                message="the detail of FIELD_INVALID does not name the field that is wrong",
                expected=breakage.path or "a field of the payload",
                got=", ".join(violation.field for violation in violations) or "no field",
                exchange=exchange.name,
            )

    return look


def defects_of(method: Method) -> tuple[Defect, ...]:
    """Returns a defect for every declared rule of what the caller of a method signs."""
    return tuple(
        Defect(
            name=breakage.name,
            requirement=_RULE,
            reason=EARLIER.get(breakage.path, "FIELD_INVALID"),
            spoil=_broken(breakage),
            look=names_the_field(breakage),
        )
        for breakage in breakages(method.payload_type)
    )


async def _tour(stage: Stage) -> None:
    ask = stage.ask()
    await stage.call("card", GET_NODE_CARD, b"")
    await stage.send("ask", ask)
    await stage.get("get", ask)
    await stage.resume("resume", ask)
    await stage.cancel("cancel", ask)


_RESPONSES = {
    GET_NODE_CARD: "consilience.v1.GetNodeCardResponse",
    ASK: "consilience.v1.AskResponse",
    RESUME: "consilience.v1.ResumeAnswerResponse",
    GET: "consilience.v1.GetAnswerResponse",
    CANCEL: "consilience.v1.CancelAnswerResponse",
    GET_QUOTE: "consilience.v1.GetQuoteResponse",
    OPEN: "consilience.v1.OpenSessionResponse",
    CONFIRM: "consilience.v1.ConfirmDepositResponse",
}


def _judge_tour(seen: Transcript) -> Iterator[Finding]:
    for exchange in seen.exchanges:
        kind = _RESPONSES[exchange.method]
        for response in exchange.responses:
            yield from deep_field_findings(response.data, kind, exchange=exchange.name)


CHECKS = (
    *(
        batch(
            f"{method.word}-that-breaks-a-rule-is-refused",
            title=f"What {method.name} takes is refused when a field breaks its declared rule, and the field is named.",
            method=method,
            defects=defects_of(method),
            requirements=("ERR-STAT-003",),
        )
        for method in METHODS
    ),
    Check(
        name="messages-of-the-node-keep-their-rules",
        title="Card, log, answer and snapshots keep the rules that the protos declare of their fields.",
        requirements=(_RULE,),
        drive=_tour,
        judge=_judge_tour,
    ),
)
