"""Quotes: an honest node is paid within a window, and by a quote with a defect nobody pays (spec section 3.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from consilience.v1 import payment_pb2
from consilience_conformance.client_side.cheats import PER_ASK, paid, signed_rightly
from consilience_conformance.client_side.checks import PAY, ClientCheck
from consilience_conformance.client_side.dealings import Dealing
from consilience_conformance.client_side.forgeries import STRANGER, stranger_key
from consilience_conformance.client_side.spending import pays_by
from consilience_conformance.client_side.stage import ClientStage
from consilience_conformance.transcripts import Transcript
from consilience_conformance.verdicts import Finding
from consilience_conformance.wire_values import timestamp


async def _buy(stage: ClientStage) -> None:
    await stage.open(per_ask=PER_ASK)
    payee = await stage.payee()
    await stage.ask("first", payee)
    await stage.ask("second", payee)
    await stage.open()


def _judge_buying(seen: Transcript) -> Iterator[Finding]:
    for name in ("first", "second"):
        yield from paid(seen, name, requirement="PAY-VCH-004")
    yield from signed_rightly(seen, requirement="PAY-VCH-004")


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
        yield from paid(seen, "before", requirement="PAY-QUO-004")
        for exchange in pays_by(seen, "defect"):
            yield Finding(
                requirement="PAY-QUO-004",
                message=f"a client pays by a quote {what}",
                expected="no ask under it, and no voucher",
                got=exchange.method,
                exchange=exchange.name,
            )
            break
        yield from paid(seen, "after", requirement="PAY-QUO-004")

    return ClientCheck(
        name=name,
        title=f"A client does not pay by a quote {what}.",
        requirements=("PAY-QUO-004",),
        drive=drive,
        judge=judge,
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
)
