"""`consilience receipts`: what was charged, verified offline, and what it would have cost elsewhere."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from consilience.cli.exchanges import check_line
from consilience.cli.exits import Exit
from consilience.cli.jsonable import jsonable
from consilience.cli.paying import (
    amount_facts,
    json_option,
    list_price_option,
    open_wallet,
    session_named,
    short,
    sums,
    wallet_option,
)
from consilience.cli.printing import cell, console
from consilience.client.payments import StatementLine, Wallet, WalletSession
from consilience.client.payments.audits import audit
from consilience.client.payments.statements import statement_of
from consilience.envelopes import Signed
from consilience.errors import UsageError
from consilience.payments import Amount, ListPrices, Receipt


@click.group()
def receipts() -> None:
    """Lists and verifies what was charged."""


@receipts.command(name="list")
@click.option("--session", help="Of one session, by the beginning of its id.")
@list_price_option
@wallet_option
@json_option
def list_receipts(session: str | None, *, list_prices: ListPrices | None, wallet: Path | None, as_json: bool) -> None:
    """Lists charges and refunds; with a list price, what the same usage would have cost at it."""
    opened = open_wallet(wallet)
    lines = [line for one in _chosen(opened, session) for line in statement_of(opened, one).lines if line.receipt]
    if as_json:
        click.echo(json.dumps([_facts(line, list_prices) for line in lines], indent=2))
        return
    table = Table(show_edge=False)
    for heading in (
        "when",
        "session",
        "no.",
        "skill",
        "outcome",
        "charged",
        *(["at your list"] if list_prices else []),
    ):
        table.add_column(heading)
    for line in lines:
        table.add_row(*map(cell, _row(line, list_prices)))
    shown = console()
    shown.print(table)
    charged = [line.amount for line in lines if line.kind == "charge"]
    shown.print(f"charged in all: {sums(charged)}; given back: {sums(_refunds(lines))}")
    if list_prices is not None:
        elsewhere = [
            list_prices.cost(line.receipt.value.usage) for line in lines if line.kind == "charge" and line.receipt
        ]
        shown.print(f"at your list price ({list_prices}): {sums(elsewhere)}", soft_wrap=True)


@receipts.command()
@click.argument("request_id")
@wallet_option
@json_option
def show(request_id: str, *, wallet: Path | None, as_json: bool) -> None:
    """Shows the receipt of the ask REQUEST_ID."""
    opened = open_wallet(wallet)
    receipt = _receipt_of(opened, request_id)
    if as_json:
        click.echo(json.dumps(jsonable(receipt), indent=2))
        return
    value = receipt.value
    table = Table.grid(padding=(0, 2))
    facts = {
        "charged": str(Amount(value.charge, value.asset)),
        "spent in the session": str(Amount(value.session_spent, value.asset)),
        "number": f"{value.number} of the session {short(value.session_id)}",
        "outcome": value.outcome.name,
        "used": f"{value.usage.input_tokens} tokens read, {value.usage.output_tokens} written,"
        f" {value.usage.output_bytes} bytes, {value.usage.duration.total_seconds():g} s",
        "answered": f"{value.start_time:%F %T} to {value.finish_time:%T} UTC",
        "digest": receipt.digest.hex(),
    }
    for name, said in facts.items():
        table.add_row(name, cell(said))
    console().print(table)


@receipts.command()
@click.option("--session", help="Of one session, by the beginning of its id.")
@wallet_option
@json_option
def verify(session: str | None, *, wallet: Path | None, as_json: bool) -> int:
    """Checks receipts offline: signatures, prices, and that no number is missing and all adds up."""
    opened = open_wallet(wallet)
    checks = [check for one in _chosen(opened, session) for check in audit(opened, one)]
    held = all(check.passed for check in checks)
    if as_json:
        click.echo(json.dumps({"passed": held, "checks": [jsonable(check) for check in checks]}, indent=2))
    else:
        shown = console(highlight=False)
        for check in checks:
            shown.print(check_line(check), soft_wrap=True)
        shown.print("Every check held." if held else "[bold red]A check failed: show it to whoever runs the node.")
    return Exit.OK if held else Exit.CHECK_FAILED


def _chosen(wallet: Wallet, session: str | None) -> tuple[WalletSession, ...]:
    return wallet.sessions() if session is None else (session_named(wallet, session),)


def _receipt_of(wallet: Wallet, request_id: str) -> Signed[Receipt]:
    for session in wallet.sessions():
        for receipt in wallet.receipts.of(session.session_id):
            if receipt.value.request_id.hex() == request_id.lower() and not receipt.value.refund_of:
                return receipt
    raise UsageError(f"the wallet has no receipt of an ask {request_id}")


def _refunds(lines: list[StatementLine]) -> Iterator[Amount]:
    return (line.amount for line in lines if line.kind == "refund")


def _row(line: StatementLine, list_prices: ListPrices | None) -> Iterator[str]:
    if line.receipt is None:
        return
    value = line.receipt.value
    yield f"{line.time:%F %T}"
    yield short(value.session_id)
    yield str(value.number)
    yield line.skill_id
    yield value.outcome.name if line.kind == "charge" else line.kind
    yield str(line.amount) if line.kind == "charge" else f"-{line.amount}"
    if list_prices is not None:
        yield str(list_prices.cost(value.usage)) if line.kind == "charge" else ""


def _facts(line: StatementLine, list_prices: ListPrices | None) -> dict[str, Any]:
    facts = {"kind": line.kind, "skill": line.skill_id, "amount": amount_facts(line.amount)}
    if list_prices is not None and line.receipt is not None:
        facts["at_list_price"] = amount_facts(list_prices.cost(line.receipt.value.usage))
    return facts | {"receipt": jsonable(line.receipt)}
