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
        left: What lies in sessions that were given up meanwhile; it counts as spent.
    """

    asset: str
    metered: int = 0
    at_most: int = 0
    deposit: int = 0
    left: int = 0

    @property
    def money_moved(self) -> bool:
        """Whether money may have moved: for the ask, or into a session for it."""
        return self.at_most > 0 or self.deposit > 0 or self.left > 0

    def __str__(self) -> str:
        if not self.money_moved:
            return "nothing was paid for it"
        most, counted, brought, left = (
            amount_words(each, asset=self.asset) for each in (self.at_most, self.metered, self.deposit, self.left)
        )
        words = ["nothing was charged for it"]
        if self.at_most:
            words = [f"the node may charge up to {most} for it", f"has counted {counted}"]
        if self.deposit:
            words.append(f"a deposit of {brought} may be on its way, which is not made again")
        if self.left:
            words.append(f"{left} lie in a session that is not used any more, and count as spent")
        return ", and ".join(words)
