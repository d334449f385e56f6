"""`consilience wallet`: what there is in sessions, and what was spent."""

import asyncio
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from consilience.cli.paying import (
    amount_facts,
    client_with,
    json_option,
    key_option,
    open_wallet,
    sums_of,
    wallet_option,
    withdrawn_words,
)
from consilience.cli.printing import console, facts_table
from consilience.client.payments import Wallet, WalletSession
from consilience.errors import UsageError
from consilience.payments import Amount

_HEADINGS = {
    "left": "left",
    "reserved": "reserved",
    "spent_today": "spent today",
    "spent": "spent in all",
    "refunded": "given back",
    "withdrawn": "withdrawn",
    "lost": "lost",
    "open_sessions": "open sessions",
}


@click.group()
def wallet() -> None:
    """Shows what there is to spend, and takes money that was handed over."""


@wallet.command()
@wallet_option
@json_option
def show(wallet: Path | None, *, as_json: bool) -> None:
    """Shows what is left in open sessions, asset by asset, what is reserved for asks that run, and what was spent."""
    opened = open_wallet(wallet)
    balances = [_balance(opened, asset=asset, sessions=sessions) for asset, sessions in _by_asset(opened).items()]
    if as_json:
        facts = {"file": str(opened.path), "balances": [_balance_facts(balance) for balance in balances]}
        click.echo(json.dumps(facts, indent=2))
        return
    shown = console()
    for balance in balances:
        told = balance | {"withdrawn": withdrawn_words(balance)}
        shown.print(facts_table((heading, str(told[name])) for name, heading in _HEADINGS.items()), "")
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
    sums = [sums_of(wallet, session) for session in kept]
    totals = {name: Amount(sum(each[name].value for each in sums), asset) for name in sums[0]}
    today = datetime.now(UTC).date()
    reserved = wallet.reserved_on(today, asset=asset)
    return totals | {
        "left": Amount(sum(session.room for session in kept if session.is_usable), asset),
        "spent_today": Amount(wallet.spent_on(today, asset=asset) - reserved, asset),
        "reserved_today": Amount(reserved, asset),
        "open_sessions": sum(session.is_usable for session in kept),
    }


def _balance_facts(balance: dict[str, Any]) -> dict[str, Any]:
    return {name: amount_facts(value) if isinstance(value, Amount) else value for name, value in balance.items()}
