"""Deposits: one of which nothing is known is not made again (spec section 3.4)."""

from __future__ import annotations

from collections.abc import Iterator

from consilience.v1 import payment_pb2, tariff_pb2
from consilience_conformance.client_side.cheats import PER_ASK, paid
from consilience_conformance.client_side.checks import PAY, ClientCheck
from consilience_conformance.client_side.dealings import HONEST, Dealing
from consilience_conformance.client_side.spending import deposits
from consilience_conformance.client_side.stage import ClientStage
from consilience_conformance.rules.payments import differs
from consilience_conformance.transcripts import Transcript
from consilience_conformance.verdicts import Finding


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
        yield from paid(seen, "before", requirement="PAY-RAIL-001")
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
        yield from paid(seen, "after", requirement="PAY-RAIL-001")

    return ClientCheck(
        name=name,
        title=title,
        requirements=("PAY-RAIL-001",),
        drive=drive,
        judge=judge,
        needs=(PAY,),
    )


CHECKS = (
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
)
