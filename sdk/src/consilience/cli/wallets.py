"""`consilience wallet`: what there is in sessions, and what was spent."""

import asyncio
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from consilience.cli.paying import amount_facts, client_with, json_option, key_option, open_wallet, wallet_option
from consilience.cli.printing import cell, console
from consilience.client.payments import Wallet, WalletSession
from consilience.errors import UsageError
from consilience.payments import Amount, SessionStatus


@click.group()
def wallet() -> None:
    """Shows what there is to spend, and takes money that was handed over."""


@wallet.command()
@wallet_option
@json_option
def show(wallet: Path | None, *, as_json: bool) -> None:
    """Shows what is left in open sessions, asset by asset, and what was spent today and in all."""
    opened = open_wallet(wallet)
    balances = [_balance(opened, asset=asset, sessions=sessions) for asset, sessions in _by_asset(opened).items()]
    if as_json:
        facts = {"file": str(opened.path), "balances": [_balance_facts(balance) for balance in balances]}
        click.echo(json.dumps(facts, indent=2))
        return
    table = Table(show_edge=False)
    for heading in ("left", "spent today", "spent in all", "given back", "open sessions"):
        table.add_column(heading)
    for balance in balances:
        money = [str(balance[name]) for name in ("left", "spent_today", "spent", "refunded")]
        table.add_row(*map(cell, (*money, str(balance["open_sessions"]))))
    shown = console()
    shown.print(table)
    shown.print(f"{opened.path}", soft_wrap=True)


@wallet.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@wallet_option
@key_option
@json_option
def add(file: Path, *, wallet: Path | None, key: Path | None, as_json: bool) -> None:
    """Brings the hold in FILE, handed over by an operator or the issuer of an escrow, to the node that it is for."""
    try:
        hold = file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error
    session = asyncio.run(_add(open_wallet(wallet), hold, key=key))
    left = Amount(session.room, session.terms.value.asset)
    if as_json:
        click.echo(json.dumps({"session_id": session.session_id.hex(), "left": amount_facts(left)}))
    else:
        click.echo(f"{left} can be spent now in the session {session.session_id.hex()}")


async def _add(wallet: Wallet, hold: bytes, *, key: Path | None) -> WalletSession:
    async with client_with(wallet, key=key) as client:
        return await client.payments.take_hold(hold)


def _by_asset(wallet: Wallet) -> dict[str, list[WalletSession]]:
    found: dict[str, list[WalletSession]] = {}
    for session in wallet.sessions():
        found.setdefault(session.terms.value.asset, []).append(session)
    return dict(sorted(found.items()))


def _balance(wallet: Wallet, *, asset: str, sessions: Iterable[WalletSession]) -> dict[str, Any]:
    kept = list(sessions)
    today = datetime.now(UTC).date()
    return {
        "left": Amount(sum(session.room for session in kept if session.is_usable), asset),
        "spent_today": Amount(wallet.spent_on(today, asset=asset), asset),
        "spent": Amount(sum(session.spent for session in kept), asset),
        "refunded": Amount(sum(session.refunded for session in kept), asset),
        "open_sessions": sum(session.status is SessionStatus.OPEN for session in kept),
    }


def _balance_facts(balance: dict[str, Any]) -> dict[str, Any]:
    return {name: amount_facts(value) if isinstance(value, Amount) else value for name, value in balance.items()}
