"""Pays a node that is given by its commands with the client of the SDK: two implementations of chapter 3 meet.

Asks are paid one after the other and at once, left and resumed; receipts are verified, the session is closed and
emptied; the node is killed, forgets its sessions, and is paid out of another one.
"""

import asyncio
import shlex
import tempfile
from pathlib import Path

from consilience.asks import Outcome
from consilience.client import AskResult, Client, Wallet
from consilience.client.payments import WalletSession
from consilience.errors import ConsilienceError
from consilience.identity import KeyPair
from consilience.payments import Budget, SessionStatus, TransferStatus
from scripts.certify import Candidate, CertificationError, kept_alive
from scripts.child_processes import run

ASKS_AT_ONCE = 3
_PATIENCE_S = 60.0
_LOOK_INTERVAL_S = 0.1


def pay(candidate: Candidate, *, folder: Path, skill: str, asset: str = "TEST/0") -> None:
    """Pays a node in every way that there is.

    Args:
        candidate: The node.
        folder: Exists; holds what tells that the node serves.
        skill: Costs something, and can answer the candidate's question.
        asset: What it is paid in.

    Raises:
        CertificationError: An answer was not paid for, or what was charged does not add up.
        ConsilienceError: The client could not pay; it says why.
    """
    (folder / "ready").unlink(missing_ok=True)
    with kept_alive(candidate.serve, folder=folder) as (address, restart), tempfile.TemporaryDirectory() as state:
        asyncio.run(_Customer(candidate, Path(state), skill=skill, asset=asset).visit(address, restart=restart))


class _Customer:
    """Somebody with a key, a wallet and a budget."""

    def __init__(self, candidate: Candidate, state: Path, *, skill: str, asset: str) -> None:
        self._question = candidate.question
        self._skill = skill
        self._state = state
        self._key = KeyPair.generate()
        self._wallet = Wallet.at(state / "wallet.sqlite")
        self._budget = Budget(per_ask=f"1000 {asset}", per_day=f"100000 {asset}")

    async def visit(self, address: str, *, restart: str) -> None:
        async with self._client() as client:
            paid = [await self._ask(client, address)]
            paid += await asyncio.gather(*(self._ask(client, address) for _ in range(ASKS_AT_ONCE)))
            async with client.stream(self._question, node=address, skill=self._skill) as stream:
                left = stream.detach()
        async with self._client() as client:
            async with client.resume(left, node=address) as stream:
                paid.append(_paid(await stream.final()))
            session = await self._audit(client, paid)
            await _empty(client, session)
            run(shlex.split(f"bash -c {shlex.quote(restart)}"))  # in the main thread, where tools are run
            await self._ask_again(client, address)
        self._wallet.close()

    def _client(self) -> Client:
        return Client(self._key, card_file=self._state / "cards.sqlite", wallet=self._wallet, budget=self._budget)

    async def _ask(self, client: Client, address: str) -> AskResult:
        return _paid(await client.ask(self._question, node=address, skill=self._skill))

    async def _audit(self, client: Client, paid: list[AskResult]) -> WalletSession:
        """Checks that the node's account and the wallet agree, and returns the session."""
        charged = sum(result.receipt.value.charge for result in paid if result.receipt)
        sessions = [await client.payments.refresh(one.session_id) for one in await client.payments.sessions()]
        for session in sessions:
            told = session.state.value if session.state else None
            if told is None or (told.spent, told.reserved) != (session.spent, 0):
                raise CertificationError(f"the node counts {told}, and the wallet {session.spent}")
            if failed := [check for check in await client.payments.verify(session.session_id) if not check.passed]:
                raise CertificationError(f"a receipt does not hold: {failed}")
        if sum(session.spent for session in sessions) != charged:
            raise CertificationError(f"{charged} were charged, and the sessions count otherwise")
        return sessions[0]

    async def _ask_again(self, client: Client, address: str) -> None:
        """Asks until the node is back."""
        give_up = asyncio.get_running_loop().time() + _PATIENCE_S
        while True:
            try:
                await self._ask(client, address)
            except ConsilienceError:
                if asyncio.get_running_loop().time() > give_up:
                    raise
                await asyncio.sleep(_LOOK_INTERVAL_S)
            else:
                return


def _paid(result: AskResult) -> AskResult:
    if result.outcome is not Outcome.ANSWERED or result.receipt is None or not result.receipt.value.charge:
        raise CertificationError(f"an answer that costs something came as {result.outcome.name}, for {result.cost}")
    return result


async def _empty(client: Client, session: WalletSession) -> None:
    closed = await client.payments.close_session(session.session_id)
    if closed.status is not SessionStatus.CLOSED:
        raise CertificationError(f"the session was closed and is {closed.status.name}")
    back = await client.payments.withdraw(session.session_id)
    if back.status is not TransferStatus.SUCCEEDED:
        raise CertificationError(f"what was left did not come back: {back.status.name}")
