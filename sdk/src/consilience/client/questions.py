"""Questions: what a user asks and under which conditions, and the signed ask that comes of it (spec section 2.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypedDict

from consilience._wire.envelopes import seal
from consilience.asks import ASK_METHOD, Ask, AskLimits, AskPayment, OnDisconnect, Role, Turn
from consilience.calls import MAX_CLOCK_SKEW, new_header
from consilience.client.shapes import AnswerShape, ModelType
from consilience.envelopes import Signed
from consilience.errors import DataClassForbiddenError, LimitExceeded, LimitExceededError, UsageError
from consilience.identity import Signer, format_node_id
from consilience.nodes import DataClass, NodeCard, Skill, effective_data_class, tighter_limits
from consilience.payments import Amount
from consilience.units import Digest, PublicKey, RequestId

ENVELOPE_BYTES = 256
"""What an envelope adds to its payload at most: type, key, signature and their headers."""


class AskOptions(TypedDict, total=False):
    """What may be said about an ask beyond the question and the node.

    Attributes:
        skill: The id of the skill; the first of the card, unless you say.
        data_class: How much harm the disclosure of the question would do; the client's, unless you say.
        max_output_tokens: Bounds the answer; the limit of the card, unless you say.
        max_hidden_tokens: Bounds tokens that nobody is shown, such as reasoning; the node chooses, unless you say.
        timeout: Seconds of waiting until the answer has to be there; 60 unless you say, None for no bound. What your
            program does between two reads of a stream does not count.
        first_token_timeout: Seconds of waiting until its first text has to be there.
        request_id: 16 random bytes; made where you give none.
        answer_type: A Pydantic model class that the answer is read into.
        answer_schema: A JSON schema (2020-12) that the answer, being JSON, has to fit.
        model: The id of the model that is to answer.
        on_disconnect: What the loss of this process does to the work; it goes on, unless you say.
        allow_truncation: Lets the node drop part of a prompt that is too long, which it then discloses.
        max_charge: The most that it may cost, in the asset of the budget, where that is less than the budget allows.
        reviewable: Whether the node is to give a ticket, so that the answer can be reviewed: `AskResult.ticket`. It is,
            unless you say: if only those asked for one who mean to review, a node could answer them better.
    """

    skill: str | None
    data_class: DataClass | None
    max_output_tokens: int
    max_hidden_tokens: int | None
    timeout: float | None
    first_token_timeout: float | None
    request_id: RequestId | None
    answer_type: ModelType | None
    answer_schema: dict[str, object] | str | None
    model: str | None
    on_disconnect: OnDisconnect
    allow_truncation: bool
    max_charge: Amount | str | None
    reviewable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Everything that goes into an ask and does not depend on the node's card or on the time."""

    turns: tuple[Turn, ...]
    request_id: RequestId
    data_class: DataClass
    skill: str | None = None
    max_output_tokens: int = 0
    max_hidden_tokens: int | None = None
    shape: AnswerShape | None = None
    model: str = ""
    on_disconnect: OnDisconnect = OnDisconnect.UNSPECIFIED
    allow_truncation: bool = False
    max_charge: Amount | None = None
    reviewable: bool = True

    def sign(
        self,
        card: NodeCard,
        *,
        card_digest: Digest,
        signer: Signer,
        now: datetime,
        seconds_left: float | None,
        trusted_nodes: frozenset[PublicKey],
        payment: AskPayment | None = None,
        max_charge: int | None = None,
        reviewer_commitment: bytes = b"",
    ) -> Signed[Ask]:
        """Signs the question for the node of a card.

        Args:
            card: What the asker relies on.
            card_digest: Names it.
            signer: The asker.
            now: The asker's clock.
            seconds_left: How long the asker will wait, or None.
            trusted_nodes: The nodes that may read more than INTERNAL data.
            payment: Out of what it is paid; None: it is free.
            max_charge: The most that it may cost, in units of the quote's asset; None: what the quote says.
            reviewer_commitment: Commits to who may review the answer; empty: to nobody.

        Raises:
            DataClassForbiddenError: The node may not read it; nothing was signed.
            LimitExceededError: It is larger than any message that the node reads.
        """
        skill = asked_skill(card, self.skill)
        check_data_class(self.data_class, card=card, skill=skill, trusted_nodes=trusted_nodes)
        limits = tighter_limits(card.limits, skill.limits if skill else None)
        ask = Ask(
            header=new_header(
                method=ASK_METHOD,
                audience=card.node_id,
                caller=signer.public_key,
                now=now,
                request_id=self.request_id,
            ),
            skill_id=skill.id if skill else self.skill or "",
            card_digest=card_digest,
            turns=self.turns,
            data_class=self.data_class,
            limits=AskLimits(
                max_output_tokens=self.max_output_tokens,
                max_hidden_tokens=self.max_hidden_tokens,
                deadline=_deadline(now, seconds_left, limits.max_run_time),
                max_charge=max_charge,
            ),
            answer_schema=self.shape.schema if self.shape and skill and skill.accepts_answer_schema else "",
            on_disconnect=self.on_disconnect,
            allow_truncation=self.allow_truncation,
            model_id=self.model,
            payment=payment,
            reviewer_commitment=reviewer_commitment,
        )
        signed = seal(ask, signer=signer)
        size = len(signed.envelope.payload) + ENVELOPE_BYTES
        if 0 < limits.max_message_bytes < size:
            raise LimitExceededError(
                f"the ask takes {size} bytes and the node reads {limits.max_message_bytes}; nothing was sent",
                detail=LimitExceeded(limit="max_message_bytes", maximum=limits.max_message_bytes, requested=size),
            )
        return signed


