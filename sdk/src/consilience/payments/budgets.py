"""Budgets: what a program lets its client spend, in one asset. Who gives none spends nothing.

>>> Budget(per_ask="0.01 USD/6", per_day="1 USD/6").per_ask
Amount(value=10000, asset='USD/6')
"""

from __future__ import annotations

from dataclasses import dataclass

from consilience.errors import UsageError
from consilience.payments.amounts import Amount
from consilience.payments.costs import MAX_AMOUNT

_MAX_SCALE = len(str(MAX_AMOUNT)) - 1
"""Of an asset of which one whole can be spent."""


@dataclass(frozen=True, slots=True, init=False)
class Budget:
    """The most that asks may cost.

    Attributes:
        per_ask: One of them; the node is told, and ends an answer that would cost more.
        per_day: All of a day, by UTC, over everything that uses the wallet. An ask that runs counts with the most
            that it may come to; so does what is left in a session that is given up, because its node has lost it or
            broke the rules.

    Raises:
        UsageError: An amount is none, or below zero, or the two are in different assets.
    """

    per_ask: Amount
    per_day: Amount

    def __init__(self, *, per_ask: Amount | str, per_day: Amount | str) -> None:
        for name, amount in (("per_ask", per_ask), ("per_day", per_day)):
            object.__setattr__(self, name, spendable(amount, name=name))
        if self.per_ask.asset != self.per_day.asset:
            raise UsageError(f"a budget is in one asset, not in {self.per_ask.asset} and {self.per_day.asset}")

    @property
    def asset(self) -> str:
        """The asset of both amounts."""
        return self.per_ask.asset

    @property
    def most(self) -> int:
        """The most that one ask may cost on a day on which nothing was spent, in units of the asset."""
        return min(self.per_ask.value, self.per_day.value)


def spendable(amount: Amount | str, *, name: str) -> Amount:
    """Returns an amount that a budget can allow.

    Args:
        amount: As it is, or as people write it.
        name: What to call it.

    Raises:
        UsageError: It is none, or below zero, or more units than can be counted.
    """
    read = Amount.parse(amount) if isinstance(amount, str) else amount
    if read.value < 0:
        raise UsageError(f"{name} is no amount to spend: {read} is below zero")
    if read.value > MAX_AMOUNT:
        raise UsageError(f"{name} is no amount to spend: {_why_too_large(read.asset)}")
    return read


def _why_too_large(asset: str) -> str:
    scale = int(asset.partition("/")[2])
    if scale > _MAX_SCALE:
        return f"the scale of {asset}, the digits after the point, is out of range: it is to be from 0 to {_MAX_SCALE}"
    return f"{Amount(MAX_AMOUNT, asset)} is the most that there is of {asset}"
