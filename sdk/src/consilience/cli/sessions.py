"""`consilience sessions`: the accounts at nodes out of which answers are paid."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.table import Table

from consilience.cli.paying import (
    SHORT_ID,
    amount_facts,
    client_with,
    json_option,
    key_option,
    open_wallet,
    session_named,
    short,
    sums_of,
    wallet_option,
    withdrawn_words,
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
    opened = open_wallet(wallet)
    found = opened.sessions()
    if as_json:
        click.echo(json.dumps([_facts(session, sums_of(opened, session)) for session in found], indent=2))
        return
    table = Table(show_edge=False, pad_edge=False)
    table.add_column("session", no_wrap=True, min_width=SHORT_ID)  # to be typed
    for heading in ("node", "state", "spent", "reserved", "withdrawn", "left"):
        table.add_column(heading, overflow="fold")
    for session in found:
        table.add_row(*map(cell, _row(session, sums_of(opened, session))))
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

    _show(_at_node(wallet, session, key, refresh), wallet=wallet, as_json=as_json)


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

    _show(_at_node(wallet, session, key, end), wallet=wallet, as_json=as_json)


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


def _show(session: WalletSession, *, wallet: Path | None, as_json: bool) -> None:
    sums = sums_of(open_wallet(wallet), session)
    if as_json:
        click.echo(json.dumps(_facts(session, sums), indent=2))
        return
    agreed = session.terms.value
    facts = [
        ("session", session.session_id.hex()),
        ("node", f"{format_node_id(agreed.payee)}  ({session.address.rpartition('@')[2]})"),
        ("state", _standing(session)),
        ("backing", f"{agreed.backing.name}, on the rail {agreed.rail_id} ({agreed.network})"),
        ("spent", str(sums["spent"])),
        ("given back", str(sums["refunded"])),
        ("reserved", str(sums["reserved"])),
        ("withdrawn", withdrawn_words(sums)),
        ("left", str(sums["left"])),
        ("receipts", f"{session.acknowledged} acknowledged"),
    ]
    if sums["lost"].value:
        facts.insert(
            -1, ("lost", f"{sums['lost']}, which count as spent; `consilience sessions withdraw` may get them back")
        )
    if session.status is not SessionStatus.CLOSED:  # whose vouchers promise nothing any more
        facts.insert(-1, ("promised", f"{Amount(session.authorized, agreed.asset)} in all, by vouchers"))
    console().print(facts_table(facts))


def _row(session: WalletSession, sums: Mapping[str, Amount]) -> tuple[str, ...]:
    lost = f"; {sums['lost']} lost" if sums["lost"].value else ""
    return (
        short(session.session_id),
        session.address.rpartition("@")[2],
        _standing(session) + lost,
        str(sums["spent"]),
        str(sums["reserved"]),
        withdrawn_words(sums),
        str(sums["left"]),
    )


def _standing(session: WalletSession) -> str:
    status = "never opened" if session.status is SessionStatus.UNKNOWN else session.status.name.lower()
    if not session.trouble:
        return status
    unused = f"not used any more: {session.trouble}"
    return unused if session.status is SessionStatus.OPEN else f"{status}, {unused}"


def _facts(session: WalletSession, sums: Mapping[str, Amount]) -> dict[str, Any]:
    agreed = session.terms.value
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
        **{name: amount_facts(amount) for name, amount in sums.items()},
        "acknowledged": session.acknowledged,
        "running_asks": session.running,
    }
