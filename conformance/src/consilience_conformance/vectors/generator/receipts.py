"""Makes receipts.json: all receipts of a session, with what they are for, as its payer checks them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from consilience.v1 import ask_pb2, payment_pb2, tariff_pb2
from consilience.v1.ask_pb2 import Answer, Ask
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience.v1.payment_pb2 import Receipt
from consilience_conformance.envelopes import envelope_digest, seal
from consilience_conformance.vectors.generator import messages, payments
from consilience_conformance.vectors.generator.actors import (
    ASKER,
    NODE,
    OTHER_NODE,
    SIGNING_KEY,
    STRANGER,
    Actor,
    fixed_bytes,
    timestamp,
)
from consilience_conformance.vectors.generator.layout import BugType, Case, Group, Note, Refused, VectorFile

_NOTES = {
    "Plain": Note(bug_type=BugType.BASIC, description="Receipts that are in order."),
    "Refund": Note(bug_type=BugType.WRONG_AMOUNT, description="What is given back is no charge, and counts apart."),
    "Key": Note(
        bug_type=BugType.AUTH_BYPASS, description="The receipt is not signed by a key that is the node's to use."
    ),
    "Binding": Note(bug_type=BugType.AUTH_BYPASS, description="The receipt is for something else than it comes with."),
    "Session": Note(bug_type=BugType.AUTH_BYPASS, description="The receipt is of another session than its terms."),
    "Usage": Note(bug_type=BugType.MISSING_CHECK, description="The receipt repeats the answer otherwise than it is."),
    "Charge": Note(bug_type=BugType.WRONG_AMOUNT, description="More is charged than is due, or the answer denies it."),
    "Chain": Note(bug_type=BugType.DATA_LOSS, description="A receipt is missing, doubled or of another chain."),
    "Sum": Note(bug_type=BugType.WRONG_AMOUNT, description="The receipts do not add up."),
}
_ANOTHER = hashlib.sha256(b"another").digest()
_LONG = 353
"""Bytes of an answer that costs 5 + 333 · 3 / 10 = 104.9, which is 105."""

_Change = Callable[[Receipt], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Paid:
    """What a receipt is for.

    Attributes:
        ask: As it was signed.
        answer: As it was signed.
        charge: What the usage costs, or less.
    """

    ask: SignedEnvelope
    answer: SignedEnvelope
    charge: int

    @property
    def said(self) -> Answer:
        """The answer, opened."""
        return Answer.FromString(self.answer.payload)


def make() -> VectorFile:
    """Returns the file."""
    envelopes = {
        "card": messages.sealed_card(),
        "quote": payments.sealed_quote(),
        "terms": payments.sealed_terms(),
    }
    return VectorFile(
        name="receipts",
        subject="Receipts of a session: each fits what it is for, and follows the one before.",
        spec="docs/spec/3-payments.md",
        notes=_NOTES,
        groups=[
            Group(
                type="ReceiptChain",
                comment="A session on credit, under one quote: 5 for an answer, and 3 for 10 bytes beyond 20",
                shared={name: _hex(envelope) for name, envelope in envelopes.items()},
                cases=[
                    *_valid(),
                    *_refunds(),
                    *_wrong_keys(),
                    *_wrong_names(),
                    *_wrong_charges(),
                    *_wrong_chains(),
                    *_wrong_sums(),
                ],
            )
        ],
    )


def _hex(envelope: SignedEnvelope) -> str:
    return envelope.SerializeToString(deterministic=True).hex()


def _paid(
    name: str,
    *,
    size: int = 33,
    charge: int,
    outcome: ask_pb2.Outcome.ValueType = ask_pb2.OUTCOME_ANSWERED,
    max_charge: int | None = None,
    charged: bool | None = None,
) -> _Paid:
    """Returns a paid ask and its answer.

    Args:
        name: Tells it from others.
        size: Of the text, in bytes; 33 cost 9.
        charge: What it is charged.
        outcome: How it ended.
        max_charge: The limit that the ask sets itself.
        charged: What the answer says of the charge, where that is not the truth.
    """
    ask = messages.ask(card_digest=envelope_digest(messages.sealed_card()))
    ask.header.request_id = fixed_bytes(f"request id of {name}", size=16)
    ask.payment.quote_digest = envelope_digest(payments.sealed_quote())
    ask.payment.session_id = envelope_digest(payments.sealed_terms())
    if max_charge is not None:
        ask.limits.max_charge = max_charge
    signed_ask = seal(ask, seed=ASKER.seed)
    text = ("1234567890" * (size // 10 + 1))[:size]
    log = messages.log_before_final(ask_digest=envelope_digest(signed_ask), pieces=[text])[:2]
    answer = messages.answer(card_digest=ask.card_digest, ask_digest=envelope_digest(signed_ask), log=log)
    answer.outcome = outcome
    if outcome == ask_pb2.OUTCOME_FAILED:
        answer.stop_reason = ask_pb2.STOP_REASON_ENGINE_FAILURE
    answer.charged = charge > 0 if charged is None else charged
    return _Paid(ask=signed_ask, answer=seal(answer, seed=SIGNING_KEY.seed), charge=charge)


def _receipt(
    paid: _Paid,
    *,
    after: SignedEnvelope | None = None,
    signer: Actor = SIGNING_KEY,
    refund: tuple[SignedEnvelope, int] | None = None,
    change: _Change = lambda _: None,
) -> SignedEnvelope:
    """Returns a receipt.

    Args:
        paid: What it is for.
        after: The receipt before.
        signer: Who signs it.
        refund: The receipt that it gives back of, and how much.
        change: What to do to it before it is signed.
    """
    before = Receipt.FromString(after.payload) if after is not None else Receipt()
    ask, answer, terms = Ask.FromString(paid.ask.payload), paid.said, _terms()
    charge = refund[1] if refund else paid.charge
    receipt = Receipt(
        node_id=NODE.public_key,
        signing_key=SIGNING_KEY.public_key,
        session_id=envelope_digest(payments.sealed_terms()),
        number=before.number + 1,
        previous_digest=envelope_digest(after) if after is not None else b"",
        payer=terms.payer,
        request_id=ask.header.request_id,
        quote_digest=ask.payment.quote_digest,
        ask_digest=envelope_digest(paid.ask),
        answer_digest=envelope_digest(paid.answer),
        usage=answer.usage,
        asset=terms.asset,
        charge=charge,
        session_spent=before.session_spent + (0 if refund else charge),
        session_authorized=payments.CREDIT_LIMIT,
        session_refunded=before.session_refunded + (charge if refund else 0),
        outcome=answer.outcome,
        start_time=answer.accept_time,
        finish_time=timestamp(messages.FINISH_TIME + timedelta(days=1)) if refund else answer.finish_time,
        backing=terms.backing,
        issuer=terms.issuer,
        refund_of=envelope_digest(refund[0]) if refund else b"",
    )
    change(receipt)
    return seal(receipt, seed=signer.seed)


def _terms() -> payment_pb2.SessionTerms:
    return payment_pb2.SessionTerms.FromString(payments.sealed_terms().payload)


def _setting(field: str, value: object) -> _Change:
    return lambda receipt: setattr(receipt, field, value)


def _case(
    comment: str,
    flag: str,
    receipts: Sequence[tuple[_Paid, SignedEnvelope]],
    requirement: str = "",
    reason: str = "",
) -> Case:
    exchanges = [
        {"ask": _hex(paid.ask), "answer": _hex(paid.answer), "receipt": _hex(receipt)} for paid, receipt in receipts
    ]
    if requirement:
        refused = Refused(requirement=requirement, reason=reason)
        return Case(comment=comment, flags=[flag], inputs={"exchanges": exchanges}, refused=refused)
    last = Receipt.FromString(receipts[-1][1].payload)
    sums = {"sessionSpent": str(last.session_spent), "sessionRefunded": str(last.session_refunded)}
    return Case(comment=comment, flags=[flag], inputs={"exchanges": exchanges, **sums})


def _one(
    comment: str, flag: str, requirement: str = "", *, paid: _Paid | None = None, change: _Change = lambda _: None
) -> Case:
    """Returns a test of one receipt, changed."""
    paid = paid or _paid("the ask", charge=9)
    return _case(comment, flag, [(paid, _receipt(paid, change=change))], requirement)


def _chain(*paid: _Paid) -> list[tuple[_Paid, SignedEnvelope]]:
    """Returns receipts that follow each other."""
    found: list[tuple[_Paid, SignedEnvelope]] = []
    for one in paid:
        found.append((one, _receipt(one, after=found[-1][1] if found else None)))
    return found


def _three() -> list[tuple[_Paid, SignedEnvelope]]:
    return _chain(_paid("one", charge=9), _paid("two", size=40, charge=11), _paid("three", size=10, charge=5))


def _valid() -> Iterator[Case]:
    yield _one("one answer of 33 bytes for 9", "Plain")
    yield _case("9, 11 and 5", "Plain", _three())
    yield _one("charged less than it costs", "Charge", paid=_paid("cheap", charge=3))
    yield _one("not charged", "Charge", paid=_paid("gift", charge=0))
    failed = ask_pb2.OUTCOME_FAILED
    yield _one("failed without text", "Charge", paid=_paid("silent", size=0, charge=0, outcome=failed))
    yield _one("failed with text, and charged for it", "Charge", paid=_paid("broken", charge=9, outcome=failed))
    at_most = _paid("long", size=_LONG, charge=100)
    yield _one("costs 105, and 100 by the quote", "Charge", paid=at_most)
    yield _one("costs 9, and 7 by the ask", "Charge", paid=_paid("modest", charge=7, max_charge=7))


def _refunds() -> Iterator[Case]:
    one, two = _three()[:2]

    def refund(amount: int, *, after: SignedEnvelope, change: _Change = lambda _: None) -> tuple[_Paid, SignedEnvelope]:
        return one[0], _receipt(one[0], after=after, refund=(one[1], amount), change=change)

    whole = refund(9, after=two[1])
    yield _case("9 and 11, and 9 given back", "Refund", [one, two, whole])
    part = refund(4, after=one[1])
    yield _case("9, of which 4 and 5 are given back", "Refund", [one, part, refund(5, after=part[1])])
    next_one = (two[0], _receipt(two[0], after=part[1]))
    yield _case("charged again after a refund", "Refund", [one, part, next_one])
    sums = "PAY-RCP-003"
    spent = refund(4, after=one[1], change=_setting("session_spent", 13))
    yield _case("a refund that counts as spent", "Refund", [one, spent], sums)
    less = refund(4, after=one[1], change=_setting("session_spent", 5))
    yield _case("a refund that is taken from what is spent", "Refund", [one, less], sums)
    silent = refund(4, after=one[1], change=_setting("session_refunded", 0))
    yield _case("a refund that does not count", "Refund", [one, silent], sums)
    yield _case("a refund above the charge", "Refund", [one, refund(10, after=one[1])], sums)
    yield _case("refunds above the charge together", "Refund", [one, part, refund(6, after=part[1])], sums)
    unknown = refund(4, after=one[1], change=_setting("refund_of", _ANOTHER))
    yield _case("a refund of an unknown receipt", "Refund", [one, unknown], sums)
    again = _receipt(one[0], after=part[1], refund=(part[1], 1))
    yield _case("a refund of a refund", "Refund", [one, part, (one[0], again)], sums)
    nothing = refund(0, after=one[1])
    yield _case("a refund of nothing", "Refund", [one, nothing], sums)
    other = two[0], _receipt(two[0], after=two[1], refund=(one[1], 4))
    yield _case("a refund of one ask that names another", "Refund", [one, two, other], sums)


def _wrong_keys() -> Iterator[Case]:
    paid = _paid("the ask", charge=9)
    receipt = _receipt(paid)
    for name, actor in (("a stranger", STRANGER), ("the root key, which the card does not list", NODE)):
        forged = _receipt(paid, signer=actor, change=_setting("signing_key", actor.public_key))
        yield _case(f"signed by {name}", "Key", [(paid, forged)], "PAY-RCP-005")
    stolen = _receipt(paid, signer=STRANGER)
    yield _case("signed by another key than it names", "Key", [(paid, stolen)], "SIG-ENV-005", "SIGNER_WRONG")
    cheaper = Receipt.FromString(receipt.payload)
    cheaper.charge = cheaper.session_spent = 8
    tampered = SignedEnvelope(
        payload_type=receipt.payload_type,
        payload=cheaper.SerializeToString(deterministic=True),
        public_key=receipt.public_key,
        signature=receipt.signature,
    )
    yield _case("the charge changed after it was signed", "Key", [(paid, tampered)], "SIG-ENV-001", "SIGNATURE_INVALID")
    late = timestamp(messages.CARD_ISSUE_TIME + messages.KEY_LIFETIME + timedelta(microseconds=1))

    def finish(receipt: Receipt) -> None:
        receipt.finish_time.CopyFrom(late)

    yield _one("finished after its key expired", "Key", "PAY-RCP-005", change=finish)
    yield _one("of another node", "Key", "PAY-RCP-005", change=_setting("node_id", OTHER_NODE.public_key))


def _wrong_names() -> Iterator[Case]:
    for comment, field, value in (
        ("of another session", "session_id", _ANOTHER),
        ("of another payer", "payer", STRANGER.public_key),
        ("in another asset", "asset", "USD/6"),
        ("with another backing", "backing", tariff_pb2.BACKING_PREPAID),
        ("with another issuer", "issuer", NODE.public_key),
    ):
        yield _one(comment, "Session", "PAY-RCP-005", change=_setting(field, value))
    for comment, field, value in (
        ("for another request id", "request_id", _ANOTHER[:16]),
        ("for another ask", "ask_digest", _ANOTHER),
        ("under another quote", "quote_digest", _ANOTHER),
        ("for another answer", "answer_digest", _ANOTHER),
    ):
        yield _one(comment, "Binding", "PAY-RCP-005", change=_setting(field, value))
    one, other = _paid("one", charge=9), _paid("two", charge=9)
    yield _case("the receipt of another ask that cost as much", "Binding", [(one, _receipt(other))], "PAY-RCP-005")
    yield _one("with another outcome", "Usage", "PAY-RCP-005", change=_setting("outcome", ask_pb2.OUTCOME_TRUNCATED))

    def count(receipt: Receipt) -> None:
        receipt.usage.output_bytes += 1

    yield _one("with a byte more used", "Usage", "PAY-RCP-005", change=count)

    def wait(receipt: Receipt) -> None:
        receipt.usage.duration.nanos += 1_000_000

    yield _one("with a millisecond more used, which costs nothing", "Usage", "PAY-RCP-005", change=wait)


def _wrong_charges() -> Iterator[Case]:
    yield _one("10 for what costs 9", "Charge", "PAY-RCP-005", paid=_paid("dear", charge=10))
    above = _paid("long", size=_LONG, charge=101)
    yield _one("costs 105, and is charged 101 of 100 by the quote", "Charge", "PAY-RCP-005", paid=above)
    immodest = _paid("modest", charge=8, max_charge=7)
    yield _one("costs 9, and is charged 8 of 7 by the ask", "Charge", "PAY-RCP-005", paid=immodest)
    free = _paid("free", charge=5, max_charge=0)
    yield _one("charged 5 of 0 by the ask", "Charge", "PAY-RCP-005", paid=free)
    silent = _paid("silent", size=0, charge=5, outcome=ask_pb2.OUTCOME_FAILED)
    yield _one("failed without text, and charged", "Charge", "PAY-RCP-005", paid=silent)
    denied = _paid("denied", charge=9, charged=False)
    yield _one("charged, and the answer denies it", "Charge", "PAY-CHG-002", paid=denied)
    claimed = _paid("claimed", charge=0, charged=True)
    yield _one("not charged, and the answer says so", "Charge", "PAY-CHG-002", paid=claimed)


def _wrong_chains() -> Iterator[Case]:
    one, two, three = _three()
    chain = "PAY-RCP-002"
    yield _case("the first is missing", "Chain", [two, three], chain)
    yield _case("the second is missing", "Chain", [one, three], chain)
    yield _case("the first comes twice", "Chain", [one, one], chain)
    yield _case("the first two have changed places", "Chain", [two, one, three], chain)
    fork = three[0], _receipt(three[0], after=one[1])
    yield _case("two go on from the first", "Chain", [one, two, fork], chain)
    for comment, field, value in (
        ("a number is left out", "number", 3),
        ("names another before it", "previous_digest", _ANOTHER),
        ("names the hash of the one before it, and not its digest", "previous_digest", _plain_hash(one[1])),
    ):
        wrong = two[0], _receipt(two[0], after=one[1], change=_setting(field, value))
        yield _case(comment, "Chain", [one, wrong], chain)
    begun = _receipt(one[0], change=_setting("previous_digest", _ANOTHER))
    yield _case("the first names one before it", "Chain", [(one[0], begun)], chain)
    beginning = two[0], _receipt(two[0], after=one[1], change=_setting("previous_digest", b""))
    yield _case("the second names none before it", "Chain", [one, beginning], chain)


def _plain_hash(envelope: SignedEnvelope) -> bytes:
    return hashlib.sha256(envelope.payload).digest()


def _wrong_sums() -> Iterator[Case]:
    sums = "PAY-RCP-003"
    yield _one("the first adds one to the sum", "Sum", sums, change=_setting("session_spent", 10))
    yield _one("the first has a refund", "Sum", sums, change=_setting("session_refunded", 1))
    one, two, _ = _three()
    for comment, field, value in (
        ("the charge alone stands for the sum", "session_spent", 11),
        ("the sum of the first stays", "session_spent", 9),
        ("what is authorized stands for the sum", "session_spent", payments.CREDIT_LIMIT),
        ("a charge counts as a refund too", "session_refunded", 11),
    ):
        wrong = two[0], _receipt(two[0], after=one[1], change=_setting(field, value))
        yield _case(comment, "Sum", [one, wrong], sums)
