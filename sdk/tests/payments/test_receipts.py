import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from consilience import asks
from consilience._wire import envelopes
from consilience.envelopes import Signed
from consilience.errors import ProtocolError
from consilience.identity import KeyPair
from consilience.payments import (
    Meter,
    Quote,
    Receipt,
    SessionTerms,
    check_meter,
    check_quote,
    check_receipt,
    funding_commitment,
)
from consilience.tariffs import Backing, PricedUnit, Tariff, UnitPrice
from consilience.units import Digest, Sequence
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
        receipt = envelopes.seal(replace(self.receipt.value, **changed), signer=self.chain.node)
        check_receipt(receipt, quote=self.quote, ask=self.ask, answer=self.answer, terms=self.terms)


def _quote(chain: Chain, **changed: Any) -> Quote:
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


@pytest.fixture
def deal() -> Deal:
    chain = make_chain()
    node, asker = chain.node, chain.asker
    quote = envelopes.seal(_quote(chain), signer=node)
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


def test_a_receipt_that_fits_is_taken(deal: Deal) -> None:
    deal.check()


@pytest.mark.parametrize(
    "changed",
    [
        {"session_id": b"x" * 32},
        {"payer": b"x" * 32},
        {"asset": "USD/6"},
        {"backing": Backing.ESCROW},
        {"issuer": b"x" * 32},
        {"request_id": b"x" * 16},
        {"ask_digest": b"x" * 32},
        {"quote_digest": b"x" * 32},
        {"answer_digest": b"x" * 32},
        {"usage": asks.Usage(output_bytes=11)},
        {"outcome": asks.Outcome.TRUNCATED},
        {"charge": 11, "session_spent": 11},
        {"charge": 0, "session_spent": 0},  # the answer says that it is charged
        {"session_spent": 9},
        {"session_refunded": 1},
        {"previous_digest": b"x" * 32},
    ],
)
def test_a_receipt_with_one_defect_is_refused(deal: Deal, changed: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        deal.check(**changed)


def test_a_failure_without_text_costs_nothing(deal: Deal) -> None:
    failed = envelopes.seal(
        replace(deal.answer.value, outcome=asks.Outcome.FAILED, transcript_bytes=0), signer=deal.chain.node
    )
    charged = envelopes.seal(
        replace(deal.receipt.value, outcome=asks.Outcome.FAILED, answer_digest=failed.digest), signer=deal.chain.node
    )
    with pytest.raises(ProtocolError, match="0 at most"):
        check_receipt(charged, quote=deal.quote, ask=deal.ask, answer=failed, terms=deal.terms)


def test_receipts_follow_each_other(deal: Deal) -> None:
    second = replace(deal.receipt.value, number=2, previous_digest=deal.receipt.digest, session_spent=20)

    def check(receipt: Receipt) -> None:
        sealed = envelopes.seal(receipt, signer=deal.chain.node)
        check_receipt(sealed, quote=deal.quote, ask=deal.ask, answer=deal.answer, terms=deal.terms, before=deal.receipt)

    check(second)
    for wrong in ({"number": 3}, {"previous_digest": b"x" * 32}, {"session_spent": 10}):
        with pytest.raises(ProtocolError):
            check(replace(second, **wrong))


def _meter(deal: Deal, **changed: Any) -> Signed[Meter]:
    fields: dict[str, Any] = {
        "node_id": deal.chain.node.public_key,
        "signing_key": deal.chain.node.public_key,
        "ask_digest": deal.ask.digest,
        "quote_digest": deal.quote.digest,
        "session_id": deal.terms.digest,
        "usage": asks.Usage(output_bytes=len(TEXT), output_tokens=2),
        "transcript_digest": Digest(hashlib.sha256(TEXT.encode()).digest()),
        "issue_time": NOW,
        "charge": 10,
        "required_cumulative": 15,
    }
    return envelopes.seal(Meter(**(fields | changed)), signer=deal.chain.node)


def _check_meter(deal: Deal, meter: Signed[Meter], before: Meter | None = None) -> None:
    transcript = asks.Transcript()
    one, two = Sequence(1), Sequence(2)
    transcript.append(asks.AnswerEvent(sequence=one, event=asks.Accepted(ask_digest=deal.ask.digest, accept_time=NOW)))
    transcript.append(
        asks.AnswerEvent(sequence=two, event=asks.TextDelta(first_sequence=two, text=TEXT, output_tokens=2))
    )
    check_meter(
        meter, quote=deal.quote, ask=deal.ask, transcript=transcript, session_id=deal.terms.digest, before=before
    )


def test_a_meter_that_tells_what_was_read_is_taken(deal: Deal) -> None:
    _check_meter(deal, _meter(deal))


@pytest.mark.parametrize(
    "changed",
    [
        {"ask_digest": b"x" * 32},
        {"quote_digest": b"x" * 32},
        {"session_id": b"x" * 32},
        {"usage": asks.Usage(output_bytes=11, output_tokens=2)},
        {"usage": asks.Usage(output_bytes=10, output_tokens=3)},
        {"transcript_digest": b"x" * 32},
        {"charge": 11},
        {"charge": 9},
    ],
)
def test_a_meter_with_one_defect_is_refused(deal: Deal, changed: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError, match="PAY-MTR-003"):
        _check_meter(deal, _meter(deal, **changed))


def test_a_count_that_falls_is_noticed(deal: Deal) -> None:
    before = _meter(deal, usage=asks.Usage(output_bytes=5, input_tokens=7)).value
    with pytest.raises(ProtocolError, match="fallen"):
        _check_meter(deal, _meter(deal), before=before)


def test_a_funding_commitment_is_a_chain_over_references() -> None:
    one, two = b"1" * 32, b"2" * 32
    first = hashlib.sha256(bytes(32) + one).digest()
    assert funding_commitment([]) == b""
    assert funding_commitment([one, two]) == hashlib.sha256(first + two).digest() != funding_commitment([two, one])


Change = Callable[[Chain], dict[str, Any]]


@pytest.mark.parametrize(
    "change",
    [
        lambda _: {"payer": b"x" * 32},
        lambda _: {"skill_id": "other"},
        lambda _: {"model_id": "other"},
        lambda _: {"card_digest": b"x" * 32},
        lambda _: {"signing_key": KeyPair(b"x" * 32).public_key},
        lambda _: {"node_id": b"x" * 32},
        lambda _: {"window": 0},
        lambda _: {"expire_time": NOW + timedelta(hours=2)},
        lambda _: {"issue_time": NOW + timedelta(minutes=2), "expire_time": NOW + timedelta(minutes=3)},
        lambda _: {"issue_time": NOW - timedelta(minutes=3), "expire_time": NOW - timedelta(minutes=2)},
        lambda _: {"tariff": replace(TARIFF, asset="USD/6")},
        lambda _: {"tariff": replace(TARIFF, prices=())},
    ],
)
def test_a_quote_that_was_not_asked_for_is_refused(deal: Deal, change: Change) -> None:
    value = _quote(deal.chain, **change(deal.chain))
    signer = KeyPair(b"x" * 32) if value.signing_key == KeyPair(b"x" * 32).public_key else deal.chain.node
    with pytest.raises(ProtocolError, match="PAY-QUO-004"):
        _check_quote(deal, envelopes.seal(value, signer=signer), now=NOW)


def test_a_quote_that_was_asked_for_is_taken_until_it_expires(deal: Deal) -> None:
    _check_quote(deal, deal.quote, now=NOW)
    _check_quote(deal, deal.quote, now=NOW + timedelta(minutes=5))
    with pytest.raises(ProtocolError):
        _check_quote(deal, deal.quote, now=NOW + timedelta(minutes=5, microseconds=1))


def _check_quote(deal: Deal, quote: Signed[Quote], *, now: datetime) -> None:
    assert now.tzinfo is UTC
    check_quote(
        quote,
        card=deal.chain.card,
        payer=deal.chain.asker.public_key,
        skill_id="computing.define",
        asset="TEST/0",
        now=now,
    )
