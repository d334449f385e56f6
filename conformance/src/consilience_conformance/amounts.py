"""Amounts: so many units of an asset, as options take them and as people read them."""

from __future__ import annotations

import re
from decimal import Decimal, localcontext

_AMOUNT = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,15})?) ([A-Z][A-Z0-9]{1,15}/[0-9]{1,2})")
_MOST_DIGITS = 200
"""More than an amount has, in whatever asset: none is rounded."""


def written(amount: int, *, asset: str) -> str:
    """Returns an amount as an option takes it: `0.005000 USD/6` of 5000 smallest units."""
    return f"{_moved(amount, places=-_scale(asset)):f} {asset}"


def shown(amount: int, *, asset: str) -> str:
    """Returns an amount as people read it, and as clients show it: `0.005 USD` of 5000 smallest units of `USD/6`."""
    return f"{_moved(amount, places=-_scale(asset), shortest=True):f} {asset.partition('/')[0]}"


def units(text: str) -> tuple[int, str]:
    """Returns the smallest units, and the asset, of an amount as an option takes it.

    Raises:
        ValueError: It is written otherwise, or its asset is not divided so far.
    """
    found = _AMOUNT.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no amount of an asset: write '0.005 USD/6', which is half a cent")
    number, asset = found.groups()
    amount = _moved(Decimal(number), places=_scale(asset))
    if amount != int(amount):
        raise ValueError(f"{text!r} is no amount of {asset}, which has {_scale(asset)} digits behind the point")
    return int(amount), asset


def _moved(number: int | Decimal, *, places: int, shortest: bool = False) -> Decimal:
    """Returns a number with its point moved, not rounded."""
    with localcontext() as context:
        context.prec = _MOST_DIGITS
        moved = Decimal(number).scaleb(places)
        return moved.normalize() if shortest else moved


def _scale(asset: str) -> int:
    """Returns how many digits behind the point an asset has."""
    return int(asset.rpartition("/")[2])
