"""What comes of a deposit may be less than was sent: the client goes on with it, and the rest counts as spent."""

from pathlib import Path

import pytest

from consilience.errors import ProtocolError, UsageError
from consilience.payments import Account, Amount, TransferStatus
from consilience.units import utc_now
from sdk.tests.client.payments.shops import COST, OFFER, settled, wallet_in
from sdk.tests.client.payments.tellers import dealing

TEST = "TEST/0"
FEE = 3


def spent_today(folder: Path) -> int:
    return wallet_in(folder).spent_on(utc_now().date(), asset=TEST)


async def test_the_rest_does_not_follow_a_first_deposit_that_comes_short(tmp_path: Path) -> None:
    async with dealing(tmp_path, fee=FEE) as (client, teller, shop):
        with pytest.raises(UsageError, match="of a first deposit of 20 TEST, 17 TEST came"):
            await client.ask("?", node=shop, skill="words")
        (session,) = await settled(client)
    assert list(teller.sent.values()) == [OFFER.window]
    assert session.is_usable
    assert session.available == OFFER.window - FEE
    assert spent_today(tmp_path) == FEE


async def test_who_asks_again_goes_on_with_what_is_credited(tmp_path: Path) -> None:
    async with dealing(tmp_path, fee=FEE) as (client, teller, shop):
        with pytest.raises(UsageError, match="came"):
            await client.ask("?", node=shop, skill="words")
        result = await client.ask("?", node=shop, skill="words")
        again = await client.ask("?", node=shop, skill="words")
        (session,) = await settled(client)
    assert (result.cost, again.cost) == (Amount(COST, TEST), Amount(COST, TEST))
    deposits = wallet_in(tmp_path).transfers.deposits(session.session_id)
    assert {one.status for one in deposits} == {TransferStatus.SUCCEEDED}
    assert len(deposits) == len(teller.sent) == 2
    assert session.available == sum(teller.sent.values()) - 2 * FEE == sum(one.amount for one in deposits)
    assert spent_today(tmp_path) == 2 * FEE + 2 * COST


async def test_a_node_that_takes_a_deposit_and_credits_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Account, "crediting", lambda account, _: account)
    async with dealing(tmp_path, fee=0) as (client, teller, shop):
        with pytest.raises(ProtocolError, match="the deposit succeeded and is not credited"):
            await client.ask("?", node=shop, skill="words")
        (session,) = await settled(client)
    assert not session.is_usable
    assert spent_today(tmp_path) == sum(teller.sent.values()) == OFFER.window
