"""Withdrawals: one of which nothing is known is not made again (spec sections 3.4 and 3.7)."""

from __future__ import annotations

from collections.abc import Iterator

from consilience.v1 import tariff_pb2
from consilience_conformance.client_side.cheats import PER_ASK, paid
from consilience_conformance.client_side.checks import PAY, ClientCheck
from consilience_conformance.client_side.dealings import HONEST, Dealing, Payout
from consilience_conformance.client_side.judging import reply_of
from consilience_conformance.client_side.payees import Payee
from consilience_conformance.client_side.spending import withdrawals
from consilience_conformance.client_side.stage import ClientStage
from consilience_conformance.needs import UntestableError
from consilience_conformance.rules.payments import differs
from consilience_conformance.transcripts import Transcript
from consilience_conformance.verdicts import Finding

_PATIENCE_SECONDS = 5.0
"""How long the user waits for a payout of which nothing is heard."""


def _half_of_what_is_left(payee: Payee) -> int:
    """Returns an amount that could be paid out twice: so nothing but the client keeps that from happening."""
    most = max((account.left for account in payee.accounts.values()), default=0)
    if most < 2:  # noqa: PLR2004 - the least that has halves
        raise UntestableError("the client deposits no more than it has signed away: nothing can be paid out")
    return most // 2


def _unknown_withdrawal(name: str, *, title: str, payout: Payout) -> ClientCheck:
    """Returns the check that a withdrawal of which nothing is known stays the one that it is."""

    async def drive(stage: ClientStage) -> None:
        await stage.open(per_ask=PER_ASK)
        honest, payee = [await stage.payee(backing=tariff_pb2.BACKING_PREPAID) for _ in range(2)]
        await stage.ask("bought", honest)
        await stage.withdraw("before", honest, amount=_half_of_what_is_left(honest))
        await stage.ask("bought-elsewhere", payee)
        amount = _half_of_what_is_left(payee)
        payee.dealing = Dealing(payout=payout)
        await stage.withdraw("defect", payee, amount=amount, seconds=_PATIENCE_SECONDS)
        payee.dealing = HONEST
        await stage.withdraw("after", payee, amount=amount)

    def judge(seen: Transcript) -> Iterator[Finding]:
        yield from paid(seen, "bought", requirement="PAY-RAIL-001")
        yield from _told(seen, "before", right=("SUCCEEDED",))
        yield from _told(seen, "defect", right=("PENDING", None))
        yield from _one_alone(seen)
        yield from _told(seen, "after", right=("SUCCEEDED",))

    return ClientCheck(name=name, title=title, requirements=("PAY-RAIL-001",), drive=drive, judge=judge, needs=(PAY,))


def _told(seen: Transcript, name: str, *, right: tuple[str | None, ...]) -> Iterator[Finding]:
    """Yields that the user is told otherwise how a payout stands; None: an error tells no standing."""
    reply = reply_of(seen, name)
    if reply.get("withdrawn") not in right:
        yield differs(
            "PAY-RAIL-001",
            "the user is told otherwise how a payout stands than its payee",
            expected=right[0],
            got=reply.get("withdrawn", str(reply)),
            exchange="",
        )


def _one_alone(seen: Transcript) -> Iterator[Finding]:
    """Yields that another withdrawal is begun from the session of which one is under way."""
    began: dict[bytes, int] = {}
    for exchange, withdrawal, amount in withdrawals(seen):
        if not exchange.name.startswith(("defect/", "after/")):
            continue
        if began and withdrawal not in began:
            yield differs(
                "PAY-RAIL-001",
                "another withdrawal is begun while nothing is known of the first",
                expected=next(iter(began)),
                got=withdrawal,
                exchange=exchange.name,
            )
            return
        began[withdrawal] = amount


CHECKS = (
    _unknown_withdrawal(
        "withdrawal-that-is-pending",
        title="A withdrawal that is PENDING is asked about again, and no other is begun.",
        payout=Payout.PENDING,
    ),
    _unknown_withdrawal(
        "withdrawal-that-breaks-off",
        title="A withdrawal whose call breaks off is asked about again, and no other is begun.",
        payout=Payout.BROKEN_OFF,
    ),
    _unknown_withdrawal(
        "withdrawal-without-an-answer",
        title="A withdrawal that is not answered in time is asked about again, and no other is begun.",
        payout=Payout.SILENT,
    ),
)
