"""Stakes: what an ask that broke off may have cost.

>>> str(Stake(asset="TEST/0", metered=4, at_most=24))
'the node may charge up to 24 TEST for it, and has counted 4 TEST'
"""

from __future__ import annotations

from dataclasses import dataclass

from consilience.units import amount_words


@dataclass(frozen=True, slots=True, kw_only=True)
class Stake:
    """What is known about the money of an ask whose receipt has not come.

    Attributes:
        asset: Of all amounts.
        metered: What the node has counted for it, as far as it said so and that was checked.
        at_most: What the node can charge for it with the vouchers that it has. Zero: it costs nothing, and will not.
        deposit: What a rail was told to bring into a session first, and was not seen to arrive; the next ask at the
            node goes on with it.
    """

    asset: str
    metered: int = 0
    at_most: int = 0
    deposit: int = 0

    @property
    def money_moved(self) -> bool:
        """Whether money may have moved: for the ask, or into a session for it."""
        return self.at_most > 0 or self.deposit > 0

    def __str__(self) -> str:
        if not self.money_moved:
            return "nothing was paid for it"
        if self.deposit:
            brought = amount_words(self.deposit, asset=self.asset)
            return f"nothing was charged for it, and a deposit of {brought} may be on its way, which is not made again"
        most, counted = (amount_words(each, asset=self.asset) for each in (self.at_most, self.metered))
        return f"the node may charge up to {most} for it, and has counted {counted}"
