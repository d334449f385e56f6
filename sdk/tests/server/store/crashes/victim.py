"""The victim: a process that takes random steps on a ledger until it kills itself, at the place that it was told.

Everything that it begins and hears stands in its journal, which outlives it.
"""

import asyncio
import itertools
import json
import os
import random
import shutil
import signal
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Timer
from typing import Any, TypeVar

from sqlalchemy import Engine, event

from consilience.payments import Account, SessionStatus, TransferStatus
from consilience.server.store import sqlite
from consilience.server.store.contract import AskReservation, Settlement, StoredAsk, StoredReceipt
from consilience.server.store.group_commit import GroupCommit
from consilience.server.store.ledger import (
    BalanceError,
    ChainMovedError,
    QuoteUsedUpError,
    SessionShutError,
    StoredDeposit,
    StoredSession,
    StoredWithdrawal,
)
from consilience.units import Digest, EncodedEnvelope, Sequence
from sdk.tests.server.store.crashes.evidence import Findings, receipt_of
from sdk.tests.server.store.specimens import ACCEPTED, FINISH, KEEP_END, LEASE_END, REPLICA, entry, running_ask

T = TypeVar("T")


class NotReachedError(Exception):
    """A reservation was not raised: the session has not enough that is free."""


REFUSALS = (BalanceError, ChainMovedError, NotReachedError, QuoteUsedUpError, SessionShutError)
WORKERS = 4
STEPS = 12
"""Of each worker, before it has had enough."""

