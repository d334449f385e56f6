import hashlib
from dataclasses import replace
from typing import Any

import pytest

from consilience import asks
from consilience._wire import envelopes
from consilience.envelopes import Signed
from consilience.errors import ProtocolError
from consilience.payments import Meter, Receipt, check_meter, check_receipt, check_refund, funding_commitment
from consilience.tariffs import Backing
from consilience.units import Digest, Sequence
from sdk.tests._wire.chains import NOW
from sdk.tests.payments.deals import TEXT, Deal


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


def _refund(deal: Deal, **changed: Any) -> Signed[Receipt]:
    fields: dict[str, Any] = {
        "number": 2,
        "previous_digest": deal.receipt.digest,
        "charge": 4,
        "session_refunded": 4,
        "refund_of": deal.receipt.digest,
    }
    return envelopes.seal(replace(deal.receipt.value, **(fields | changed)), signer=deal.chain.node)


def _check_refund(deal: Deal, refund: Signed[Receipt], *earlier: Signed[Receipt]) -> None:
    before = (deal.receipt, *earlier)
    check_receipt(refund, quote=deal.quote, ask=deal.ask, answer=deal.answer, terms=deal.terms, before=before[-1])
    check_refund(refund, earlier=before)


def test_a_refund_counts_apart_from_what_is_spent(deal: Deal) -> None:
    first = _refund(deal)
    _check_refund(deal, first)
    rest = _refund(deal, number=3, previous_digest=first.digest, charge=6, session_refunded=10)
    _check_refund(deal, rest, first)


@pytest.mark.parametrize(
    "changed",
    [
        {"charge": 11, "session_refunded": 11},
        {"charge": 0, "session_refunded": 0},
        {"charge": -1, "session_refunded": -1},
        {"session_spent": 14},
        {"session_spent": 6},
        {"session_refunded": 0},
        {"refund_of": b"x" * 32},
    ],
)
def test_a_refund_with_one_defect_is_refused(deal: Deal, changed: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError, match="PAY-RCP-003"):
        _check_refund(deal, _refund(deal, **changed))


@pytest.mark.parametrize(
    "changed",
    [
        {"session_id": b"x" * 32},
        {"payer": b"x" * 32},
        {"asset": "USD/6"},
        {"backing": Backing.ESCROW},
        {"issuer": b"x" * 32},
        {"ask_digest": b"x" * 32},
        {"usage": asks.Usage(output_bytes=11)},
    ],
)
def test_a_refund_that_is_not_for_the_charge_is_refused(deal: Deal, changed: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError, match="something else than the charge"):
        check_refund(_refund(deal, **changed), earlier=[deal.receipt])


def test_no_more_is_given_back_than_was_charged_however_often(deal: Deal) -> None:
    first = _refund(deal)
    more = _refund(deal, number=3, previous_digest=first.digest, charge=7, session_refunded=11)
    with pytest.raises(ProtocolError, match="7 are given back of 6"):
        _check_refund(deal, more, first)


def test_a_refund_of_a_refund_is_refused(deal: Deal) -> None:
    first = _refund(deal)
    again = _refund(deal, number=3, previous_digest=first.digest, refund_of=first.digest, session_refunded=8)
    with pytest.raises(ProtocolError, match="names no charge"):
        _check_refund(deal, again, first)


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
