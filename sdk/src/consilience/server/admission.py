"""Admission: the checks between the bytes of a call and the work on it, in the order of spec section 2.2.

Size, envelope, fields, header: `open_call`, for every method. What an ask names and how much it wants: `admit`. Nothing
here waits or remembers; the look-up of the request id, which comes between the two, is that of `answers`.
"""

from __future__ import annotations

import json
from collections.abc import Container
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar, cast

from consilience._wire import services
from consilience._wire.envelopes import open_envelope
from consilience.asks import (
    ASK_METHOD,
    CANCEL_METHOD,
    GET_METHOD,
    RESUME_METHOD,
    Ask,
    Blob,
    CancelAnswerCall,
    GetAnswerCall,
    ResumeAnswerCall,
    check_ask,
    check_call,
)
from consilience.calls import check_header
from consilience.envelopes import Envelope, Signed
from consilience.errors import (
    AnswerSchemaUnsupportedError,
    DataClassRefusedError,
    DeadlinePassedError,
    MediaTypeUnsupportedError,
    ModelUnknownError,
    ServerTime,
    SkillUnknownError,
    Supported,
)
from consilience.nodes import (
    DataClass,
    DataPolicy,
    Limits,
    Skill,
    tighter_limits,
)
from consilience.payments import (
    ACKNOWLEDGE_METHOD,
    CLOSE_METHOD,
    CONFIRM_METHOD,
    GET_SESSION_METHOD,
    LIST_METHOD,
    OPEN_METHOD,
    QUOTE_METHOD,
    WITHDRAW_METHOD,
    AcknowledgeReceiptCall,
    CloseSessionCall,
    ConfirmDepositCall,
    GetQuoteCall,
    GetSessionCall,
    ListReceiptsCall,
    OpenSessionCall,
    PaymentCall,
    WithdrawCall,
    check_payment_call,
)
from consilience.server.load import exceeded
from consilience.server.skills import IncomingAsk, ServedSkill, SkillBook
from consilience.units import PublicKey

PLAIN_TEXT = "text/plain"
MILLISECOND = timedelta(milliseconds=1)

CallT = TypeVar("CallT", bound=Ask | ResumeAnswerCall | GetAnswerCall | CancelAnswerCall | PaymentCall)