PLACES = (
    "before a transaction",
    "before an operation",
    "between two statements",
    "after an operation",
    "before the commit",
    "after the commit",
    "after a reply",
    "at any time",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """Where a process is to die.

    Attributes:
        place: One of `PLACES`.
        count: At which time that it comes there, from 1; "at any time": after so many milliseconds.
        disk: The folder for what a power cut would leave, or None: it is a kill only.
    """

    place: str
    count: int
    disk: Path | None


class Executioner:
    """Counts how often the process comes to its place, and kills it there."""

    def __init__(self, sentence: Sentence) -> None:
        self._sentence = sentence
        self._left = itertools.count(sentence.count - 1, -1)

    def install(self) -> None:
        """Has the store of this process pass the places; nothing in the store knows of it."""
        executioner = self

        class Passing(GroupCommit):
            def _commit(self, group: Any) -> None:
                executioner.passes("before a transaction")
                super()._commit(group)

            def _execute(self, statement: str) -> None:
                before = {"SAVEPOINT operation": "before an operation", "RELEASE operation": "after an operation"}
                executioner.passes("before the commit" if statement == "COMMIT" else before.get(statement, ""))
                super()._execute(statement)
                if statement == "COMMIT":
                    if self._on_disk:
                        executioner.keep_disk()
                    executioner.passes("after the commit")

        sqlite.GroupCommit = Passing  # type: ignore[attr-defined]
        event.listen(Engine, "before_cursor_execute", lambda *_: executioner.passes("between two statements"))
        if self._sentence.place == "at any time":
            timer = Timer(self._sentence.count / 1000, self.passes, ["at any time"])
            self._left = itertools.count(0, -1)
            timer.daemon = True
            timer.start()

    def passes(self, place: str) -> None:
        """Kills the process if this is the place, and the time has come."""
        if place == self._sentence.place and next(self._left) == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def keep_disk(self) -> None:
        """Keeps what is on the disk now: a power cut loses what is written from here to the next such commit."""
        if (disk := self._sentence.disk) is None:
            return
        new, former = disk.with_name("new"), disk.with_name("former")
        copy_file(disk.parent, new)
        shutil.rmtree(former, ignore_errors=True)
        disk.rename(former)
        new.rename(disk)


def copy_file(from_: Path, to: Path) -> None:
    """Copies the file of the store with its log, into a folder that has nothing else."""
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir()
    for file in from_.glob("answers.db*"):
        if file.suffix in (".db", ".db-wal"):  # what else there is, is made anew
            shutil.copyfile(file, to / file.name)


class Journal:
    """Notes what is begun and what was heard, in lines that are in the file once `_write` returns."""

    def __init__(self, path: Path, executioner: Executioner) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._numbers = itertools.count()
        self._executioner = executioner

    async def does(self, step: Coroutine[Any, Any, T], kind: str, id_: bytes, **more: object) -> T | None:
        """Takes a step; returns what came of it, or None where it was refused."""
        number = next(self._numbers)
        self._write({"begin": number, "kind": kind, "id": id_.hex(), **more})
        try:
            result = await step
        except REFUSALS as error:
            self._write({"refused": number, "by": type(error).__name__})
            return None
        self._write({"done": number})
        self._executioner.passes("after a reply")
        return result

    def _write(self, line: dict[str, object]) -> None:
        os.write(self._file, json.dumps(line).encode() + b"\n")


def live(path: Path, *, before: Findings, sentence: Sentence, journal: Path, seed: str) -> None:
    """Opens the store, ends what an earlier life left, and takes steps until it dies, or has had enough."""
    executioner = Executioner(sentence)
    executioner.install()
    asyncio.run(Life(path, Journal(journal, executioner), random.Random(seed)).live(before))  # noqa: S311 - no secret


class Life:
    """One life of a process on a ledger."""

    def __init__(self, path: Path, journal: Journal, choice: random.Random) -> None:
        self.store = sqlite.SqliteStore(path)
        self.ledger = self.store.ledger
        self.does = journal.does
        self.choice = choice
        self.sessions: list[Digest] = []
        self.quote = Digest(choice.randbytes(32))

    async def live(self, before: Findings) -> None:
        """Takes steps, some at once."""
        await self.store.open(replica=REPLICA, lease_until=LEASE_END)
        of_now = [it for it, row in before.sessions.items() if row["status"] == SessionStatus.OPEN]
        self.sessions = [Digest(bytes.fromhex(it)) for it in of_now[-2:]]
        for deposit in await self.ledger.pending_deposits():
            await self.credit(deposit)
        for payout in await self.ledger.pending_withdrawals():
            await self.end_payout(payout)
        for ask in await self.store.claim_abandoned(now=LEASE_END):
            await self.finish(ask)
        await asyncio.gather(*(self.work() for _ in range(WORKERS)))
        await self.store.close()

    async def work(self) -> None:
        for _ in range(STEPS):
            if not self.sessions or (len(self.sessions) < 2 and self.choice.random() < 0.3):
                of = await self.open_session()  # another worker may have closed it meanwhile, and each other one
            else:
                of = self.choice.choice(self.sessions)
            match self.choice.choice(["money", "ask", "ask", "ask", "refund", "pay out", "promise", "close"]):
                case "money":
                    await self.pay_in(of)
                case "ask":
                    await self.ask(of)
                case "refund":
                    await self.refund(of)
                case "pay out":
                    await self.pay_out(of)
                case "promise":
                    await self.authorize(of)
                case "close" if self.choice.random() < 0.2:
                    if of in self.sessions:
                        self.sessions.remove(of)
                    await self.does(self.ledger.close_session(of), "close", of)

    async def open_session(self) -> Digest:
        of = Digest(self.choice.randbytes(32))
        lent = self.choice.choice([0, 50])
        session = StoredSession(session_id=of, terms=EncodedEnvelope(b"terms"), account=Account(credit_limit=lent))
        await self.does(self.ledger.open_session(session), "open", of)
        self.sessions.append(of)
        await self.pay_in(of)
        await self.authorize(of)
        return of

    async def pay_in(self, of: Digest) -> None:
        deposit = StoredDeposit(
            session_id=of,
            deposit_id=self.choice.randbytes(16),
            amount=self.choice.randint(1, 200),
            instruction=b"instruction",
            rail_ref=self.choice.randbytes(16),
        )
        if await self.does(self.ledger.begin_deposit(deposit), "deposit", deposit.deposit_id):
            await self.credit(deposit)

    async def credit(self, deposit: StoredDeposit) -> None:
        of = deposit.session_id, deposit.deposit_id
        if self.choice.random() < 0.1:
            await self.does(self.ledger.fail_deposit(*of), "fail", deposit.deposit_id)
            return
        for _ in range(self.choice.choice([1, 1, 2])):  # a rail may call back twice
            step = self.ledger.credit(*of, amount=deposit.amount, reference=deposit.rail_ref * 2)
            await self.does(step, "credit", deposit.deposit_id, amount=deposit.amount)

    async def authorize(self, of: Digest) -> None:
        session = await self.session(of)
        amount = self.choice.randint(session.account.authorized, max(session.account.available, 1))
        step = self.ledger.authorize(of, cumulative=amount, voucher=EncodedEnvelope(b"voucher"))
        await self.does(step, "authorize", of, amount=amount)

    async def ask(self, of: Digest) -> None:
        session = await self.session(of)
        reserved = min(self.choice.randint(0, 30), max(0, session.account.free))
        reservation = AskReservation(
            session_id=of,
            quote=EncodedEnvelope(b"quote"),
            quote_digest=self.quote,
            max_asks=1000,
            total_max_charge=10**6,
            ceiling=50,
            reserved=reserved,
        )
        ask = running_ask()
        step = self.bind(ask, reservation)
        if not await self.does(step, "bind", ask.key.request_id):
            return
        for reach in range(reserved, reserved + self.choice.randint(0, 3) * 5, 5):
            await self.does(self.extend(ask, reach), "extend", ask.key.request_id, amount=reach)
        if self.choice.random() < 0.8:
            await self.finish(ask)

    async def bind(self, ask: StoredAsk, reservation: AskReservation) -> bool:
        return await self.store.bind(ask, first=ACCEPTED, reservation=reservation) is None

    async def extend(self, ask: StoredAsk, reach: int) -> None:
        reservation, _ = await self.ledger.extend(ask.key, least=reach, most=reach)
        if reservation.reserved < reach:
            raise NotReachedError("the session did not allow it")

    async def finish(self, ask: StoredAsk) -> None:
        reservation = await self.ledger.find_reservation(ask.key)
        if reservation is None:
            raise RuntimeError("a paid ask runs without a reservation")
        charge = self.choice.randint(0, reservation.reserved)
        digest = receipt_of(ask.key.request_id.hex())
        while True:
            number = (await self.session(reservation.session_id)).receipt_count + 1
            receipt = self.receipt(reservation.session_id, number, bytes.fromhex(digest), charge)
            step = self.end(ask, Settlement(receipt=receipt))
            told = {"receipt": digest, "number": number, "amount": charge}
            if await self.does(step, "finish", ask.key.request_id, **told):
                return

    async def end(self, ask: StoredAsk, settlement: Settlement) -> bool:
        await self.store.finish(
            ask.key,
            (entry(Sequence(ask.last_sequence + 1)),),
            epoch=ask.epoch,
            finish_time=FINISH,
            keep_until_time=KEEP_END,
            settlement=settlement,
        )
        return True

    async def refund(self, of: Digest) -> None:
        receipts = await self.ledger.receipts(of, after=0, limit=1000)
        charges = [receipt for receipt in receipts if receipt.charge and not receipt.refund_of]
        if not charges:
            return
        refunded, digest = self.choice.choice(charges), self.choice.randbytes(32)
        amount = self.choice.randint(1, refunded.charge)
        receipt = replace(self.receipt(of, len(receipts) + 1, digest, amount), refund_of=refunded.digest)
        step = self.ledger.refund(receipt)
        await self.does(step, "refund", of, receipt=digest.hex(), amount=amount)
        number = self.choice.randint(1, len(receipts))
        call = EncodedEnvelope(b"right")
        await self.does(self.ledger.acknowledge(of, number=number, call=call), "acknowledge", of, number=number)

    async def pay_out(self, of: Digest) -> None:
        amount = self.choice.randint(1, 40)
        payout = StoredWithdrawal(session_id=of, withdrawal_id=self.choice.randbytes(16), amount=amount)
        step = self.ledger.begin_withdrawal(payout)
        if await self.does(step, "withdraw", payout.withdrawal_id, amount=amount):
            await self.end_payout(payout)

    async def end_payout(self, payout: StoredWithdrawal) -> None:
        status = self.choice.choice([TransferStatus.SUCCEEDED, TransferStatus.FAILED])
        kind = "paid" if status is TransferStatus.SUCCEEDED else "unpaid"
        step = self.ledger.end_withdrawal(payout.session_id, payout.withdrawal_id, status=status)
        await self.does(step, kind, payout.withdrawal_id)

    async def session(self, of: Digest) -> StoredSession:
        session = await self.ledger.find_session(of)
        if session is None:
            raise RuntimeError("a session is gone")
        return session

    @staticmethod
    def receipt(of: Digest, number: int, digest: bytes, charge: int) -> StoredReceipt:
        return StoredReceipt(
            session_id=of, number=number, digest=Digest(digest), charge=charge, envelope=EncodedEnvelope(b"receipt")
        )
