"""Refunds: what is given back by the rules counts, and a refund that breaks them does not (spec section 3.6)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

from consilience.v1 import payment_pb2, tariff_pb2
from consilience_conformance.client_side.cheats import PER_ASK, paid, signed_rightly
from consilience_conformance.client_side.checks import PAY, ClientCheck
from consilience_conformance.client_side.judging import reply_of
from consilience_conformance.client_side.payees import Payee
from consilience_conformance.client_side.stage import ClientStage
from consilience_conformance.needs import UntestableError
from consilience_conformance.rules.payments import differs
from consilience_conformance.transcripts import Transcript
from consilience_conformance.verdicts import Finding

_PART = 5
"""What is given back rightly, in units of the asset: less than any text of a payee costs."""

Bent = Callable[[payment_pb2.Receipt], None]


async def _bought(stage: ClientStage, name: str) -> Payee:
    """Returns a payee of whom the client has bought, and who then gives part of it back."""
    payee = await stage.payee(backing=tariff_pb2.BACKING_PREPAID)
    await stage.ask(name, payee)
    if not any(account.receipts for account in payee.accounts.values()):
        raise UntestableError("the client buys nothing of an honest payee")
    payee.refund(_PART)
    return payee


def _spent(payee: Payee) -> int:
    return sum(account.spent for account in payee.accounts.values())


def _told(seen: Transcript, name: str) -> Iterator[Finding]:
    """Yields that the user is not told what was charged and given back by the receipts that are right."""
    right: Any = seen.notes["right"]
    got = reply_of(seen, name).get("account")
    if got != right[name]:
        yield differs(
            "PAY-RCP-005",
            "the user is not told what was charged and given back",
            expected=right[name],
            got=got or reply_of(seen, name),
            exchange="",
        )


async def _give_back(stage: ClientStage) -> None:
    await stage.open(per_ask=PER_ASK)
    payee = await _bought(stage, "bought")
    await stage.account("once", payee, spent=_spent(payee), refunded=_PART)
    await stage.ask("bought-again", payee)
    payee.refund(_PART)
    await stage.account("twice", payee, spent=_spent(payee), refunded=2 * _PART)
    await stage.open()


def _judge_giving_back(seen: Transcript) -> Iterator[Finding]:
    for name in ("bought", "bought-again"):
        yield from paid(seen, name, requirement="PAY-RCP-005")
    for name in ("once", "twice"):
        yield from _told(seen, name)
    yield from signed_rightly(seen, requirement="PAY-RCP-005")


def _lying_refund(name: str, *, what: str, bent: Bent) -> ClientCheck:
    """Returns the check that a refund with one defect is not acknowledged, and does not count.

    Args:
        name: Of the check.
        what: What is wrong with it.
        bent: Makes it so, before it is signed.
    """

    async def drive(stage: ClientStage) -> None:
        await stage.open(per_ask=PER_ASK)
        payee = await _bought(stage, "bought")
        # So that more was spent in all than by the one answer of which is given back.
        await stage.ask("bought-more", payee)
        await stage.account("before", payee, spent=_spent(payee), refunded=_PART)
        payee.refund(_PART, bent=bent)
        await stage.account("defect", payee, spent=_spent(payee), refunded=_PART)
        # What is acknowledged after it shows whether it was taken for good.
        await stage.ask("bought-again", payee)
        other = await _bought(stage, "bought-elsewhere")
        await stage.account("after", other, spent=_spent(other), refunded=_PART)
        await stage.open()

    def judge(seen: Transcript) -> Iterator[Finding]:
        yield from _told(seen, "before")
        if "account" in reply_of(seen, "defect"):
            for finding in _told(seen, "defect"):
                yield differs(
                    "PAY-RCP-005",
                    f"a refund {what} counts",
                    expected=finding.expected,
                    got=finding.got,
                    exchange=finding.exchange,
                )
        yield from signed_rightly(seen, requirement="PAY-RCP-005")
        yield from _told(seen, "after")

    return ClientCheck(
        name=name,
        title=f"A refund {what} is not acknowledged, and does not count.",
        requirements=("PAY-RCP-005",),
        drive=drive,
        judge=judge,
        after=("ask", "refund"),
        needs=(PAY,),
    )


def _of_nothing(refund: payment_pb2.Receipt) -> None:
    refund.refund_of = hashlib.sha256(b"another receipt").digest()


def _of_a_refund(refund: payment_pb2.Receipt) -> None:
    refund.refund_of = refund.previous_digest


def _out_of_its_chain(refund: payment_pb2.Receipt) -> None:
    refund.previous_digest = hashlib.sha256(b"another receipt").digest()


def _counting_more(refund: payment_pb2.Receipt) -> None:
    refund.session_refunded += 1


def _lowering_what_was_spent(refund: payment_pb2.Receipt) -> None:
    refund.session_spent -= refund.charge
    refund.session_refunded -= refund.charge


def _beyond_the_charge(refund: payment_pb2.Receipt) -> None:
    """Gives back all that the answer cost, a unit a byte, after part of that was given back."""
    more = refund.usage.output_bytes - refund.charge
    refund.charge += more
    refund.session_refunded += more


def _of_other_usage(refund: payment_pb2.Receipt) -> None:
    refund.usage.output_bytes += 1


def _of_another_session(refund: payment_pb2.Receipt) -> None:
    refund.session_id = hashlib.sha256(b"another session").digest()


def _in_another_asset(refund: payment_pb2.Receipt) -> None:
    refund.asset = "TEST/3"


CHECKS = (
    ClientCheck(
        name="refund",
        title="What was given back by the rules counts, and the chain of receipts goes on behind it.",
        requirements=("PAY-RCP-005",),
        drive=_give_back,
        judge=_judge_giving_back,
        needs=(PAY,),
    ),
    _lying_refund("refund-of-nothing", what="of a receipt that there is not", bent=_of_nothing),
    _lying_refund("refund-of-a-refund", what="of what was given back already", bent=_of_a_refund),
    _lying_refund("refund-out-of-its-chain", what="that names another receipt before it", bent=_out_of_its_chain),
    _lying_refund("refund-that-does-not-add-up", what="that breaks the sum", bent=_counting_more),
    _lying_refund(
        "refund-that-lowers-spent", what="whose amount is taken off what was spent", bent=_lowering_what_was_spent
    ),
    _lying_refund("refund-beyond-the-charge", what="of more than is left of the charge", bent=_beyond_the_charge),
    _lying_refund("refund-of-other-usage", what="of other usage than was charged", bent=_of_other_usage),
    _lying_refund("refund-of-another-session", what="of another session", bent=_of_another_session),
    _lying_refund("refund-in-another-asset", what="in another asset than the session is in", bent=_in_another_asset),
)
