"""`consilience sessions`: the accounts at nodes out of which answers are paid."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.table import Table

from consilience.cli.paying import (
    amount_facts,
    client_with,
    json_option,
    key_option,
    open_wallet,
    session_named,
    short,
    wallet_option,
)
from consilience.cli.printing import cell, console, facts_table
from consilience.client import PaymentDesk
from consilience.client.payments import Statement, WalletSession, WalletTransfer
from consilience.errors import UsageError
from consilience.identity import format_node_id
from consilience.payments import Amount, SessionStatus
from consilience.units import Digest

T = TypeVar("T")


@click.group()
def sessions() -> None:
    """Shows, closes and empties the sessions out of which answers are paid."""


@sessions.command(name="list")
@wallet_option
@json_option
def list_sessions(wallet: Path | None, *, as_json: bool) -> None:
    """Lists the sessions as the wallet knows them."""
    found = open_wallet(wallet).sessions()
    if as_json:
        click.echo(json.dumps([_facts(session) for session in found], indent=2))
        return
    table = Table(show_edge=False)
    for heading in ("session", "node", "state", "spent", "left", "backing"):
        table.add_column(heading)
    for session in found:
        table.add_row(*map(cell, _row(session)))
    console().print(table)


@sessions.command()
@click.argument("session")
@wallet_option
@key_option
@json_option
def state(session: str, *, wallet: Path | None, key: Path | None, as_json: bool) -> None:
    """Asks the node how SESSION stands, and fetches receipts that are missing."""

    async def refresh(desk: PaymentDesk, session_id: Digest) -> WalletSession:
        return await desk.refresh(session_id)

    _show(_at_node(wallet, session, key, refresh), as_json=as_json)


@sessions.command()
@click.argument("session")
@click.option(
    "--forget",
    is_flag=True,
    help="Ends it in the wallet alone where the node has lost it, or is gone: what is left in it counts as spent.",
)
@wallet_option
@key_option
@json_option
def close(session: str, *, forget: bool, wallet: Path | None, key: Path | None, as_json: bool) -> None:
    """Closes SESSION: what was promised to the node and not spent is yours again."""

    async def end(desk: PaymentDesk, session_id: Digest) -> WalletSession:
        return await desk.close_session(session_id, forget=forget)

    _show(_at_node(wallet, session, key, end), as_json=as_json)


@sessions.command()
@click.argument("session")
@click.option("--amount", help="How much: '0.5 USD/6'; otherwise all that can be paid out.")
@wallet_option
@key_option
@json_option
def withdraw(session: str, *, amount: str | None, wallet: Path | None, key: Path | None, as_json: bool) -> None:
    """Gets money back from SESSION; repeat it while it is pending."""
    wanted = None if amount is None else Amount.parse(amount)

    async def take_out(desk: PaymentDesk, session_id: Digest) -> WalletTransfer:
        known = next(one for one in await desk.sessions() if one.session_id == session_id)
        if wanted is not None and wanted.asset != known.terms.value.asset:
            raise UsageError(f"the session is in {known.terms.value.asset}, not in {wanted.asset}")
        return await desk.withdraw(session_id, amount=wanted.value if wanted else None)

    asset = session_named(open_wallet(wallet), session).terms.value.asset
    transfer = _at_node(wallet, session, key, take_out)
    paid = Amount(transfer.amount, asset)
    if as_json:
        facts = {"withdrawal_id": transfer.transfer_id.hex(), "amount": amount_facts(paid)}
        click.echo(json.dumps(facts | {"status": transfer.status.name}))
    else:
        click.echo(f"{paid}: {transfer.status.name.lower()}")


@sessions.command()
@click.argument("session")
@wallet_option
def statement(session: str, *, wallet: Path | None) -> None:
    """Prints what happened in SESSION as CSV: deposits, charges, refunds and withdrawals."""

    async def tell(desk: PaymentDesk, session_id: Digest) -> Statement:
        return await desk.statement(session_id)

    click.echo(_at_node(wallet, session, None, tell).to_csv(), nl=False)


def _at_node(
    wallet: Path | None, session: str, key: Path | None, act: Callable[[PaymentDesk, Digest], Awaitable[T]]
) -> T:
    opened = open_wallet(wallet)
    session_id = session_named(opened, session).session_id

    async def run() -> T:
        async with client_with(opened, key=key) as client:
            return await act(client.payments, session_id)

    return asyncio.run(run())


def _show(session: WalletSession, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(_facts(session), indent=2))
        return
    agreed = session.terms.value
    facts = [
        ("session", session.session_id.hex()),
        ("node", f"{format_node_id(agreed.payee)}  ({session.address.rpartition('@')[2]})"),
        ("state", _standing(session)),
        ("backing", f"{agreed.backing.name}, on the rail {agreed.rail_id} ({agreed.network})"),
        ("spent", str(Amount(session.spent, agreed.asset))),
        ("given back", str(Amount(session.refunded, agreed.asset))),
        ("left", str(Amount(session.room, agreed.asset))),
        ("receipts", f"{session.acknowledged} acknowledged"),
    ]
    if session.status is not SessionStatus.CLOSED:  # whose vouchers promise nothing any more
        facts.insert(-1, ("promised", f"{Amount(session.authorized, agreed.asset)} in all, by vouchers"))
    console().print(facts_table(facts))


def _row(session: WalletSession) -> tuple[str, ...]:
    agreed = session.terms.value
    return (
        short(session.session_id),
        session.address.rpartition("@")[2],
        _standing(session),
        str(Amount(session.spent, agreed.asset)),
        str(Amount(session.room, agreed.asset)),
        agreed.backing.name.lower(),
    )


def _standing(session: WalletSession) -> str:
    status = "never opened" if session.status is SessionStatus.UNKNOWN else session.status.name.lower()
    return f"{status}, not used any more: {session.trouble}" if session.trouble else status


def _facts(session: WalletSession) -> dict[str, Any]:
    agreed = session.terms.value
    amounts = {"spent": session.spent, "refunded": session.refunded, "left": session.room}
    return {
        "session_id": session.session_id.hex(),
        "node_id": format_node_id(agreed.payee),
        "address": session.address,
        "status": session.status.name,
        "trouble": session.trouble,
        "rail": agreed.rail_id,
        "network": agreed.network,
        "backing": agreed.backing.name,
        "authorized": amount_facts(Amount(session.authorized, agreed.asset)),
        **{name: amount_facts(Amount(value, agreed.asset)) for name, value in amounts.items()},
        "acknowledged": session.acknowledged,
        "running_asks": session.running,
    }