METHODS: dict[type, str] = {
    Ask: ASK_METHOD,
    ResumeAnswerCall: RESUME_METHOD,
    GetAnswerCall: GET_METHOD,
    CancelAnswerCall: CANCEL_METHOD,
    GetQuoteCall: QUOTE_METHOD,
    OpenSessionCall: OPEN_METHOD,
    ConfirmDepositCall: CONFIRM_METHOD,
    GetSessionCall: GET_SESSION_METHOD,
    AcknowledgeReceiptCall: ACKNOWLEDGE_METHOD,
    ListReceiptsCall: LIST_METHOD,
    WithdrawCall: WITHDRAW_METHOD,
    CloseSessionCall: CLOSE_METHOD,
}
"""The method whose request carries each signed call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """The rules of a node, as its card states them.

    Attributes:
        node_id: The root key, 32 bytes.
        limits: Those that hold for every skill, each set.
        data_policy: What data the node reads.
        extensions: The URIs of the extensions that it knows.
    """

    node_id: PublicKey
    limits: Limits
    data_policy: DataPolicy
    extensions: Container[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedAsk:
    """An ask that was read, and what its request carries beside it, unverified: a voucher and the quote."""

    signed: Signed[Ask]
    voucher: Envelope | None
    quote: Envelope | None


def open_ask(request: bytes, *, house: House) -> OpenedAsk:
    """Reads the request of an ask; raises as `open_call`."""
    check_size(request, limits=house.limits)
    received = services.decode_ask(request)
    signed = _opened(received.ask, Ask, house=house)
    return OpenedAsk(signed=signed, voucher=received.voucher, quote=received.quote)


def open_call(request: bytes, call_type: type[CallT], *, house: House) -> Signed[CallT]:
    """Reads a request: its size, then the envelope, the fields, and the header but for its time.

    Args:
        request: The encoded request message.
        call_type: What its envelope has to carry.
        house: The rules of the node.

    Raises:
        LimitExceededError: `max_message_bytes`.
        RefusedError: Everything that `decode_request`, `open_envelope`, the check of the fields and `check_header`
            refuse.
    """
    check_size(request, limits=house.limits)
    return _opened(services.decode_request(request), call_type, house=house)


def _opened(envelope: Envelope, call_type: type[CallT], *, house: House) -> Signed[CallT]:
    signed = open_envelope(envelope, call_type)
    match signed.value:
        case Ask() as ask:
            check_ask(ask)
        case ResumeAnswerCall() | GetAnswerCall() | CancelAnswerCall() as call:
            check_call(call)
        case of_payments:
            check_payment_call(cast("PaymentCall", of_payments))
    header = signed.value.header
    check_header(header, method=METHODS[call_type], audience=house.node_id, extensions=house.extensions)
    return signed


def check_size(request: bytes, *, limits: Limits) -> None:
    """Refuses a message that is larger than the card allows."""
    if len(request) > limits.max_message_bytes:
        raise exceeded("max_message_bytes", maximum=limits.max_message_bytes, requested=len(request))


def admit(signed: Signed[Ask], *, house: House, skills: SkillBook, now: datetime) -> tuple[IncomingAsk, ServedSkill]:
    """Decides whether an ask is one that the node answers: skill, model, media, schema, data class, deadline, limits.

    How many asks run already is not looked at here.

    Raises:
        SkillUnknownError, ModelUnknownError, MediaTypeUnsupportedError: With what is supported.
        AnswerSchemaUnsupportedError: The skill takes no schema, or the schema is no JSON schema.
        DataClassRefusedError: With the classes that the skill reads (ASK-DATA-002).
        DeadlinePassedError: With the time of the node.
        LimitExceededError: With the limit.
    """
    ask = signed.value
    served = served_skill(ask.skill_id, skills=skills)
    skill = served.skill
    check_model(ask.model_id, skill=skill)
    _check_media(ask, skill)
    _check_schema(ask, skill)
    _check_data_class(ask, skill, house.data_policy)
    limits = tighter_limits(house.limits, skill.limits)
    deadline = _deadline(ask, limits, now)
    _check_amounts(ask, limits)
    incoming = IncomingAsk(
        ask=ask,
        digest=signed.digest,
        skill=skill,
        max_output_tokens=ask.limits.max_output_tokens or limits.max_output_tokens,
        max_input_tokens=limits.max_input_tokens,
        deadline=deadline,
    )
    return incoming, served


def served_skill(skill_id: str, *, skills: SkillBook) -> ServedSkill:
    """Returns the skill that a call names.

    Raises:
        SkillUnknownError: With those that there are.
    """
    served = skills.get(skill_id)
    if served is None:
        detail = Supported(field="skill_id", values=skills.ids)
        raise SkillUnknownError(f"there is no skill {skill_id!r} here", detail=detail)
    return served


def check_model(model_id: str, *, skill: Skill) -> None:
    """Refuses a model that a skill does not have; none is named: whichever the node chooses.

    Raises:
        ModelUnknownError: With those that it has.
    """
    if model_id and model_id not in skill.model_ids:
        detail = Supported(field="model_id", values=skill.model_ids)
        raise ModelUnknownError(f"{skill.id} has no model {model_id!r}", detail=detail)


def _check_media(ask: Ask, skill: Skill) -> None:
    readable = skill.input_media_types or (PLAIN_TEXT,)
    for turn in ask.turns:
        for part in turn.parts:
            media_type = part.media_type if isinstance(part, Blob) else PLAIN_TEXT
            if media_type not in readable:
                detail = Supported(field="turns.parts.blob.media_type", values=readable)
                raise MediaTypeUnsupportedError(f"{skill.id} does not read {media_type}", detail=detail)


def _check_schema(ask: Ask, skill: Skill) -> None:
    if not ask.answer_schema:
        return
    if not skill.accepts_answer_schema:
        raise AnswerSchemaUnsupportedError(f"{skill.id} takes no schema for its answer")
    try:
        schema = json.loads(ask.answer_schema)
    except (ValueError, RecursionError) as error:
        raise AnswerSchemaUnsupportedError("the schema for the answer is not JSON") from error
    if not isinstance(schema, dict | bool):
        raise AnswerSchemaUnsupportedError("a JSON schema is an object or a boolean")


def _check_data_class(ask: Ask, skill: Skill, policy: DataPolicy) -> None:
    ceiling = policy.max_data_class
    if skill.max_data_class > DataClass.UNSPECIFIED:
        ceiling = min(ceiling, skill.max_data_class)
    if ask.data_class > ceiling:
        readable = tuple(f"DATA_CLASS_{name.name}" for name in DataClass if DataClass.UNSPECIFIED < name <= ceiling)
        raise DataClassRefusedError(
            f"{skill.id} does not read what is {ask.data_class.name}",
            detail=Supported(field="data_class", values=readable),
        )


def _deadline(ask: Ask, limits: Limits, now: datetime) -> datetime:
    """Returns when the work ends at the latest (ASK-STOP-002)."""
    asked = ask.limits.deadline
    if asked is None:
        return now + limits.max_run_time
    if asked <= now:
        raise DeadlinePassedError("the deadline of the ask has passed", detail=ServerTime(server_time=now))
    if asked - now > limits.max_run_time:
        requested = -((now - asked) // MILLISECOND)
        raise exceeded("max_run_time", maximum=limits.max_run_time // MILLISECOND, requested=requested)
    return asked


def _check_amounts(ask: Ask, limits: Limits) -> None:
    """Refuses more turns, bytes or tokens than are allowed (ASK-LIM-001)."""
    amounts = (
        ("max_turns", limits.max_turns, len(ask.turns)),
        ("max_input_bytes", limits.max_input_bytes, sum(turn.size_bytes for turn in ask.turns)),
        ("max_output_tokens", limits.max_output_tokens, ask.limits.max_output_tokens),
    )
    for limit, maximum, requested in amounts:
        if maximum and requested > maximum:
            raise exceeded(limit, maximum=maximum, requested=requested)
