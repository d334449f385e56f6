"""Wallets: what a payer writes down before it pays, so that nothing is paid twice and nothing is signed too far ahead.

A wallet holds sessions, the intent of every paid ask, the highest voucher of each session, receipts, deposits and
withdrawals. It holds no secret: who finds the file reads what was paid, and can pay nothing. Several processes and
many asks may share one; each thing that happens is one transaction.

>>> wallet = Wallet.in_memory()
>>> wallet.sessions()
()
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from consilience._wire.envelopes import to_bytes
from consilience.asks import Ask
from consilience.client.payments.states import is_later
from consilience.client.payments.wallet_closings import WalletClosings
from consilience.client.payments.wallet_file import Database, WalletFile
from consilience.client.payments.wallet_quotes import WalletQuotes
from consilience.client.payments.wallet_receipts import WalletReceipts
from consilience.client.payments.wallet_rows import (
    INTENT_FIELDS,
    RUNNING_FIELDS,
    SESSION_FIELDS,
    Authority,
    Demand,
    PaymentIntent,
    WalletSession,
    intent_of,
    session_of,
)
from consilience.client.payments.wallet_steps import WalletSteps
from consilience.client.payments.wallet_sums import charges_on, count, give_up, leave, running_on
from consilience.client.payments.wallet_transfers import WalletTransfers, left_behind
from consilience.envelopes import Signed
from consilience.errors import BudgetExceededError, UsageError
from consilience.payments import Amount, SessionState, SessionTerms
from consilience.state_folder import user_state_folder
from consilience.units import Digest, PublicKey, RequestId

P = ParamSpec("P")
R = TypeVar("R")

_INTENTS = f"SELECT {INTENT_FIELDS} FROM asks JOIN quotes ON quotes.digest = quote_digest"  # noqa: S608 - our columns


WALLET_FILE_VARIABLE = "CONSILIENCE_WALLET_FILE"


def default_wallet_file() -> Path:
    """Returns where the user's wallet is: `$CONSILIENCE_WALLET_FILE`, else the user's state folder."""
    if named := os.environ.get(WALLET_FILE_VARIABLE):
        return Path(named)
    return user_state_folder() / "wallet.sqlite"


class Wallet:
    """What one payer knows of its money. Its methods wait for the disk: on an event loop, have them done by `do`.

    Args:
        file: Where it is kept.

    Attributes:
        closings: The sessions that the payer has asked to be closed.
        quotes: The prices that were had.
        receipts: What was charged.
        transfers: Deposits and withdrawals.
    """

    def __init__(self, file: WalletFile) -> None:
        self._file = file
        self._steps = WalletSteps(file)
        self.closings = WalletClosings(file)
        self.quotes = WalletQuotes(file)
        self.receipts = WalletReceipts(file)
        self.transfers = WalletTransfers(file)

    @classmethod
    def at(cls, path: Path | str | None = None) -> Wallet:
        """Opens the wallet in a file, which is made where there is none; without a path the user's own.

        Raises:
            WalletFileError: It cannot be opened, is no wallet, or was made by a newer version.
        """
        return cls(WalletFile(Path(path) if path is not None else default_wallet_file()))

    @classmethod
    def in_memory(cls) -> Wallet:
        """Returns a wallet that is gone with the process: for tests, and for money without value."""
        return cls(WalletFile(None))

    @property
    def path(self) -> Path | None:
        """Its file; None: it is in memory."""
        return self._file.path

    async def do(self, step: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> R:
        """Takes a step of this wallet on an event loop, as a whole or not at all.

        It is taken in the thread of the wallet, unless that is in memory and waits for no disk.
        """
        if self.path is None:
            with self._file.transaction():
                return step(*arguments, **named)
        return await self._steps.take(partial(step, *arguments, **named))

    def close(self) -> None:
        """Ends its thread, and closes the file."""
        self._steps.close()
        self._file.close()

    def add_session(self, terms: Signed[SessionTerms], *, address: str) -> None:
        """Writes a session down, before it is opened; the same terms again change nothing."""
        agreed = terms.value
        with self._file.transaction() as database:
            database.execute(
                "INSERT OR IGNORE INTO sessions (session_id, payer, payee, asset, terms, address)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (terms.digest, agreed.payer, agreed.payee, agreed.asset, to_bytes(terms.envelope), address),
            )

    def sessions(
        self, *, payer: PublicKey | None = None, payee: PublicKey | None = None, asset: str | None = None
    ) -> tuple[WalletSession, ...]:
        """Returns the sessions of a payer at a payee in an asset; what is None makes no difference."""
        wanted = {"payer": payer, "payee": payee, "asset": asset}
        named = {name: value for name, value in wanted.items() if value is not None}
        condition = " AND ".join(f"{name} = :{name}" for name in named) or "1"
        with self._file.transaction() as database:
            return tuple(_sessions(database, condition, named))

    def session(self, session_id: Digest) -> WalletSession | None:
        """Returns a session, or None."""
        with self._file.transaction() as database:
            return _session(database, session_id)

    def note_state(self, state: Signed[SessionState], *, voucher: int) -> None:
        """Keeps what a node told of a session, checked; what is older than what is kept changes nothing (`is_later`).

        Args:
            state: The state.
            voucher: The `cumulative` of the payer's own highest voucher in it: one that was signed before this wallet
                was restored from a copy counts as signed.
        """
        with self._file.transaction() as database:
            known = _session(database, state.value.session_id)
            if known is None:
                return
            database.execute(
                "UPDATE sessions SET authorized = MAX(authorized, ?) WHERE session_id = ?", (voucher, known.session_id)
            )
            if known.state is None or is_later(state.value, than=known.state.value):
                row = (to_bytes(state.envelope), known.session_id)
                database.execute("UPDATE sessions SET state = ? WHERE session_id = ?", row)

    def give_up(self, session_id: Digest, *, trouble: str, now: datetime) -> None:
        """Notes why a session is not used any more; the first reason stays. What is left in it counts as spent today.

        What its running asks may cost counts with them already; where one comes to less, the rest of that is left too.

        Args:
            session_id: The session.
            trouble: Why.
            now: Aware UTC.
        """
        with self._file.transaction() as database:
            given_up = database.execute(
                "UPDATE sessions SET trouble = ? WHERE session_id = ? AND trouble = '' RETURNING asset",
                (trouble, session_id),
            ).fetchone()
            if given_up is not None:
                left = left_behind(database, session_id)
                give_up(database, asset=given_up[0], day=_day(now).isoformat(), amount=left)

    def begin(
        self, intent: PaymentIntent, *, per_day: int, least: int, session: WalletSession | None = None
    ) -> PaymentIntent:
        """Writes down that an ask is about to be paid for, with a ceiling that the day's budget leaves.

        With it comes what may be signed from now on, as in `authorize`, written down as signed.

        Args:
            intent: What is about to be paid; not signed yet.
            per_day: The most that the asks of its day may cost, in units of the asset.
            least: What the ask costs at least.
            session: Out of which it is paid, as it stands, where this transaction has read it; None: it is read.

        Raises:
            BudgetExceededError: The day's budget does not leave that.
            UsageError: The request id was paid for before.
        """
        asset, day = _asset_of(intent), _day(intent.begin_time).isoformat()
        with self._file.transaction() as database:
            earlier = database.execute("SELECT status FROM asks WHERE request_id = ?", (intent.request_id,)).fetchone()
            if earlier is not None and earlier[0] != "RELEASED":
                raise UsageError(
                    f"the ask {intent.request_id.hex()} was paid for before: read it with client.resume(request_id)"
                )
            left = per_day - charges_on(database, asset=asset, day=day)
            if left < max(least, 1):
                raise BudgetExceededError(
                    f"the ask costs {Amount(least, asset)} at least, and of the day's {Amount(per_day, asset)}"
                    f" {Amount(max(left, 0), asset)} are left; nothing was sent"
                )
            ceiling = min(intent.ceiling, left)
            exposed = replace(intent.exposure, ceiling=ceiling).amount
            known = session or _session(database, intent.session_id)
            database.execute(
                "INSERT OR REPLACE INTO asks (request_id, session_id, quote_digest, asset, day, begin_time, status,"
                " ceiling, question, exposed, shared) VALUES (?, ?, ?, ?, ?, ?, 'RUNNING', ?, ?, ?, ?)",
                (
                    *(intent.request_id, intent.session_id, intent.quote.digest, asset, day),
                    *(intent.begin_time.isoformat(), ceiling, intent.question, exposed),
                    known is not None and known.running > 0,
                ),
            )
            if known is not None and known.running == 1:  # where more run, each of them knows of another already
                database.execute("UPDATE asks SET shared = 1 WHERE request_id = ?", tuple(known.asks))
            count(database, intent.request_id, asks=1, charges=ceiling)
            voucher = _allow(database, known, upto=known.spent + known.exposed + exposed) if known else 0
        return replace(intent, ceiling=ceiling, voucher=voucher)

    def bind(self, ask: Signed[Ask]) -> None:
        """Writes a signed ask down, before it is sent. Whoever resumes it pays on under the same terms.

        Raises:
            UsageError: Another program, with the same wallet, has let go of it meanwhile: it must not be sent.
        """
        request_id = ask.value.header.request_id
        row = (ask.digest, to_bytes(ask.envelope), request_id)
        with self._file.transaction() as database:
            bound = database.execute(
                "UPDATE asks SET ask_digest = ?, ask = ? WHERE request_id = ? AND status = 'RUNNING'", row
            )
            if not bound.rowcount:
                raise UsageError(
                    f"the ask {request_id.hex()} stood still for so long that another program, with the same wallet,"
                    " has let go of it; nothing was sent: ask again"
                )

    def authorize(self, session_id: Digest, *demands: Demand) -> Authority:
        """Returns what may be signed next, written down as signed.

        A voucher never falls, and never exceeds what is spent by receipts and the exposure of each running ask
        (PAY-VCH-004), nor what is available. Where several asks run, it goes that far: what is required for one of them
        leaves out what the others are about to need, and they would have to wait.

        Args:
            session_id: The session.
            demands: What the node requires; none: as much as may be.
        """
        with self._file.transaction() as database:
            return _authorize(database, session_id, *demands)

    def release(self, request_id: RequestId) -> None:
        """Notes that the node did not take an ask, so that nothing is charged for it."""
        with self._file.transaction() as database:
            released = database.execute(
                "UPDATE asks SET status = 'RELEASED', ask = NULL WHERE request_id = ? AND status = 'RUNNING'"
                " RETURNING session_id, ceiling",
                (request_id,),
            ).fetchone()
            if released is not None:
                session_id, ceiling = released
                count(database, request_id, asks=-1, charges=-ceiling)
                leave(database, request_id, amount=min(ceiling, left_behind(database, session_id)))

    def intent(self, request_id: RequestId) -> PaymentIntent | None:
        """Returns what was written down about an ask, or None."""
        with self._file.transaction() as database:
            return _intent(database, request_id)

    def running(self, session_id: Digest) -> tuple[PaymentIntent, ...]:
        """Returns the asks of a session whose receipts have not come."""
        condition = f"{_INTENTS} WHERE session_id = ? AND status = 'RUNNING'"
        with self._file.transaction() as database:
            return tuple(map(intent_of, database.execute(condition, (session_id,)).fetchall()))

    def spent_on(self, day: date, *, asset: str) -> int:
        """Returns what a day, by UTC, has cost, in units of an asset.

        That is its asks, those that run at their ceilings, what was left in sessions that were given up on it, and what
        was kept of deposits on their way.
        """
        with self._file.transaction() as database:
            return charges_on(database, asset=asset, day=day.isoformat())

    def reserved_on(self, day: date, *, asset: str) -> int:
        """Returns how much of `spent_on` is not spent, but may come to be: the ceilings of asks that run.

        Those of a session that is given up are none of it: all that is left there counts as spent.
        """
        with self._file.transaction() as database:
            return running_on(database, asset=asset, day=day.isoformat())


def _sessions(database: Database, condition: str, named: dict[str, Any]) -> Iterable[WalletSession]:
    query = f"SELECT {SESSION_FIELDS}, session_id FROM sessions WHERE {condition}"  # noqa: S608 - our columns
    for *row, session_id in database.execute(query, named).fetchall():
        running = database.execute(
            f"SELECT {RUNNING_FIELDS} FROM asks WHERE session_id = ? AND status = 'RUNNING'",  # noqa: S608 - as above
            (session_id,),
        )
        yield session_of(tuple(row), running=running)


def _session(database: Database, session_id: Digest) -> WalletSession | None:
    return next(iter(_sessions(database, "session_id = :session_id", {"session_id": session_id})), None)


def _authorize(database: Database, session_id: Digest, *demands: Demand) -> Authority:
    known = _session(database, session_id)
    if known is None:
        return Authority(cumulative=0)
    excessive = _excessive(database, known, demands)
    granted = [demand for demand in demands if demand.request_id not in excessive]
    if demands and not granted:
        return Authority(cumulative=known.authorized, excessive=excessive)
    if granted and known.is_usable:
        for demand in granted:
            _expose(database, demand)
        known = _session(database, session_id) or known
    bound = known.spent + known.exposed
    upto = max(demand.upto for demand in granted) if granted and known.running == 1 else bound
    return Authority(cumulative=_allow(database, known, upto=min(upto, bound)), excessive=excessive)


def _allow(database: Database, session: WalletSession, *, upto: int) -> int:
    """Returns what may be signed for a session now, so far and within what is available, and notes it as signed."""
    if not session.is_usable:
        return session.authorized
    cumulative = max(session.authorized, min(upto, session.available))
    database.execute("UPDATE sessions SET authorized = ? WHERE session_id = ?", (cumulative, session.session_id))
    return cumulative


def _excessive(database: Database, session: WalletSession, demands: Iterable[Demand]) -> dict[RequestId, int]:
    """Returns the asks for which a node requires more than it can need, and that most.

    All that is spent and reserved is within what was signed. So for one ask its exposure beyond that is the most that
    can be required. Where no other ask of the session has run since it began, it is its exposure beyond what is spent;
    else what it reads may tell of what was reserved for another, which has ended since.
    """
    most = {}
    for demand in demands:
        alone = not session.asks - {demand.request_id} and not _shared(database, demand.request_id)
        most[demand.request_id] = (session.spent if alone else session.authorized) + demand.exposure.amount
    return {demand.request_id: most[demand.request_id] for demand in demands if demand.upto > most[demand.request_id]}


def _shared(database: Database, request_id: RequestId) -> bool:
    """Tells whether another ask of its session has run since an ask began."""
    found = database.execute("SELECT shared FROM asks WHERE request_id = ?", (request_id,)).fetchone()
    return found is not None and bool(found[0])


def _expose(database: Database, demand: Demand) -> None:
    """Notes what an ask puts at risk; what is lower than before changes nothing."""
    exposure, name = demand.exposure, demand.request_id
    known = database.execute("SELECT question, metered FROM asks WHERE request_id = ?", (name,)).fetchone()
    if known is not None:
        counts = [metered for metered in (exposure.metered, known[1]) if metered is not None]
        now = replace(exposure, question=max(exposure.question, known[0]), metered=max(counts, default=None))
        database.execute(
            "UPDATE asks SET question = ?, metered = ?, exposed = ? WHERE request_id = ?",
            (now.question, now.metered, now.amount, name),
        )


def _intent(database: Database, request_id: RequestId) -> PaymentIntent | None:
    row = database.execute(f"{_INTENTS} WHERE request_id = ?", (request_id,)).fetchone()
    return intent_of(row) if row else None


def _asset_of(intent: PaymentIntent) -> str:
    tariff = intent.quote.value.tariff
    if tariff is None:
        raise UsageError("the skill is free: there is nothing to pay")
    return tariff.asset


def _day(moment: datetime) -> date:
    return moment.astimezone(UTC).date()
