"""The commands about money: what a node earned, its sessions and receipts, refunds, and holds for prepaid deposits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import click

from consilience.envelopes import Signed
from consilience.errors import UsageError
from consilience.identity import format_node_id
from consilience.payments import Amount, Receipt, SessionStatus
from consilience.server.payments.books import BookedSession, Books, BooksError, Earnings, GrantedHold
from consilience.units import Digest
from consilience_node.books import books_of
from consilience_node.commands import Command
from consilience_node.config import default_config, overridden, read_config
from consilience_node.config.amounts import units_of
from consilience_node.exits import say, told_in_words

DIGEST_BYTES = 32
ID_BYTES = 16

CommandT = TypeVar("CommandT", bound=Callable[..., Any])
T = TypeVar("T")


def _hex_of(size: int) -> Callable[[click.Context, click.Parameter, str | None], bytes | None]:
    """Returns what reads bytes of one length, in hexadecimal digits."""

    def read(_: click.Context, __: click.Parameter, text: str | None) -> bytes | None:
        if text is None:
            return None
        try:
            decoded = bytes.fromhex(text)
        except ValueError:
            decoded = b""
        if len(decoded) != size:
            raise click.BadParameter(f"{text!r} is no id of {2 * size} hexadecimal digits")
        return decoded

    return read


_digest = _hex_of(DIGEST_BYTES)
_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, with amounts in units of the asset.")


def _of_a_node(command: CommandT) -> CommandT:
    """Adds the options that say which node is meant."""
    config = click.option("--config", "config_file", type=click.Path(path_type=Path), help="The node.toml of the node.")
    folder = click.option("--state-folder", type=click.Path(path_type=Path), help="The folder of the node.")
    return config(folder(command))


@click.command("earnings", cls=Command)
@_of_a_node
@_as_json
def earnings_command(*, config_file: Path | None, state_folder: Path | None, as_json: bool) -> None:
    """Say what the node has earned, for each asset and kind of session."""

    async def earned(books: Books) -> tuple[Earnings, ...]:
        return await books.earnings()

    rows = _with_books(earned, config_file=config_file, state_folder=state_folder)
    _print(rows, as_json=as_json, line=_earnings_line, item=_earnings_json, nothing="nothing was earned yet")


@click.command("sessions", cls=Command)
@_of_a_node
@_as_json
def sessions_command(*, config_file: Path | None, state_folder: Path | None, as_json: bool) -> None:
    """List the sessions out of which the node is paid, and the deposits that they wait for."""

    async def listed(books: Books) -> list[BookedSession]:
        return [session async for session in books.sessions()]

    rows = _with_books(listed, config_file=config_file, state_folder=state_folder)
    _print(rows, as_json=as_json, line=_session_lines, item=_session_json, nothing="no session was opened yet")


@click.command("receipts", cls=Command)
@click.argument("session", callback=_digest)
@_of_a_node
@_as_json
def receipts_command(*, session: bytes, config_file: Path | None, state_folder: Path | None, as_json: bool) -> None:
    """List the receipts of SESSION, refunds among them."""

    async def listed(books: Books) -> list[Signed[Receipt]]:
        found = await books.session(Digest(session))
        return [receipt async for receipt in books.receipts(found.session_id)]

    rows = _with_books(listed, config_file=config_file, state_folder=state_folder)
    _print(rows, as_json=as_json, line=_receipt_line, item=_receipt_json, nothing="no receipt was written yet")


@click.command("refund", cls=Command)
@click.argument("session", callback=_digest)
@click.argument("receipt", callback=_digest)
@click.argument("amount")
@_of_a_node
def refund_command(
    *, session: bytes, receipt: bytes, amount: str, config_file: Path | None, state_folder: Path | None
) -> None:
    """Give back AMOUNT of what RECEIPT of SESSION charged: units of the asset, or a text as "0.5 USD".

    The payer finds the receipt that says so among its receipts, and may spend the money again or withdraw it.
    """

    async def refund(books: Books) -> Signed[Receipt]:
        found = await books.session(Digest(session))
        units = _units(amount, asset=found.terms.asset)
        return await books.refund(found.session_id, Digest(receipt), amount=units)

    refunded = _with_books(refund, config_file=config_file, state_folder=state_folder)
    say(_receipt_line(refunded))


@click.command("grant-hold", cls=Command)
@click.argument("session", callback=_digest)
@click.option("--deposit", callback=_hex_of(ID_BYTES), help="The deposit, where the session waits for several.")
@click.option("--hours", type=click.IntRange(1), default=24, show_default=True, help="How long the payer may show it.")
@click.option("--output", type=click.Path(path_type=Path), required=True, help="Write the hold into this file.")
@_of_a_node
def grant_hold_command(
    *,
    session: bytes,
    deposit: bytes | None,
    hours: int,
    output: Path,
    config_file: Path | None,
    state_folder: Path | None,
) -> None:
    """Promise the deposit that SESSION waits for, to a payer that has paid by other means.

    No promise outlives the time that the deposit has, which is a day. The file is for the payer, whose client confirms
    the deposit with it. It helps nobody else.
    """

    async def granted(books: Books) -> GrantedHold:
        return await books.hold(Digest(session), deposit, lifetime=timedelta(hours=hours))

    hold = _with_books(granted, config_file=config_file, state_folder=state_folder)
    with told_in_words():
        _write(output, hold.encoded)
    say(f"{output}: {hold.amount} for {format_node_id(hold.payer)}, to be shown until {hold.expire_time:%F %H:%M} UTC")


def _with_books(
    work: Callable[[Books], Coroutine[Any, Any, T]], *, config_file: Path | None, state_folder: Path | None
) -> T:
    """Returns what comes of work on the books of the node that is meant."""

    async def opened() -> T:
        async with books_of(config) as books:
            return await work(books)

    with told_in_words():
        config = overridden(
            default_config() if config_file is None else read_config(config_file), state_folder=state_folder
        )
        return asyncio.run(opened())


def _units(text: str, *, asset: str) -> int:
    """Returns an amount in units of the asset.

    Raises:
        BooksError: The text is none.
    """
    try:
        return int(text) if text.isascii() and text.isdigit() else units_of(text, asset=asset)
    except UsageError as error:
        raise BooksError(f"the amount {error}") from error


def _write(file: Path, data: bytes) -> None:
    try:
        file.write_bytes(data)
    except OSError as error:
        raise UsageError(f"cannot write the hold {file}: {error.strerror}") from error


def _print(
    rows: Sequence[T],
    *,
    as_json: bool,
    line: Callable[[T], str],
    item: Callable[[T], dict[str, object]],
    nothing: str,
) -> None:
    """Writes rows down; people are told where there is none, and machines read an empty list."""
    if as_json:
        say(json.dumps([item(row) for row in rows], indent=2))
        return
    for row in rows:
        say(line(row))
    if not rows:
        say(nothing)


def _earnings_line(row: Earnings) -> str:
    amounts = f"{Amount(row.spent, row.asset)} charged, {Amount(row.refunded, row.asset)} refunded"
    kind = f"{row.backing} on {row.rail_id} ({row.network})"
    many = f"{row.sessions} session{'s' * (row.sessions != 1)}, {row.receipts} receipt{'s' * (row.receipts != 1)}"
    return f"{Amount(row.earned, row.asset)!s:<20} {amounts}; {many}, {kind}"


def _earnings_json(row: Earnings) -> dict[str, object]:
    values = {field.name: getattr(row, field.name) for field in fields(row)}
    return values | {"backing": row.backing.name, "earned": row.earned}


def _session_lines(session: BookedSession) -> str:
    terms, account = session.terms, session.account
    paid = f"{Amount(account.spent, terms.asset)} of {Amount(account.authorized, terms.asset)} authorized"
    first = f"{session.session_id.hex()}  {session.status}  {paid}  {terms.backing}  {format_node_id(terms.payer)}"
    awaited = (
        f"  waits for the deposit {each.deposit_id.hex()} of {Amount(each.amount, terms.asset)}"
        for each in session.awaited
        if session.status is SessionStatus.OPEN  # one that is closed takes none
    )
    return "\n".join((first, *awaited))


def _session_json(session: BookedSession) -> dict[str, object]:
    terms = session.terms
    return {
        "session_id": session.session_id.hex(),
        "payer": format_node_id(terms.payer),
        "issuer": format_node_id(terms.issuer),
        "asset": terms.asset,
        "rail_id": terms.rail_id,
        "network": terms.network,
        "backing": terms.backing.name,
        "status": session.status.name,
        **{field.name: getattr(session.account, field.name) for field in fields(session.account)},
        "receipts": session.receipt_count,
        "awaited": [{"deposit_id": each.deposit_id.hex(), "amount": each.amount} for each in session.awaited],
    }


def _receipt_line(signed: Signed[Receipt]) -> str:
    receipt = signed.value
    what = f"refund of {receipt.refund_of.hex()}" if receipt.refund_of else f"charge, {receipt.outcome}"
    amount = Amount(receipt.charge, receipt.asset)
    return f"{signed.digest.hex()}  {receipt.number}  {receipt.finish_time:%Y-%m-%d %H:%M:%S}  {amount}  {what}"


def _receipt_json(signed: Signed[Receipt]) -> dict[str, object]:
    receipt = signed.value
    return {
        "digest": signed.digest.hex(),
        "number": receipt.number,
        "asset": receipt.asset,
        "charge": receipt.charge,
        "outcome": receipt.outcome.name,
        "finish_time": receipt.finish_time.isoformat(),
        "request_id": receipt.request_id.hex(),
        "refund_of": receipt.refund_of.hex(),
    }


MONEY_COMMANDS = (earnings_command, sessions_command, receipts_command, refund_command, grant_hold_command)