def asked_skill(card: NodeCard, name: str | None) -> Skill | None:
    """Returns the skill of a name, or the first of the card; None: the card does not list it, and the node decides.

    Raises:
        UsageError: There is none to ask.
    """
    if name:
        return card.skill(name)
    if not card.skills:
        raise UsageError(f"{format_node_id(card.node_id)} has no skill to ask, it is a registry; nothing was sent")
    return card.skills[0]


def amount_of(max_charge: Amount | str | None) -> Amount | None:
    """Returns an amount that may be written down as text.

    Raises:
        UsageError: The text is none.
    """
    return Amount.parse(max_charge) if isinstance(max_charge, str) else max_charge


def turns_of(question: str | Sequence[Turn]) -> tuple[Turn, ...]:
    """Returns the conversation of a question: a text alone, or the turns as they are."""
    if isinstance(question, str):
        return (Turn(role=Role.ASKER, parts=(question,)),)
    return tuple(question)


def check_data_class(
    data_class: DataClass, *, card: NodeCard, skill: Skill | None, trusted_nodes: frozenset[PublicKey]
) -> None:
    """Checks that data may go to a node, by its policy and by one's own list (ASK-DATA-002, ASK-DATA-003).

    Raises:
        DataClassForbiddenError: It may not.
        UsageError: The class is none.
    """
    if data_class <= DataClass.UNSPECIFIED:
        raise UsageError("the data class of an ask is PUBLIC, INTERNAL, CONFIDENTIAL or RESTRICTED")
    ceiling = effective_data_class(card, skill)
    if data_class > ceiling:
        raise DataClassForbiddenError(
            f"the question is {data_class.name} and the node reads up to {ceiling.name}; nothing was sent"
        )
    if data_class > DataClass.INTERNAL and card.node_id not in trusted_nodes:
        raise DataClassForbiddenError(
            f"the question is {data_class.name} and {format_node_id(card.node_id)} is not among your trusted nodes;"
            " nothing was sent"
        )


def _deadline(now: datetime, seconds_left: float | None, max_run_time: timedelta) -> datetime | None:
    """Returns when the node may stop because nobody waits any more, or None where its own bound comes first.

    The asker cancels by itself in time; this is for the case that it cannot, and so it leaves room for two clocks.
    """
    if seconds_left is None:
        return None
    wait = timedelta(seconds=seconds_left) + MAX_CLOCK_SKEW
    return now + wait if not max_run_time or wait + MAX_CLOCK_SKEW < max_run_time else None
