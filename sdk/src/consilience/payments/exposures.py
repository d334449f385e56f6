"""Exposures: how far ahead of a running answer its payer signs, and so what it can lose (spec sections 3.5 and 3.9).

A voucher never exceeds what is spent by receipts and, for each running ask, its exposure (PAY-VCH-004).
"""

from __future__ import annotations

from dataclasses import dataclass

from consilience.asks import Usage
from consilience.payments.costs import cost
from consilience.tariffs import Tariff

TEMPLATE_TOKENS = 256
"""What the template of a model adds to a question at most, as far as is assumed where a card does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """What a payer risks for one running ask, in units of the quote's asset.

    Attributes:
        ceiling: The most that the ask may cost.
        window: How far authority runs ahead of the text.
        question: What the question itself may cost.
        metered: The charge of the last Meter that was checked; None: there was none.
    """

    ceiling: int
    window: int
    question: int
    metered: int | None = None

    @property
    def amount(self) -> int:
        """How much may be authorized for the ask now."""
        counted = self.question if self.metered is None else self.metered
        return min(counted + self.window, self.ceiling)


def question_cost(tariff: Tariff, *, size_bytes: int, max_input_tokens: int) -> int:
    """Returns what a question may cost before there is any text, in units of the asset.

    A token of a question is a byte of it at least. What a node reads beyond the question, it counts in a Meter.

    Args:
        tariff: Prices it.
        size_bytes: Of the question.
        max_input_tokens: The limit of the card; zero: it states none.
    """
    tokens = size_bytes + TEMPLATE_TOKENS
    return cost(tariff, Usage(input_tokens=min(tokens, max_input_tokens) if max_input_tokens else tokens))


def least_cost(tariff: Tariff) -> int:
    """Returns what any answer costs at least, in units of the asset."""
    return cost(tariff, Usage())
