"""What is in a session that is given up counts as spent once: as the ceilings of its running asks, and as the rest."""

import pytest

from consilience.client.payments import Wallet
from consilience.payments import TransferStatus
from consilience.units import Digest
from sdk.tests.client.payments.wallet_specimens import NOW, Specimens, request_id

BROUGHT, CEILING, CHARGE = 100, 30, 7


def bring(wallet: Wallet, session_id: Digest) -> None:
    wallet.transfers.begin_deposit(session_id, deposit_id=bytes(16), amount=BROUGHT, now=NOW)
    wallet.transfers.end_deposit(session_id, deposit_id=bytes(16), status=TransferStatus.SUCCEEDED)


def spent(wallet: Wallet) -> int:
    return wallet.spent_on(NOW.date(), asset="TEST/0")


def give_up(wallet: Wallet, session_id: Digest) -> None:
    wallet.give_up(session_id, trouble="it lies", now=NOW)


@pytest.mark.parametrize("charge", [None, 0, CHARGE, CEILING])
def test_all_that_was_brought_counts_once_however_an_ask_ends(
    wallet: Wallet, specimens: Specimens, charge: int | None
) -> None:
    """None: it is let go of."""
    session_id = specimens.open(wallet)
    bring(wallet, session_id)
    for number in (1, 2):
        wallet.begin(specimens.intent(request_id(number), ceiling=CEILING), per_day=1000, least=1)
    ask = specimens.ask(request_id(1))
    wallet.bind(ask)
    assert spent(wallet) == 2 * CEILING
    give_up(wallet, session_id)
    assert spent(wallet) == BROUGHT
    if charge is None:
        wallet.release(request_id(1))
    else:
        wallet.receipts.keep(specimens.receipt(ask, charge=charge))
    assert spent(wallet) == BROUGHT


@pytest.mark.parametrize("is_given_up", [False, True])
def test_what_an_ask_on_credit_did_not_cost_is_not_lost(
    wallet: Wallet, specimens: Specimens, *, is_given_up: bool
) -> None:
    session_id = specimens.open(wallet)
    wallet.begin(specimens.intent(request_id(1), ceiling=CEILING), per_day=1000, least=1)
    ask = specimens.ask(request_id(1))
    wallet.bind(ask)
    if is_given_up:
        give_up(wallet, session_id)
    assert spent(wallet) == CEILING
    wallet.receipts.keep(specimens.receipt(ask, charge=CHARGE))
    assert spent(wallet) == CHARGE
