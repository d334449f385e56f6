"""Amounts as an operator writes them: a whole number of units of the asset, or a text that people read.

>>> units_of("0.60 USD", asset="USD/6")
600000
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import AfterValidator, PlainValidator

from consilience.errors import UsageError
from consilience.payments import Amount
from consilience.tariffs import MAX_PRICE, is_asset
from consilience_node.config.lines import KeyPath

Complaint: TypeAlias = tuple[KeyPath, str]
"""What is wrong within a table: the path from there, and what is to be said of it."""


def _amount(value: object) -> int | str:
    match value:
        case bool():
            pass
        case str():
            return value
        case int() if 0 <= value <= MAX_PRICE:
            return value
    raise ValueError('must be a whole number of units of the asset, from 0 to 10^15, or a text as "0.60 USD"')


def _asset(text: str) -> str:
    if not is_asset(text):
        raise ValueError('must be an asset with its scale, as "USD/6" for millionths of a dollar')
    return text


AmountValue: TypeAlias = Annotated[int | str, PlainValidator(_amount)]
AssetId: TypeAlias = Annotated[str, AfterValidator(_asset)]


def units_of(amount: int | str, *, asset: str) -> int:
    """Returns how many units of an asset an amount is.

    Args:
        amount: Such a number, or a decimal one with the name of the asset: `0.60 USD`.
        asset: With its scale.

    Raises:
        UsageError: The text is no amount in this asset, or one that no tariff can tell.
    """
    if isinstance(amount, int):
        return amount
    number, _, name = amount.strip().partition(" ")
    if name.strip() not in (asset, asset.partition("/")[0]):
        raise UsageError(f'must be in {asset}, as "0.5 {asset.partition("/")[0]}", not {amount!r}')
    value = Amount.parse(f"{number} {asset}").value
    if not 0 <= value <= MAX_PRICE:
        raise UsageError(f"must be 0 to {Amount(MAX_PRICE, asset)}, not {amount!r}")
    return value
