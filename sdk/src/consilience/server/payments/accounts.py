"""Accounts: what is looked up and settled after the answers: receipts, acknowledgements, refunds (section 3.7)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from consilience._wire import envelopes
from consilience.envelopes import Envelope, Signed
from consilience.errors import ReceiptUnknownError, UsageError
from consilience.payments import AcknowledgeReceiptCall, Amount, ListReceiptsCall, Receipt
from consilience.server.payments.tills import Till
from consilience.server.store.contract import StoredReceipt
from consilience.server.store.ledger import BalanceError, ChainMovedError, StoredSession
from consilience.units import Digest, EncodedEnvelope

MAX_PAGE = 1000
"""Receipts in one response."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """The receipts of all sessions; `till` keeps the ledger."""

    till: Till

    async def receipts(self, call: ListReceiptsCall) -> tuple[Envelope, ...]:
        """Returns receipts of a session in their order, from behind a number (PAY-LST-001)."""
        found = await self.till.ledger.receipts(
            call.session_id, after=call.after_number, limit=min(call.page_size or MAX_PAGE, MAX_PAGE)
        )
        return tuple(envelopes.from_bytes(receipt.envelope) for receipt in found)

    async def acknowledge(self, signed: Signed[AcknowledgeReceiptCall]) -> None:
        """Keeps the payer's word for a receipt.

        Raises:
            ReceiptUnknownError: The session has no such receipt, or the call repeats it wrongly (PAY-ACK-001).
        """
        call = signed.value
        found = await self.till.ledger.find_receipt(call.session_id, call.receipt_digest)
        if found is None:
            raise ReceiptUnknownError("the session has no such receipt")
        if _opened(found).value.session_spent != call.session_spent:
            raise ReceiptUnknownError("the receipt tells another session_spent")
        word = EncodedEnvelope(envelopes.to_bytes(signed.envelope))
        await self.till.ledger.acknowledge(call.session_id, number=found.number, call=word)

    async def refund(self, session_id: Digest, receipt_digest: Digest, *, amount: int) -> Signed[Receipt]:
        """Gives back what was charged, or a part of it, by a receipt that says so.

        Args:
            session_id: Of the session.
            receipt_digest: Of the receipt whose charge it is.
            amount: In units of the asset, above zero.

        Raises:
            UsageError: The session has no such charge, or less of it is left.
        """
        if amount <= 0:
            raise UsageError("what is given back must be above zero")
        ledger = self.till.ledger
        found = await ledger.find_receipt(session_id, receipt_digest)
        if found is None or found.refund_of:
            raise UsageError("the session has no such receipt to refund")
        charge = _opened(found).value
        while (session := await ledger.find_session(session_id)) is not None:
            refund = self._refund(charge, of=receipt_digest, amount=amount, session=session)
            try:
                await ledger.refund(_stored(refund))
            except ChainMovedError:
                continue  # a receipt came first: this one is made again, behind it
            except BalanceError as error:
                wanted, charged = Amount(amount, charge.asset), Amount(charge.charge, charge.asset)
                raise UsageError(
                    f"{wanted} cannot be given back: with what was given back of the receipt before, it is more than"
                    f" the {charged} that it charged"
                ) from error
            return refund
        raise UsageError("there is no such session")

    def _refund(self, charge: Receipt, *, of: Digest, amount: int, session: StoredSession) -> Signed[Receipt]:
        now = self.till.clock()
        signer = self.till.keys.signer(now=now)
        receipt = replace(
            charge,
            signing_key=signer.public_key,
            number=session.receipt_count + 1,
            previous_digest=session.last_receipt_digest,
            charge=amount,
            session_spent=session.account.spent,
            session_authorized=session.account.authorized,
            session_refunded=session.account.refunded + amount,
            finish_time=now,
            funding_commitment=session.funding_commitment,
            refund_of=of,
        )
        return envelopes.seal(receipt, signer=signer)


def _opened(stored: StoredReceipt) -> Signed[Receipt]:
    return envelopes.open_envelope(envelopes.from_bytes(stored.envelope), Receipt)


def _stored(refund: Signed[Receipt]) -> StoredReceipt:
    value = refund.value
    return StoredReceipt(
        session_id=value.session_id,
        number=value.number,
        digest=refund.digest,
        charge=value.charge,
        envelope=EncodedEnvelope(envelopes.to_bytes(refund.envelope)),
        refund_of=value.refund_of,
    )
