"""Receipts: one that does not fit is not acknowledged, and does not count as spent (spec section 3.6)."""

from __future__ import annotations

import hashlib

from consilience.v1 import payment_pb2
from consilience_conformance.client_side.cheats import cheated
from consilience_conformance.client_side.checks import ClientCheck
from consilience_conformance.client_side.dealings import Dealing


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


def _receipt_check(name: str, *, what: str, dealing: Dealing, give_up: bool = False) -> ClientCheck:
    title = f"A receipt {what} is not acknowledged, and does not count as spent."
    return cheated(name, title=title, requirement="PAY-RCP-005", dealing=dealing, give_up=give_up)


CHECKS = (
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
        "charge-for-text-after-a-cancel",
        what="that charges for text beyond what was ever signed, which an answer claims once it is cancelled,",
        dealing=Dealing(lingers=True, afterthought="and so on, " * 20),
        give_up=True,
    ),
    _receipt_check(
        "charge-after-a-cancel",
        what="that charges an answer after it was cancelled for more than was used",
        dealing=Dealing(lingers=True, receipt=_overcharging),
        give_up=True,
    ),
)
