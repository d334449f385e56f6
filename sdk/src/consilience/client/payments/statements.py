"""Statements: what happened in a session, line by line, for people and for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from consilience.asks import Usage
from consilience.client.payments.wallet_rows import WalletSession, WalletTransfer
from consilience.client.payments.wallets import Wallet
from consilience.envelopes import Signed
from consilience.payments import Amount, Receipt, TransferStatus
from consilience.units import Digest

COLUMNS = (
    *("time", "kind", "amount", "asset", "units", "spent", "number", "skill", "outcome"),
    *("input_tokens", "output_tokens", "output_bytes", "request_id", "digest"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementLine:
    """One thing that happened.

    Attributes:
        time: When, aware UTC.
        kind: `deposit`, `charge`, `refund` or `withdrawal`.
        amount: How much, never below zero.
        spent: All charges up to here, in units of the asset; None: it is no charge.
        receipt: Of a charge or a refund.
        skill_id: What was asked; empty where it is not known any more.
        note: How a transfer stands that has not succeeded.
    """

    time: datetime
    kind: str
    amount: Amount
    spent: int | None = None
    receipt: Signed[Receipt] | None = None
    skill_id: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What happened in a session, in the order of time."""

    session: WalletSession
    lines: tuple[StatementLine, ...]

    def to_csv(self) -> str:
        """Returns the statement as CSV: amounts as decimal numbers, and exact in units of the asset beside them."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(_cells(line) for line in self.lines)
        return text.getvalue()


def statement_of(wallet: Wallet, session: WalletSession) -> Statement:
    """Returns the statement of a session; it waits for the disk."""
    session_id, asset = session.session_id, session.terms.value.asset
    lines = [
        *_transfers("deposit", wallet.transfers.deposits(session_id), asset=asset),
        *_transfers("withdrawal", wallet.transfers.withdrawals(session_id), asset=asset),
        *(_receipt_line(receipt, skill_id=_skill(wallet, receipt)) for receipt in wallet.receipts.of(session_id)),
    ]
    return Statement(session=session, lines=tuple(sorted(lines, key=lambda line: line.time)))


def _transfers(kind: str, transfers: Iterable[WalletTransfer], *, asset: str) -> Iterable[StatementLine]:
    for transfer in transfers:
        succeeded = transfer.status is TransferStatus.SUCCEEDED
        yield StatementLine(
            time=transfer.begin_time,
            kind=kind,
            amount=Amount(transfer.amount, asset),
            note="" if succeeded else transfer.status.name.lower(),
        )


def _receipt_line(receipt: Signed[Receipt], *, skill_id: str) -> StatementLine:
    value = receipt.value
    return StatementLine(
        time=value.finish_time,
        kind="refund" if value.refund_of else "charge",
        amount=Amount(value.charge, value.asset),
        spent=value.session_spent,
        receipt=receipt,
        skill_id=skill_id,
    )


def _skill(wallet: Wallet, receipt: Signed[Receipt]) -> str:
    priced = wallet.quotes.get(Digest(receipt.value.quote_digest))
    return priced[0].value.skill_id if priced else ""


def _cells(line: StatementLine) -> tuple[object, ...]:
    amount, receipt = line.amount, line.receipt.value if line.receipt else None
    usage = receipt.usage if receipt else Usage()
    return (
        line.time.isoformat(),
        f"{line.kind} ({line.note})" if line.note else line.kind,
        str(amount).partition(" ")[0],
        amount.asset,
        amount.value,
        "" if line.spent is None else line.spent,
        receipt.number if receipt else "",
        line.skill_id,
        receipt.outcome.name if receipt else "",
        usage.input_tokens if receipt else "",
        usage.output_tokens if receipt else "",
        usage.output_bytes if receipt else "",
        receipt.request_id.hex() if receipt else "",
        line.receipt.digest.hex() if line.receipt else "",
    )
