"""Stakes: what an ask that broke off may have cost.

>>> str(Stake(asset="TEST/0", metered=4, at_most=24))
'the node may charge up to 24 TEST for it, and has counted 4 TEST'
"""

from __future__ import annotations

from dataclasses import dataclass

from consilience.payments.amounts import Amount


@dataclass(frozen=True, slots=True, kw_only=True)
class Stake:
    """What is known about the money of an ask whose receipt has not come.

    Attributes:
        asset: Of both amounts.
        metered: What the node has counted for it, as far as it said so and that was checked.
        at_most: What the node can charge for it with the vouchers that it has. Zero: no money moved, and none will.
    """

    asset: str
    metered: int = 0
    at_most: int = 0

    @property
    def money_moved(self) -> bool:
        """Whether the ask may have cost something."""
        return self.at_most > 0

    def __str__(self) -> str:
        if not self.money_moved:
            return "nothing was paid for it"
        most, counted = Amount(self.at_most, self.asset), Amount(self.metered, self.asset)
        return f"the node may charge up to {most} for it, and has counted {counted}"
