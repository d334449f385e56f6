"""Amounts: integers in an asset whose id carries its scale, and how people read and write them.

>>> str(Amount(1_500, "USD/6"))
'0.0015 USD'
>>> Amount.parse("0.0015 USD/6")
Amount(value=1500, asset='USD/6')
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, localcontext

from consilience.errors import UsageError
from consilience.tariffs import is_asset
from consilience.units import MAX_AMOUNT_DIGITS, amount_words

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")


@dataclass(frozen=True, slots=True, order=True)
class Amount:
    """So many units of an asset.

    Attributes:
        value: In units of the asset.
        asset: `BTC/11` counts units of 10^-11 bitcoin.

    Raises:
        UsageError: The asset is no id of one.
    """

    value: int
    asset: str

    def __post_init__(self) -> None:
        if not is_asset(self.asset):
            raise UsageError(f"{self.asset!r} is no asset: write it with its scale, as USD/6")

    @classmethod
    def parse(cls, text: str) -> Amount:
        """Reads `0.0015 USD/6`, or `1500 USD/6` as 1500 dollars: a decimal number, and the asset with its scale.

        Raises:
            UsageError: It is none, or finer than the asset can tell.
        """
        number, _, asset = text.strip().partition(" ")
        asset = asset.strip()
        if not is_asset(asset):
            raise UsageError(f"{text!r} is no amount: write a number and an asset with its scale, as `0.5 USD/6`")
        if _NUMBER.fullmatch(number) is None or len(number) > MAX_AMOUNT_DIGITS:
            raise UsageError(f"{number!r} is no number")
        with localcontext() as context:
            context.prec = 2 * MAX_AMOUNT_DIGITS
            units = Decimal(number).scaleb(int(asset.partition("/")[2]))
            whole = units.to_integral_exact()
        if units != whole:
            raise UsageError(f"{text!r} is finer than {asset} can tell")
        return cls(int(whole), asset)

    def __str__(self) -> str:
        return amount_words(self.value, asset=self.asset)
