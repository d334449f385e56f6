"""Results: an answer that has ended, with everything that is known about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from consilience.asks import Answer, Citation, Confidence, Intake, Outcome, StopReason, Usage
from consilience.client.exchanges import Exchange
from consilience.client.tickets import HeldTicket
from consilience.envelopes import Signed
from consilience.nodes import Model, NodeCard
from consilience.payments import Amount, Receipt
from consilience.units import RequestId


@dataclass(frozen=True, slots=True, kw_only=True)
class AskResult:
    """An answer that has ended. Everything that the node states about it was verified against its signature.

    Attributes:
        text: The text of the answer.
        answer: What the node signed about it.
        node: The card of the node.
        request_id: Names the ask.
        exchange: Everything that was sent and received, for verification offline.
        parsed: The answer as the model or schema that was asked for reads it, where the node answered; else None.
        ticket: What it can be reviewed with: `client.reviews.review(result, …)`; None: nothing.
        receipt: What was charged, checked and kept in the wallet; None: the answer was free, or was not paid from here.
    """

    text: str
    answer: Signed[Answer]
    node: Signed[NodeCard]
    request_id: RequestId
    exchange: Exchange
    parsed: Any = None
    receipt: Signed[Receipt] | None = None
    ticket: HeldTicket | None = None

    @property
    def cost(self) -> Amount | None:
        """What was charged for it; None: it was free."""
        return Amount(self.receipt.value.charge, self.receipt.value.asset) if self.receipt else None

    @property
    def outcome(self) -> Outcome:
        """How it ended: a node that does not know says ABSTAINED, and that is a good answer."""
        return self.answer.value.outcome

    @property
    def stop_reason(self) -> StopReason:
        """What ended it."""
        return self.answer.value.stop_reason

    @property
    def detail(self) -> str:
        """What the node says about the outcome, for people."""
        return self.answer.value.detail

    @property
    def confidence(self) -> Confidence | None:
        """How sure the node says it is; None: it does not say, which is not one half."""
        return self.answer.value.confidence

    @property
    def citations(self) -> tuple[Citation, ...]:
        """The sources."""
        return self.answer.value.citations

    @property
    def model(self) -> Model | None:
        """The language model that answered; None: none took part."""
        return self.answer.value.model

    @property
    def intake(self) -> Intake | None:
        """What was read to make the answer, as far as the node discloses it."""
        return self.answer.value.intake

    @property
    def usage(self) -> Usage:
        """What it used."""
        return self.answer.value.usage
