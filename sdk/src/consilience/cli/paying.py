"""Paying: the options that name a wallet, a budget and list prices, and how money is shown.

For people an amount is a decimal number; with `--json` it is a whole number of units, and the asset that says which.
"""

import functools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from consilience.cli import parameters
from consilience.client import Client
from consilience.client.payments import Wallet, WalletSession, default_wallet_file
from consilience.errors import UsageError
from consilience.payments import Amount, Budget, ListPrices, SessionStatus
from consilience.payments.budgets import spendable
from consilience.payments.costs import MAX_AMOUNT
from consilience.rails.hold import TEST_NETWORK, HoldPayer
from consilience.tariffs import Backing
from consilience.units import Digest

_BUDGET, _DAY_BUDGET, _NETWORK, _WALLET = "'--budget'", "'--day-budget'", "'--network'", "'--wallet'"
_ADD_ONE = "and there is none: add one, as --budget '0.01 USD/6'"

SHORTEST_ID = 4
"""Hex digits: fewer name a session by accident."""

SHORT_ID = 12
"""Hex digits of an id that is shown to people."""


def wallet_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command the option that names a wallet."""
    return click.option(
        "--wallet",
        type=click.Path(dir_okay=False, path_type=Path),
        help="The wallet; otherwise $CONSILIENCE_WALLET_FILE, or the one in your state folder.",
    )(command)


def network_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command the option that names where a client agrees to pay."""
    return click.option(
        "--network",
        type=parameters.text,
        help=f"Where hold.v1 may pay; otherwise {TEST_NETWORK}: what is on any other network is worth something.",
    )(command)


def key_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command the option that names the key that pays."""
    return click.option("--key", type=click.Path(path_type=Path), help="The key file to sign with.")(command)


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command the option of machines."""
    return click.option("--json", "as_json", is_flag=True, help="For machines: amounts in whole units.")(command)


def list_price_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command the option of prices to compare with."""

    @click.option(
        "--list-price",
        "list_prices",
        multiple=True,
        metavar="PRICE",
        help="Compares with a price of yours: '2.50 USD/6 per 1000000 output tokens'. May be given several times.",
    )
    @functools.wraps(command)
    def with_prices(*words: Any, list_prices: tuple[str, ...], **options: Any) -> Any:  # noqa: ANN401 - click's own
        return command(*words, list_prices=_read_prices(list_prices), **options)

    return with_prices


def open_wallet(path: Path | None) -> Wallet:
    """Opens a wallet that is there.

    Raises:
        UsageError: It is not: nothing was paid yet.
    """
    file = path or default_wallet_file()
    if not file.exists():
        raise UsageError(f"there is no wallet in {file}: nothing was paid out of it yet")
    return Wallet.at(file)


def client_with(wallet: Wallet, *, key: Path | None) -> Client:
    """Returns a client that settles what is in a wallet, on whatever network, and spends nothing."""
    networks = dict.fromkeys(session.terms.value.network for session in wallet.sessions())
    return Client(key, wallet=wallet, rails=[HoldPayer(network=name) for name in networks])


def budget_of(
    budget: str | None, day_budget: str | None, *, network: str | None = None, wallet: Path | None = None
) -> Budget | None:
    """Returns the budget of an ask on the command line.

    Args:
        budget: What the ask may cost.
        day_budget: What all of a day may cost.
        network: Where the user agrees to pay.
        wallet: Out of which the user wants to pay.

    Raises:
        click.BadParameter: It is none, or there is none and one of the others was given.
    """
    if budget is None:
        if day_budget is not None:
            raise click.BadParameter("it bounds a --budget, and there is none", param_hint=_DAY_BUDGET)
        if network is not None:
            raise click.BadParameter(f"it says where a --budget is paid, {_ADD_ONE}", param_hint=_NETWORK)
        if wallet is not None:  # which would pay nothing
            raise click.BadParameter(f"it says out of what a --budget is paid, {_ADD_ONE}", param_hint=_WALLET)
        return None
    option = _BUDGET
    try:
        per_ask = spendable(budget, name="it")
        option = _DAY_BUDGET
        per_day = Amount(MAX_AMOUNT, per_ask.asset) if day_budget is None else spendable(day_budget, name="it")
        return Budget(per_ask=per_ask, per_day=per_day)
    except UsageError as error:
        raise click.BadParameter(str(error), param_hint=option) from error


def session_named(wallet: Wallet, text: str) -> WalletSession:
    """Returns the session whose id begins with some hex digits.

    Raises:
        click.BadParameter: There is none, or there are several.
    """
    found = [session for session in wallet.sessions() if session.session_id.hex().startswith(text.lower())]
    if len(text) < SHORTEST_ID or len(found) != 1:
        known = ", ".join(short(session.session_id) for session in wallet.sessions()) or "none"
        raise click.BadParameter(f"{text!r} names no session, or several; the wallet has {known}")
    return found[0]


def short(digest: Digest | bytes) -> str:
    """Returns the beginning of an id, enough for people to tell it apart and to type it."""
    return digest.hex()[:SHORT_ID]


def amount_facts(amount: Amount | None) -> dict[str, Any] | None:
    """Returns an amount as an object of JSON: exact, in units of its asset."""
    return None if amount is None else {"value": amount.value, "asset": amount.asset, "text": str(amount)}


def sums_of(wallet: Wallet, session: WalletSession) -> dict[str, Amount]:
    """Returns what became of the money of a session, as the wallet knows it.

    `spent` by receipts, of which `refunded` came back; `reserved` for asks that run, which may cost less; `withdrawn`,
    and `withdrawing` until the rail has paid it. What is `left` or reserved is `lost` in one that is not used any more.
    Nothing is left of credit in one that is closed.
    """
    session_id, transfers, in_use = session.session_id, wallet.transfers, not session.trouble
    is_over = session.status is SessionStatus.CLOSED and session.terms.value.backing is Backing.CREDIT
    withdrawn = transfers.withdrawn(session_id)
    units = {
        "spent": session.spent,
        "refunded": session.refunded,
        "reserved": session.promised if in_use else 0,
        "withdrawn": withdrawn,
        "withdrawing": transfers.asked_back(session_id) - withdrawn,
        "left": session.room if in_use and not is_over else 0,
        "lost": 0 if in_use else transfers.unspent(session),
    }
    return {name: Amount(value, session.terms.value.asset) for name, value in units.items()}


def withdrawn_words(sums: Mapping[str, Amount]) -> str:
    """Returns what was withdrawn, of what `sums_of` says, with what is still on its way."""
    coming = sums["withdrawing"]
    return f"{sums['withdrawn']}, and {coming} on its way" if coming.value else str(sums["withdrawn"])


def sums(amounts: Iterable[Amount]) -> str:
    """Returns what amounts come to, asset by asset."""
    totals: dict[str, int] = {}
    for amount in amounts:
        totals[amount.asset] = totals.get(amount.asset, 0) + amount.value
    return ", ".join(str(Amount(value, asset)) for asset, value in sorted(totals.items())) or "nothing"


def _read_prices(texts: tuple[str, ...]) -> ListPrices | None:
    if not texts:
        return None
    try:
        return ListPrices.parse(texts)
    except UsageError as error:
        raise click.BadParameter(str(error)) from error
