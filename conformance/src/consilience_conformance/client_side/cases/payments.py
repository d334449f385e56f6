"""Payments: what a client signs, and what not, when the node that it pays is honest and when it cheats (chapter 3).

What a client says of a cheat is its own affair. It is judged by what it signs: asks under a quote, vouchers,
acknowledgements and deposits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from consilience.v1 import payment_pb2, tariff_pb2
from consilience_conformance.client_side.checks import GIVE_UP, PAY, ClientCheck
from consilience_conformance.client_side.forgeries import STRANGER, stranger_key
from consilience_conformance.client_side.judging import given_out
from consilience_conformance.client_side.payees import ASSET, HONEST, WINDOW, Dealing
from consilience_conformance.client_side.spending import (
    acknowledged_rightly,
    deposits,
    pays_by,
    told_rightly,
    within_bounds,
)
from consilience_conformance.client_side.stage import ClientStage
from consilience_conformance.rules.payments import differs
from consilience_conformance.rules.tariffs import cost
from consilience_conformance.stage import timestamp
from consilience_conformance.transcripts import Transcript
from consilience_conformance.verdicts import Finding

PER_ASK = 500
"""What the user lets each ask cost, in units of the asset: well above what the text of a payee costs."""

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


def _paid(seen: Transcript, name: str, *, requirement: str) -> Iterator[Finding]:
    """Yields that a right answer, rightly charged, is not given out, or told otherwise than it was charged."""
    yield from given_out(seen, name, requirement=requirement)
    yield from told_rightly(seen, name, requirement=requirement)


def _signed_rightly(seen: Transcript, *, requirement: str) -> Iterator[Finding]:
    yield from within_bounds(seen, requirement=requirement)
    yield from acknowledged_rightly(seen, requirement=requirement)


def _cheat(
    name: str,
    *,
    title: str,
    requirement: str,
    dealing: Dealing,
    tariff: tariff_pb2.Tariff | None = None,
    give_up: bool = False,
) -> ClientCheck:
    """Returns the check that a payee gets no more by cheating than its client had checked.

    Args:
        name: Of the check.
        title: What a client that passes does.
        requirement: What is broken otherwise.
        dealing: The cheat.
        tariff: What is paid for; None: by the byte.
        give_up: The user leaves the answer in which it is cheated.
    """

    async def drive(stage: ClientStage) -> None:
        await stage.open(per_ask=PER_ASK)
        payee, other = [await (stage.payee() if tariff is None else stage.payee(tariff=tariff)) for _ in range(2)]
        await stage.ask("before", payee)
        payee.dealing = dealing
        await stage.ask("defect", payee, give_up=give_up)
        payee.dealing = HONEST
        # Whoever was cheated may have done with the node; if not, what it signs next shows what it takes for spent.
        await stage.ask("again", payee)
        await stage.ask("after", other)
        # A client that is closed brings what it does behind its user's back to its end.
        await stage.open()

    def judge(seen: Transcript) -> Iterator[Finding]:
        yield from _paid(seen, "before", requirement=requirement)
        yield from _signed_rightly(seen, requirement=requirement)
        yield from _paid(seen, "after", requirement=requirement)

    needs = (PAY, GIVE_UP) if give_up else (PAY,)
    return ClientCheck(
        name=name, title=title, requirements=(requirement,), drive=drive, judge=judge, after=("paid-ask",), needs=needs
    )


async def _buy(stage: ClientStage) -> None:
    await stage.open(per_ask=PER_ASK)
    payee = await stage.payee()
    await stage.ask("first", payee)
    await stage.ask("second", payee)
    await stage.open()


def _judge_buying(seen: Transcript) -> Iterator[Finding]:
    for name in ("first", "second"):
        yield from _paid(seen, name, requirement="PAY-VCH-004")
    yield from _signed_rightly(seen, requirement="PAY-VCH-004")


def _rejected_quote(name: str, *, what: str, dealing: Dealing) -> ClientCheck:
    """Returns the check that a client does not pay by a quote with one defect."""

    async def drive(stage: ClientStage) -> None:
        await stage.open(per_ask=PER_ASK)
        # Each of another node: a client may keep a quote until it expires.
        right, wrong, other = await stage.payee(), await stage.payee(dealing=dealing), await stage.payee()
        await stage.ask("before", right)
        await stage.ask("defect", wrong)
        await stage.ask("after", other)

    def judge(seen: Transcript) -> Iterator[Finding]:
        yield from _paid(seen, "before", requirement="PAY-QUO-004")
        for exchange in pays_by(seen, "defect"):
            yield Finding(
                requirement="PAY-QUO-004",
                message=f"a client pays by a quote {what}",
                expected="no ask under it, and no voucher",
                got=exchange.method,
                exchange=exchange.name,
            )
            break
        yield from _paid(seen, "after", requirement="PAY-QUO-004")

    return ClientCheck(
        name=name,
        title=f"A client does not pay by a quote {what}.",
        requirements=("PAY-QUO-004",),
        drive=drive,
        judge=judge,
        after=("paid-ask",),
        needs=(PAY,),
    )


def _made(*, issued: timedelta) -> Callable[[payment_pb2.Quote], None]:
    def change(quote: payment_pb2.Quote) -> None:
        began = datetime.now(UTC) + issued
        quote.issue_time.CopyFrom(timestamp(began))
        quote.expire_time.CopyFrom(timestamp(began + timedelta(minutes=5)))

    return change


def _with(**fields: object) -> Callable[[payment_pb2.Quote], None]:
    return lambda quote: quote.MergeFrom(payment_pb2.Quote(**fields))  # type: ignore[arg-type]


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


def _overcharging(receipt: payment_pb2.Receipt) -> None:
    receipt.charge += 5
    receipt.session_spent += 5


def _adding_up_wrongly(receipt: payment_pb2.Receipt) -> None:
    receipt.session_spent += 5


def _following_another(receipt: payment_pb2.Receipt) -> None:
    receipt.previous_digest = hashlib.sha256(b"another receipt").digest()


def _for_another_ask(receipt: payment_pb2.Receipt) -> None:
    receipt.ask_digest = hashlib.sha256(b"another ask").digest()


def _of_other_usage(receipt: payment_pb2.Receipt) -> None:
    receipt.usage.output_bytes += 1


def _meter_check(name: str, *, what: str, dealing: Dealing, tariff: tariff_pb2.Tariff | None = None) -> ClientCheck:
    title = f"An answer is not paid on for whose Meter {what}."
    return _cheat(name, title=title, requirement="PAY-MTR-003", dealing=dealing, tariff=tariff)


def _receipt_check(name: str, *, what: str, dealing: Dealing, give_up: bool = False) -> ClientCheck:
    title = f"A receipt {what} is not acknowledged, and does not count as spent."
    return _cheat(name, title=title, requirement="PAY-RCP-005", dealing=dealing, give_up=give_up)


def _unknown_deposit(name: str, *, title: str, dealing: Dealing) -> ClientCheck:
    """Returns the check that a deposit of which nothing is known stays the one that it is."""

    async def drive(stage: ClientStage) -> None:
        await stage.open(per_ask=PER_ASK)
        honest = await stage.payee(backing=tariff_pb2.BACKING_PREPAID)
        payee = await stage.payee(backing=tariff_pb2.BACKING_PREPAID, dealing=dealing)
        await stage.ask("before", honest)
        await stage.ask("defect", payee)
        payee.dealing = HONEST
        await stage.ask("after", payee)

    def judge(seen: Transcript) -> Iterator[Finding]:
        yield from _paid(seen, "before", requirement="PAY-RAIL-001")
        began: dict[bytes, int] = {}
        for exchange, deposit, amount in deposits(seen):
            if exchange.name.startswith("before/"):
                continue
            if began and deposit not in began:
                yield differs(
                    "PAY-RAIL-001",
                    "another deposit is begun while nothing is known of the first",
                    expected=next(iter(began)),
                    got=deposit,
                    exchange=exchange.name,
                )
                break
            began[deposit] = amount
        yield from _paid(seen, "after", requirement="PAY-RAIL-001")

    return ClientCheck(
        name=name,
        title=title,
        requirements=("PAY-RAIL-001",),
        drive=drive,
        judge=judge,
        after=("paid-ask",),
        needs=(PAY,),
    )


CHECKS = (
    ClientCheck(
        name="paid-ask",
        title="What is signed for an honest node stays within a window, and the user is told what it was charged.",
        requirements=("PAY-VCH-004",),
        drive=_buy,
        judge=_judge_buying,
        needs=(PAY,),
    ),
    _rejected_quote("quote-for-another-payer", what="for another payer", dealing=Dealing(quote=_with(payer=bytes(32)))),
    _rejected_quote("quote-for-another-skill", what="for another skill", dealing=Dealing(quote=_with(skill_id="chat"))),
    _rejected_quote(
        "quote-on-another-card", what="that rests on another card", dealing=Dealing(quote=_with(card_digest=bytes(32)))
    ),
    _rejected_quote(
        "quote-that-expired", what="that has expired", dealing=Dealing(quote=_made(issued=-timedelta(hours=2)))
    ),
    _rejected_quote(
        "quote-from-the-future", what="from the future", dealing=Dealing(quote=_made(issued=timedelta(minutes=2)))
    ),
    _rejected_quote(
        "quote-by-an-unlisted-key",
        what="that is signed by a key that the card does not list",
        dealing=Dealing(quote=_with(signing_key=stranger_key()), quote_seed=STRANGER),
    ),
    _meter_check("meter-that-counts-twice", what="counts other text than came", dealing=_bent(_counting_twice)),
    _meter_check("meter-that-charges-more", what="charges more than the quote", dealing=_bent(_charging_more)),
    _meter_check(
        "meter-of-another-quote", what="charges by another quote than was agreed on", dealing=_bent(_by_another_quote)
    ),
    _meter_check("meter-of-another-text", what="has another transcript digest", dealing=_bent(_another_text)),
    _meter_check("meter-of-another-ask", what="names another ask", dealing=_bent(_another_ask)),
    _meter_check("meter-of-another-session", what="names another session", dealing=_bent(_another_session)),
    _meter_check("meter-that-falls", what="counts less than the one before", dealing=Dealing(meter=_falling)),
    _cheat(
        "cost-to-the-unit",
        title="A tariff of fractions is paid to the unit, and a Meter that rounds otherwise is not paid on.",
        requirement="PAY-TRF-001",
        dealing=_bent(_rounding_each_price),
        tariff=_THIRDS,
    ),
    _cheat(
        "meter-that-requires-more",
        title="No voucher goes beyond one window, whatever a Meter requires.",
        requirement="PAY-VCH-004",
        dealing=_bent(_requiring_more),
    ),
    _cheat(
        "payment-needed-beyond-a-window",
        title="No voucher goes beyond one window, whatever PaymentNeeded says.",
        requirement="PAY-VCH-004",
        dealing=Dealing(needed=lambda wanted: wanted + 5 * WINDOW),
    ),
    _receipt_check("receipt-that-overcharges", what="above what usage costs", dealing=Dealing(receipt=_overcharging)),
    _receipt_check(
        "receipt-that-does-not-add-up", what="that breaks the sum", dealing=Dealing(receipt=_adding_up_wrongly)
    ),
    _receipt_check(
        "receipt-out-of-its-chain", what="that names another one before it", dealing=Dealing(receipt=_following_another)
    ),
    _receipt_check("receipt-for-another-ask", what="for another ask", dealing=Dealing(receipt=_for_another_ask)),
    _receipt_check(
        "receipt-of-other-usage", what="of other usage than the answer", dealing=Dealing(receipt=_of_other_usage)
    ),
    _receipt_check(
        "receipt-that-was-withheld",
        what="that overcharges and was not in the Final",
        dealing=Dealing(receipt=_overcharging, withholds=True),
    ),
    _receipt_check(
        "charge-after-a-cancel",
        what="that charges an answer after it was cancelled for more than was used",
        dealing=Dealing(receipt=_overcharging),
        give_up=True,
    ),
    _unknown_deposit(
        "deposit-that-is-pending",
        title="A deposit that is PENDING is asked about again, and no other is begun.",
        dealing=Dealing(confirmed=payment_pb2.TRANSFER_STATUS_PENDING),
    ),
    _unknown_deposit(
        "deposit-without-an-answer",
        title="A deposit whose confirmation breaks off is asked about again, and no other is begun.",
        dealing=Dealing(confirmed=None),
    ),
    _unknown_deposit(
        "deposit-whose-order-is-lost",
        title="A deposit whose order breaks off is ordered again, and no other is begun.",
        dealing=Dealing(loses_orders=True),
    ),
)
