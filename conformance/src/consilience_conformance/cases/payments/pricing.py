"""How much text costs how much: what a script has to produce so that its answer comes to a charge."""

from __future__ import annotations

from consilience.v1 import ask_pb2, conformance_pb2, tariff_pb2
from consilience_conformance.needs import NotApplicableError, UntestableError
from consilience_conformance.payers import Payer, Price
from consilience_conformance.purses import Offer
from consilience_conformance.rules import tariffs
from consilience_conformance.stage import Stage, token

_SIZES = (4, 1, 16, 64, 256, 1024)
"""Bytes of a token, those first that are tried first: four are what tokens of models have."""
_MOST_TOKENS = 4000
_MOST_BYTES = 256 * 1024
_FINE = 8
"""So many tokens at least make a window, so that a window can be met exactly enough."""
WIDE = "🧊".encode()
"""A character that no node can cut in two."""
_FILLER = b"abcdefghijklmnopqrstuvwxyz012345"


def cost_of_text(tariff: tariff_pb2.Tariff, *, size: int, count: int) -> int:
    """Returns what an answer of so many tokens of so many bytes costs, and nothing else."""
    return tariffs.cost(tariff, ask_pb2.Usage(output_tokens=count, output_bytes=size * count))


def worth(price: Price, amount: int, *, stage: Stage) -> conformance_pb2.ScriptStep:
    """Returns the step that produces text for so much at least, and hardly more.

    Raises:
        UntestableError: What a script makes costs too little.
    """
    size, count = tokens_worth(price, amount, stage=stage)
    return text_of(size=size, count=count)


def text_of(*, size: int, count: int) -> conformance_pb2.ScriptStep:
    """Returns the step that produces so many tokens of so many bytes."""
    data = (_FILLER * (size // len(_FILLER) + 1))[:size]
    return token(data, times=count)


def tokens_worth(price: Price, amount: int, *, stage: Stage) -> tuple[int, int]:
    """Returns how large tokens have to be, in bytes, and how many are needed for a cost of so much.

    Raises:
        UntestableError: What a script makes costs too little.
    """
    tariff = price.quote.value.tariff
    most = min(_MOST_TOKENS, stage.limit("max_output_tokens") or _MOST_TOKENS)
    found: tuple[int, int] | None = None
    for size in _SIZES:
        count = _count(tariff, amount, size=size, most=min(most, _MOST_BYTES // size))
        if count is None:
            continue
        if cost_of_text(tariff, size=size, count=_FINE) <= price.window + cost_of_text(tariff, size=size, count=0):
            return size, count
        found = found or (size, count)
    if found is None:
        raise UntestableError(f"no script makes an answer for {amount} {tariff.asset}: the quote has large windows")
    return found


def _count(tariff: tariff_pb2.Tariff, amount: int, *, size: int, most: int) -> int | None:
    """Returns the least number of tokens for which so much is paid, or None: more than are wanted."""
    high = most
    if cost_of_text(tariff, size=size, count=high) < amount:
        return None
    low = 1
    while low < high:
        middle = (low + high) // 2
        if cost_of_text(tariff, size=size, count=middle) < amount:
            low = middle + 1
        else:
            high = middle
    return low


def steps_within(price: Price, amount: int, *, stage: Stage) -> tuple[int, int]:
    """Returns the size and the highest number of tokens whose cost is not above an amount.

    Raises:
        NotApplicableError: Not even one fits.
    """
    size, count = tokens_worth(price, amount, stage=stage)
    while count and cost_of_text(price.quote.value.tariff, size=size, count=count) > amount:
        count -= 1
    if not count:
        raise NotApplicableError(f"a single token costs more than {amount} {price.quote.value.tariff.asset}")
    return size, count


def steps_below(price: Price, amount: int, *, stage: Stage) -> list[conformance_pb2.ScriptStep]:
    """Returns steps whose text costs one unit less than an amount, where there are such, and the next `WIDE` too much.

    Where none come out so, the text is the most that costs no more than the amount. Raises what `steps_within` does.
    """
    tariff = price.quote.value.tariff
    size, most = steps_within(price, amount, stage=stage)

    def cost(count: int, *, fill: int, tokens: int = 0, wide: int = 0) -> int:
        usage = ask_pb2.Usage(output_tokens=count + fill + tokens, output_bytes=size * count + fill + len(WIDE) * wide)
        return tariffs.cost(tariff, usage)

    for count in range(most, max(0, most - _FINE), -1):
        for fill in range(_FINE + 1):
            # A token that was made and not delivered may stand in the usage of the answer: it must not cost a unit.
            below = cost(count, fill=fill) == cost(count, fill=fill, tokens=1) == amount - 1
            if below and cost(count, fill=fill, tokens=1, wide=1) > amount:
                return [text_of(size=size, count=count), *([text_of(size=1, count=fill)] if fill else [])]
    return [text_of(size=size, count=most)]


def untimed(payer: Payer) -> Offer:
    """Returns the first way to pay in which time costs nothing, so that a charge is known before.

    Raises:
        NotApplicableError: There is none.
    """
    for offer in payer.offers:
        if tariff_pb2.PRICED_UNIT_MILLISECOND not in tariffs.priced_units(offer.tariff):
            return offer
    raise NotApplicableError("every tariff of the script prices time, so that nobody knows a charge before")
