"""Tills: what all paid answers of a node share, whoever ends them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from consilience.asks import Answer
from consilience.envelopes import Envelope, Signed
from consilience.server.keys import SigningKeys
from consilience.server.payments.changes import Changes
from consilience.server.payments.receipts import settlement_of
from consilience.server.store.contract import AskReservation, Settlement, StoredAsk
from consilience.server.store.ledger import Ledger, SessionMissingError, StoredSession
from consilience.server.tickets import attestation_of
from consilience.units import Digest, PublicKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What a paid answer ends with.

    Attributes:
        settlement: What the ledger keeps.
        receipt: What the payer gets.
        attestation: What a reviewer gets besides; None: there is no ticket, or nothing is charged.
    """

    settlement: Settlement
    receipt: Envelope
    attestation: Envelope | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Till:
    """What all paid answers of a node share.

    Attributes:
        node_id: The root key, 32 bytes.
        keys: Sign Meters and receipts.
        ledger: Keeps the sessions.
        changes: Tells of vouchers that came.
        clock: Tells the aware UTC time.
    """

    node_id: PublicKey
    keys: SigningKeys
    ledger: Ledger
    changes: Changes
    clock: Callable[[], datetime]

    async def session(self, reservation: AskReservation) -> StoredSession:
        """Returns the session that an ask is paid out of, as it stands.

        Raises:
            SessionMissingError: It is gone, which no ledger does.
        """
        session = await self.ledger.find_session(reservation.session_id)
        if session is None:
            raise SessionMissingError("the session of a running ask is not in the ledger")
        return session

    async def settle(
        self,
        ask: StoredAsk,
        *,
        answer: Signed[Answer],
        charge: int,
        reservation: AskReservation,
        ticket_digest: Digest | None,
    ) -> Settled:
        """Makes the receipt of an answer, next in the session as it stands now.

        Whoever stores it makes it anew where another receipt of the session came first (ChainMovedError).

        Args:
            ask: The bound ask.
            answer: What came of it.
            charge: What is charged for it, in units of the asset.
            reservation: What it is paid out of.
            ticket_digest: Names the ticket of the answer; None: there is none.
        """
        signer = self.keys.signer(now=answer.value.finish_time)
        settlement, receipt = settlement_of(
            ask,
            answer=answer,
            charge=charge,
            reservation=reservation,
            session=await self.session(reservation),
            signer=signer,
        )
        attestation = None
        if ticket_digest is not None and charge > 0:
            attestation = attestation_of(receipt.value, ticket_digest=ticket_digest, signer=signer)
        return Settled(settlement=settlement, receipt=receipt.envelope, attestation=attestation)
