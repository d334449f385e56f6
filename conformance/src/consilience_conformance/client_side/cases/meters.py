"""Meters: nothing is signed on a Meter that does not fit, and never more than a window ahead (spec section 3.6)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from consilience.v1 import payment_pb2, tariff_pb2
from consilience_conformance.client_side.cheats import cheated
from consilience_conformance.client_side.checks import ClientCheck
from consilience_conformance.client_side.dealings import Dealing
from consilience_conformance.client_side.payees import ASSET, WINDOW
from consilience_conformance.rules.tariffs import cost

_THIRDS = tariff_pb2.Tariff(
    id="thirds",
    asset=ASSET,
    prices=[
        tariff_pb2.UnitPrice(unit=tariff_pb2.PRICED_UNIT_OUTPUT_BYTE, price=1, per=3, included=2),
        tariff_pb2.UnitPrice(unit=tariff_pb2.PRICED_UNIT_REQUEST, price=7, per=3),
    ],
    minimum_charge=4,
)
"""A tariff whose prices are no whole numbers, so that who rounds each of them is told apart."""


def _bent(bend: Callable[[payment_pb2.Meter], None], *, number: int = 1) -> Dealing:
    def meter(meter: payment_pb2.Meter, at: int) -> None:
        if at == number:
            bend(meter)

    return Dealing(meter=meter)


def _charging_more(meter: payment_pb2.Meter) -> None:
    meter.charge += 1
    meter.required_cumulative += 1


def _counting_twice(meter: payment_pb2.Meter) -> None:
    more = meter.usage.output_bytes
    meter.usage.output_bytes += more
    meter.charge += more
    meter.required_cumulative += more


def _rounding_each_price(meter: payment_pb2.Meter) -> None:
    rounded = tariff_pb2.Tariff(minimum_charge=_THIRDS.minimum_charge)
    charge = 0
    for price in _THIRDS.prices:
        del rounded.prices[:]
        rounded.prices.append(price)
        charge += cost(rounded, meter.usage)
    meter.required_cumulative += charge - meter.charge
    meter.charge = charge


def _by_another_quote(meter: payment_pb2.Meter) -> None:
    meter.quote_digest = hashlib.sha256(b"a dearer quote").digest()
    meter.required_cumulative += meter.charge
    meter.charge *= 2


def _another_text(meter: payment_pb2.Meter) -> None:
    meter.transcript_digest = hashlib.sha256(b"another text").digest()


def _another_ask(meter: payment_pb2.Meter) -> None:
    meter.ask_digest = hashlib.sha256(b"another ask").digest()


def _another_session(meter: payment_pb2.Meter) -> None:
    meter.session_id = hashlib.sha256(b"another session").digest()


def _requiring_more(meter: payment_pb2.Meter) -> None:
    meter.required_cumulative += 5 * WINDOW


def _falling(meter: payment_pb2.Meter, at: int) -> None:
    meter.usage.hidden_tokens = 5 if at == 0 else 3


def _meter_check(name: str, *, what: str, dealing: Dealing, tariff: tariff_pb2.Tariff | None = None) -> ClientCheck:
    title = f"An answer is not paid on for whose Meter {what}."
    return cheated(name, title=title, requirement="PAY-MTR-003", dealing=dealing, tariff=tariff)


CHECKS = (
    _meter_check("meter-that-counts-twice", what="counts other text than came", dealing=_bent(_counting_twice)),
    _meter_check("meter-that-charges-more", what="charges more than the quote", dealing=_bent(_charging_more)),
    _meter_check(
        "meter-of-another-quote", what="charges by another quote than was agreed on", dealing=_bent(_by_another_quote)
    ),
    _meter_check("meter-of-another-text", what="has another transcript digest", dealing=_bent(_another_text)),
    _meter_check("meter-of-another-ask", what="names another ask", dealing=_bent(_another_ask)),
    _meter_check("meter-of-another-session", what="names another session", dealing=_bent(_another_session)),
    _meter_check("meter-that-falls", what="counts less than the one before", dealing=Dealing(meter=_falling)),
    cheated(
        "cost-to-the-unit",
        title="A tariff of fractions is paid to the unit, and a Meter that rounds otherwise is not paid on.",
        requirement="PAY-TRF-001",
        dealing=_bent(_rounding_each_price),
        tariff=_THIRDS,
    ),
    cheated(
        "meter-that-requires-more",
        title="No voucher goes beyond one window, whatever a Meter requires.",
        requirement="PAY-VCH-004",
        dealing=_bent(_requiring_more),
    ),
    cheated(
        "payment-needed-beyond-a-window",
        title="No voucher goes beyond one window, whatever PaymentNeeded says.",
        requirement="PAY-VCH-004",
        dealing=Dealing(needed=lambda wanted: wanted + 5 * WINDOW),
    ),
)
