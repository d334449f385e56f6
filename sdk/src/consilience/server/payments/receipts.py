"""Receipts: what a paid answer ends with (spec section 3.6)."""

from __future__ import annotations

from functools import lru_cache

from consilience._wire import envelopes
from consilience.asks import Answer
from consilience.envelopes import Signed
from consilience.identity import Signer
from consilience.payments import Receipt, SessionTerms
from consilience.server.store.contract import AskReservation, Settlement, StoredAsk, StoredReceipt
from consilience.server.store.ledger import StoredSession
from consilience.units import EncodedEnvelope

MAX_KNOWN_TERMS = 4096
"""Terms that are remembered as they were read, about 1 KB each."""


@lru_cache(maxsize=MAX_KNOWN_TERMS)
def terms_of(encoded: EncodedEnvelope) -> SessionTerms:
    """Returns the terms of a session that is in the ledger."""
    return envelopes.open_envelope(envelopes.from_bytes(encoded), SessionTerms).value


def settlement_of(
    ask: StoredAsk,
    *,
    answer: Signed[Answer],
    charge: int,
    reservation: AskReservation,
    session: StoredSession,
    signer: Signer,
) -> tuple[Settlement, Signed[Receipt]]:
    """Makes the receipt that comes next in a session.

    Args:
        ask: The bound ask.
        answer: What came of it.
        charge: What is charged for it, in units of the asset.
        reservation: What it is paid out of.
        session: As it stands: the receipt follows its last one.
        signer: Holds a key that the card lists.
    """
    value, account, terms = answer.value, session.account, terms_of(session.terms)
    number = session.receipt_count + 1
    receipt = Receipt(
        node_id=value.node_id,
        signing_key=signer.public_key,
        session_id=session.session_id,
        number=number,
        previous_digest=session.last_receipt_digest,
        payer=terms.payer,
        request_id=ask.key.request_id,
        quote_digest=reservation.quote_digest,
        ask_digest=ask.ask_digest,
        answer_digest=answer.digest,
        usage=value.usage,
        asset=terms.asset,
        charge=charge,
        session_spent=account.spent + charge,
        session_authorized=account.authorized,
        session_refunded=account.refunded,
        outcome=value.outcome,
        start_time=value.accept_time,
        finish_time=value.finish_time,
        backing=terms.backing,
        issuer=terms.issuer,
        funding_commitment=session.funding_commitment,
    )
    signed = envelopes.seal(receipt, signer=signer)
    stored = StoredReceipt(
        session_id=session.session_id,
        number=number,
        digest=signed.digest,
        charge=charge,
        envelope=EncodedEnvelope(envelopes.to_bytes(signed.envelope)),
    )
    return Settlement(receipt=stored), signed
