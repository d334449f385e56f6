"""Whatever a paying process was at when it was killed, nothing is paid twice, and all that was charged is known."""

import asyncio
import signal
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from consilience.client import Client
from consilience.client.payments import PaymentStatus, WalletSession
from consilience.identity import KeyPair
from consilience.payments import TransferStatus
from consilience.units import Digest, utc_now
from scripts.machine_cache import ROOT
from sdk.tests.client.payments.crash_victim import PLACES
from sdk.tests.client.payments.shops import COST, TEXT, Shop, customer, settled, wallet_in

LATER = timedelta(minutes=10)
"""After which no copy of an ask can be on its way any more."""

_VICTIM = ROOT / "sdk" / "tests" / "client" / "payments" / "crash_victim.py"


@pytest.mark.parametrize("place", PLACES)
async def test_who_is_killed_pays_once_and_goes_on(tmp_path: Path, place: str) -> None:
    key, ahead = KeyPair.generate(), timedelta(0)
    key.save(tmp_path / "payer.key")
    shop = Shop(clock=lambda: utc_now() + ahead, pause=0.005)
    async with shop.node.serving("127.0.0.1:0") as running:
        victim = await asyncio.create_subprocess_exec(
            sys.executable, _VICTIM, running.address, tmp_path, place, cwd=ROOT
        )
        assert await asyncio.wait_for(victim.wait(), 60) == -signal.SIGKILL
        ahead = LATER
        async with customer(tmp_path, key=key, clock=lambda: utc_now() + ahead) as client:
            result = await client.ask("?", node=running.address, skill="words")
            sessions = [await _ended(client, one.session_id) for one in await settled(client)]
            checks = [check for one in sessions for check in await client.payments.verify(one.session_id)]
    wallet = wallet_in(tmp_path)
    assert result.text == TEXT
    assert all(check.passed for check in checks), checks
    for session in sessions:
        assert session.state is not None
        told = session.state.value
        assert (session.trouble, session.running) == ("", 0)
        assert (session.spent, session.acknowledged) == (told.spent, told.receipt_count)
        assert session.authorized >= told.authorized
        deposits = wallet.transfers.deposits(session.session_id)
        assert {deposit.status for deposit in deposits} <= {TransferStatus.SUCCEEDED}
        assert told.deposited == sum(deposit.amount for deposit in deposits)
    assert 1 <= len(sessions) <= 2
    assert COST <= sum(session.spent for session in sessions) <= 2 * COST


async def _ended(client: Client, session_id: Digest) -> WalletSession:
    """Returns a session once its last ask has ended: a node waits a while for vouchers of who was killed."""
    for _ in range(100):
        session = await client.payments.refresh(session_id)
        if not session.running:
            break
        await asyncio.sleep(0.2)
    return session


async def test_an_answer_is_read_to_its_end_after_its_reader_was_killed(tmp_path: Path) -> None:
    key = KeyPair.generate()
    key.save(tmp_path / "payer.key")
    async with Shop(pause=0.05).node.serving("127.0.0.1:0") as running:
        victim = await asyncio.create_subprocess_exec(
            sys.executable, _VICTIM, running.address, tmp_path, "voucher is brought", cwd=ROOT
        )
        assert await asyncio.wait_for(victim.wait(), 60) == -signal.SIGKILL
        wallet = wallet_in(tmp_path)
        (session,) = wallet.sessions()
        (intent,) = wallet.running(session.session_id)
        async with customer(tmp_path, key=key) as client:
            async with client.resume(intent.request_id, node=running.address) as stream:
                result = await stream.final()
            (session,) = await settled(client)
    paid = wallet.intent(intent.request_id)
    assert paid is not None
    assert result.text == TEXT
    assert (paid.status, paid.charge, session.spent) == (PaymentStatus.PAID, COST, COST)
