"""A deal with all that a receipt binds: quote, terms, ask, answer and receipt, each signed and fit for the others."""

import hashlib
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from consilience import asks
from consilience._wire import envelopes
from consilience.envelopes import Signed
from consilience.payments import Quote, Receipt, SessionTerms, check_receipt
from consilience.tariffs import Backing, PricedUnit, Tariff, UnitPrice
from consilience.units import Digest
from sdk.tests._wire.chains import NOW, Chain, make_chain

TEXT = "ten bytes."
TARIFF = Tariff(id="t", asset="TEST/0", prices=(UnitPrice(unit=PricedUnit.OUTPUT_BYTE, price=1),))


@dataclass(frozen=True)
class Deal:
    """All that a receipt binds."""

    chain: Chain
    quote: Signed[Quote]
    terms: Signed[SessionTerms]
    ask: Signed[asks.Ask]
    answer: Signed[asks.Answer]
    receipt: Signed[Receipt]

    def check(self, **changed: Any) -> None:
        """Checks the receipt with some fields changed."""
        receipt = envelopes.seal(replace(self.receipt.value, **changed), signer=self.chain.node)
        check_receipt(receipt, quote=self.quote, ask=self.ask, answer=self.answer, terms=self.terms)


def quote_with(chain: Chain, **changed: Any) -> Quote:
    """Returns what the node asks of the asker, with some fields changed."""
    fields: dict[str, Any] = {
        "node_id": chain.node.public_key,
        "signing_key": chain.node.public_key,
        "card_digest": chain.card.digest,
        "payer": chain.asker.public_key,
        "skill_id": "computing.define",
        "tariff": TARIFF,
        "window": 5,
        "max_charge": 40,
        "max_asks": 2,
        "total_max_charge": 80,
        "rail_ids": ("hold.v1",),
        "issue_time": NOW,
        "expire_time": NOW + timedelta(minutes=5),
    }
    return Quote(**(fields | changed))


def make_deal() -> Deal:
    """Returns the deal: ten bytes for 10."""
    chain = make_chain()
    node, asker = chain.node, chain.asker
    quote = envelopes.seal(quote_with(chain), signer=node)
    terms = envelopes.seal(
        SessionTerms(
            payer=asker.public_key,
            payee=node.public_key,
            asset="TEST/0",
            rail_id="hold.v1",
            network="test",
            backing=Backing.PREPAID,
            issuer=node.public_key,
            salt=b"s" * 16,
        ),
        signer=asker,
    )
    ask = envelopes.seal(
        replace(chain.ask.value, payment=asks.AskPayment(quote_digest=quote.digest, session_id=terms.digest)),
        signer=asker,
    )
    usage = asks.Usage(output_bytes=len(TEXT), output_tokens=2)
    answer = envelopes.seal(
        replace(
            chain.answer.value,
            ask_digest=ask.digest,
            outcome=asks.Outcome.ANSWERED,
            charged=True,
            usage=usage,
            transcript_bytes=len(TEXT),
            transcript_digest=Digest(hashlib.sha256(TEXT.encode()).digest()),
        ),
        signer=node,
    )
    receipt = envelopes.seal(
        Receipt(
            node_id=node.public_key,
            signing_key=node.public_key,
            session_id=terms.digest,
            number=1,
            payer=asker.public_key,
            request_id=ask.value.header.request_id,
            quote_digest=quote.digest,
            ask_digest=ask.digest,
            answer_digest=answer.digest,
            usage=usage,
            asset="TEST/0",
            outcome=asks.Outcome.ANSWERED,
            start_time=NOW,
            finish_time=NOW,
            backing=Backing.PREPAID,
            issuer=node.public_key,
            charge=10,
            session_spent=10,
            session_authorized=12,
        ),
        signer=node,
    )
    return Deal(chain, quote, terms, ask, answer, receipt)
