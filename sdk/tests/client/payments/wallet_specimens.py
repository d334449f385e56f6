"""Quotes, terms, asks and receipts that fit each other, for wallets without a node."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from consilience._wire.envelopes import seal
from consilience.asks import Ask, AskPayment
from consilience.client.payments import PaymentIntent, Wallet
from consilience.envelopes import Signed
from consilience.payments import Quote, Receipt, SessionState, SessionStatus, SessionTerms
from consilience.tariffs import Backing
from consilience.units import Digest, RequestId
from sdk.tests.payments.deals import Deal, make_deal, quote_with

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
WINDOW = 20


class Specimens:
    """Everything that a node and a payer sign for one session, at prices that are easy to count with."""

    def __init__(self) -> None:
        self.deal: Deal = make_deal()
        self.node, self.payer = self.deal.chain.node, self.deal.chain.asker
        self.quote: Signed[Quote] = seal(
            quote_with(self.deal.chain, window=WINDOW, max_charge=1000, max_asks=1000, total_max_charge=10**6),
            signer=self.node,
        )
        self.terms: Signed[SessionTerms] = seal(
            SessionTerms(
                payer=self.payer.public_key,
                payee=self.node.public_key,
                asset="TEST/0",
                rail_id="hold.v1",
                network="test",
                backing=Backing.CREDIT,
                issuer=self.payer.public_key,
                salt=os.urandom(16),
                credit_limit=10**9,
            ),
            signer=self.payer,
        )
        self.issued: list[Signed[Receipt]] = []

    def open(self, wallet: Wallet) -> Digest:
        """Writes quote and session into a wallet."""
        wallet.quotes.keep(self.quote, card=self.deal.chain.card)
        wallet.add_session(self.terms, address="cn1…@127.0.0.1:1")
        wallet.note_state(self.state(), voucher=0)
        return self.terms.digest

    def state(self, **changes: Any) -> Signed[SessionState]:
        state = SessionState(
            node_id=self.node.public_key,
            signing_key=self.node.public_key,
            session_id=self.terms.digest,
            status=SessionStatus.OPEN,
            issue_time=NOW,
            credit_limit=10**9,
        )
        return seal(replace(state, **changes), signer=self.node)

    def intent(self, request_id: RequestId, *, ceiling: int = 1000, question: int = 0) -> PaymentIntent:
        return PaymentIntent(
            request_id=request_id,
            session_id=self.terms.digest,
            quote=self.quote,
            ceiling=ceiling,
            question=question,
            begin_time=NOW,
        )

    def ask(self, request_id: RequestId) -> Signed[Ask]:
        value = self.deal.ask.value
        payment = AskPayment(quote_digest=self.quote.digest, session_id=self.terms.digest)
        header = replace(value.header, request_id=request_id)
        return seal(replace(value, header=header, payment=payment), signer=self.payer)

    def receipt(self, ask: Signed[Ask], *, charge: int, **changes: Any) -> Signed[Receipt]:
        before = self.issued[-1] if self.issued else None
        receipt = replace(
            self.deal.receipt.value,
            session_id=self.terms.digest,
            number=len(self.issued) + 1,
            previous_digest=before.digest if before else b"",
            request_id=ask.value.header.request_id,
            ask_digest=ask.digest,
            quote_digest=self.quote.digest,
            charge=charge,
            session_spent=(before.value.session_spent if before else 0) + charge,
            backing=Backing.CREDIT,
            issuer=self.payer.public_key,
            finish_time=NOW + timedelta(seconds=len(self.issued)),
        )
        signed = seal(replace(receipt, **changes), signer=self.node)
        self.issued.append(signed)
        return signed


def request_id(number: int) -> RequestId:
    return RequestId(number.to_bytes(16, "big"))
