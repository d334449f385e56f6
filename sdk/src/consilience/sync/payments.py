"""Payments without `async`."""

from __future__ import annotations

from consilience import client as asynchronous
from consilience.client import Check
from consilience.client.cards import NodeReference
from consilience.client.payments import SkillPrice, Statement, WalletSession, WalletTransfer
from consilience.envelopes import Signed
from consilience.payments import Amount, Quote, Receipt
from consilience.sync.background import Background
from consilience.units import Digest, RequestId


class PaymentDesk:
    """Prices, sessions and receipts: `consilience.client.PaymentDesk`, whose methods these are."""

    def __init__(self, desk: asynchronous.PaymentDesk, *, background: Background) -> None:
        self._desk = desk
        self._background = background

    def prices(self, node: NodeReference) -> tuple[SkillPrice, ...]:
        """Returns what the skills of a node cost by its card."""
        return self._background.run(self._desk.prices(node))

    def quote(self, skill: str, *, node: NodeReference, model: str = "", asset: str = "") -> Signed[Quote]:
        """Returns the price of a skill for this client, signed and checked."""
        return self._background.run(self._desk.quote(skill, node=node, model=model, asset=asset))

    def sessions(self) -> tuple[WalletSession, ...]:
        """Returns the sessions in the wallet, as they are known there."""
        return self._background.run(self._desk.sessions())

    def refresh(self, session_id: Digest) -> WalletSession:
        """Asks a node how a session stands, and fetches the receipts that are missing."""
        return self._background.run(self._desk.refresh(session_id))

    def close_session(self, session_id: Digest, *, forget: bool = False) -> WalletSession:
        """Ends a session: what was authorized and not spent is the payer's again; or, to forget it, in the wallet."""
        return self._background.run(self._desk.close_session(session_id, forget=forget))

    def withdraw(self, session_id: Digest, *, amount: int | None = None) -> WalletTransfer:
        """Gets money back from a session: so much, or all that can be paid out."""
        return self._background.run(self._desk.withdraw(session_id, amount=amount))

    def deposit(self, session_id: Digest, *, amount: int) -> WalletSession:
        """Brings money into a session; a deposit that was begun before goes on in its place."""
        return self._background.run(self._desk.deposit(session_id, amount=amount))

    def take_hold(self, hold: bytes) -> WalletSession:
        """Brings a hold that was handed over."""
        return self._background.run(self._desk.take_hold(hold))

    def receipts(self, session_id: Digest) -> tuple[Signed[Receipt], ...]:
        """Returns the receipts of a session that are in the wallet, in their order."""
        return self._background.run(self._desk.receipts(session_id))

    def receipt(self, request_id: RequestId) -> Signed[Receipt] | None:
        """Returns the receipt of an ask, or None where the wallet has none."""
        return self._background.run(self._desk.receipt(request_id))

    def statement(self, session_id: Digest) -> Statement:
        """Returns what happened in a session, line by line."""
        return self._background.run(self._desk.statement(session_id))

    def verify(self, session_id: Digest) -> tuple[Check, ...]:
        """Checks the receipts of a session offline, and says what was checked."""
        return self._background.run(self._desk.verify(session_id))

    def spent_today(self, asset: str) -> Amount:
        """Returns what the asks of this day, by UTC, have cost in an asset."""
        return self._background.run(self._desk.spent_today(asset))
