"""The terms of sessions (spec section 3.3): what the card does not offer opens nothing."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from consilience.v1 import payment_pb2, tariff_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance import envelopes
from consilience_conformance.callers import Caller
from consilience_conformance.checks import Check
from consilience_conformance.needs import Needs
from consilience_conformance.patience import patiently
from consilience_conformance.payers import Account, Payer
from consilience_conformance.payment_methods import OPEN
from consilience_conformance.purses import Offer
from consilience_conformance.rules.answers import card_of
from consilience_conformance.rules.deals import terms_sent
from consilience_conformance.rules.payments import Signed
from consilience_conformance.rules.refusals import names_unsupported, refused, was_accepted
from consilience_conformance.rules.sessions import unchanged
from consilience_conformance.stage import Stage
from consilience_conformance.transcripts import Transcript
from consilience_conformance.verdicts import Finding

_OPENED = ("a-session-opens",)

_MOST = 2**63 - 1

Terms = payment_pb2.SessionTerms


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    """Terms on their way to be spoilt, and a deposit that may go with them.

    Attributes:
        payer: Who sends them.
        offer: Of the card.
        terms: To be changed.
        deposit: To be made; 0: none.
    """

    payer: Payer
    offer: Offer
    terms: Terms
    deposit: int = 0


def _set(name: str, value: Callable[[_Draft], object]) -> Callable[[_Draft], None]:
    return lambda draft: setattr(draft.terms, name, value(draft))


def _other_asset(draft: _Draft) -> str:
    return next(name for name in ("NIL/0", "NIL/1") if name not in draft.offer.rail.assets)


def _to_another_node(draft: _Draft) -> None:
    """Names another node as payee, and as issuer where that is the payee."""
    other = Caller.new().key
    if draft.terms.issuer == draft.terms.payee:
        draft.terms.issuer = other
    draft.terms.payee = other


def _in_escrow(draft: _Draft) -> None:
    """Puts somebody behind the session of whom the card does not say a word."""
    draft.terms.backing = tariff_pb2.BACKING_ESCROW
    draft.terms.issuer = Caller.new().key
    draft.terms.credit_limit = 0


def _on_credit_above(draft: _Draft) -> None:
    """Asks for a unit more of credit than the rail lends; where it lends none, for a unit."""
    draft.terms.backing = tariff_pb2.BACKING_CREDIT
    draft.terms.issuer = draft.payer.caller.key
    draft.terms.credit_limit = draft.offer.rail.max_credit + 1


TERMS: dict[str, tuple[str, Callable[[_Draft], None]]] = {
    "a-short-salt": ("FIELD_INVALID", _set("salt", lambda draft: draft.terms.salt[:-1])),
    "no-backing": ("FIELD_INVALID", _set("backing", lambda _: tariff_pb2.BACKING_UNSPECIFIED)),
    "another-issuer": ("FIELD_INVALID", _set("issuer", lambda _: Caller.new().key)),
    "another-payee": ("AUDIENCE_WRONG", _to_another_node),
    "an-asset-that-no-rail-moves": ("TERMS_REFUSED", _set("asset", _other_asset)),
    "a-rail-that-there-is-not": ("TERMS_REFUSED", _set("rail_id", lambda _: "no-such-rail")),
    "another-network": ("TERMS_REFUSED", _set("network", lambda draft: f"{draft.offer.rail.network}/another")),
    "escrow-of-nobody": ("TERMS_REFUSED", _in_escrow),
    "more-credit-than-is-lent": ("TERMS_REFUSED", _on_credit_above),
}
"""What can be wrong with terms that are otherwise offered, and the reason."""

_FIELDS = {
    "an-asset-that-no-rail-moves": "asset",
    "a-rail-that-there-is-not": "rail_id",
    "another-network": "network",
}
"""The field that a refusal of terms names; of those not listed here it depends on the card."""

_ENVELOPES: dict[str, tuple[str, Callable[[SignedEnvelope, Payer], SignedEnvelope]]] = {
    "of-another-type": (
        "PAYLOAD_TYPE_WRONG",
        lambda envelope, payer: envelopes.seal_bytes(
            envelope.payload, payload_type="consilience.v1.Voucher", seed=payer.caller.seed
        ),
    ),
    "without-signature": ("SIGNATURE_MISSING", lambda envelope, _: _with_signature(envelope, b"")),
    "with-another-signature": ("SIGNATURE_INVALID", lambda envelope, _: _with_signature(envelope, bytes(64))),
    "signed-by-another": (
        "SIGNER_WRONG",
        lambda envelope, _: Caller.new().seal(Terms.FromString(envelope.payload)),
    ),
}
"""What can be wrong with the envelope of terms, and the reason."""


def _with_signature(envelope: SignedEnvelope, signature: bytes) -> SignedEnvelope:
    copy = SignedEnvelope()
    copy.CopyFrom(envelope)
    copy.signature = signature
    return copy


def _draft(payer: Payer) -> _Draft:
    """Returns good terms: prepaid where the card offers that, so that a change of one field breaks one rule."""
    offer = payer.offer()
    backing = offer.backings[-1]
    credit = offer.rail.max_credit if backing == tariff_pb2.BACKING_CREDIT else 0
    return _Draft(payer=payer, offer=offer, terms=payer.terms(offer, backing=backing, amount=min(credit, 1000)))


async def _spoil_terms(stage: Stage) -> None:
    payer = Payer(stage)
    good = _draft(payer)
    await payer.call_open("control-before", payer.seal(good.terms))
    for name, (_, change) in TERMS.items():
        draft = _draft(payer)
        change(draft)
        envelope = payer.seal(draft.terms)
        await payer.call_open(f"defect-{name}", envelope)
        await payer.state(f"state-{name}", _account(envelope))
    for name, (_, reseal) in _ENVELOPES.items():
        envelope = payer.seal(_draft(payer).terms)
        await payer.call_open(f"defect-{name}", reseal(envelope, payer))
        await payer.state(f"state-{name}", _account(envelope))
    foreign = Payer(stage, caller=stage.stranger())
    envelope = foreign.seal(_draft(foreign).terms)
    await payer.call_open("defect-of-another-payer", envelope)
    await foreign.state("state-of-another-payer", _account(envelope))
    await payer.call_open("control-after", payer.seal(_draft(payer).terms))


def _account(envelope: SignedEnvelope) -> Account:
    terms = Signed(envelope=envelope, value=Terms.FromString(envelope.payload))
    return Account(terms=terms, amount=0)


def _judge_spoilt_terms(seen: Transcript) -> Iterator[Finding]:
    yield from was_accepted(seen["control-before"], requirement="PAY-SES-005")
    reasons = {name: reason for name, (reason, _) in (*TERMS.items(), *_ENVELOPES.items())}
    for name, reason in {**reasons, "of-another-payer": "SIGNER_WRONG"}.items():
        yield from refused(seen[f"defect-{name}"], reason, requirement="PAY-SES-005")
        yield from refused(seen[f"state-{name}"], "SESSION_UNKNOWN", requirement="PAY-SES-005")
    for name, field in {**_FIELDS, **_fields_by_the_card(seen)}.items():
        yield from names_unsupported(seen[f"defect-{name}"], field, requirement="PAY-SES-005")
    yield from was_accepted(seen["control-after"], requirement="PAY-SES-005")


def _fields_by_the_card(seen: Transcript) -> Mapping[str, str]:
    """Returns the fields that are named where the backing is looked at first, and what belongs to it after that."""
    terms = terms_sent(seen["control-before"])
    rail = next(one for one in card_of(seen)[1].rails if terms is not None and one.id == terms.value.rail_id)
    escrow, credit = (one in rail.backings for one in (tariff_pb2.BACKING_ESCROW, tariff_pb2.BACKING_CREDIT))
    return {
        "escrow-of-nobody": "issuer" if escrow else "backing",
        "more-credit-than-is-lent": "credit_limit" if credit else "backing",
    }


async def _spoil_deposits(stage: Stage) -> None:
    """Asks for deposits that are not within the rail's bounds, of a session on credit, and of one that is closed."""
    payer = Payer(stage)
    offer = payer.offer(backing=tariff_pb2.BACKING_PREPAID)
    rail = offer.rail
    good = max(1, rail.min_deposit)
    account = _account(payer.seal(payer.terms(offer, backing=tariff_pb2.BACKING_PREPAID, amount=good)))
    await _deposit(payer, "control-before", account, good)
    await payer.state("before", account)
    if rail.min_deposit > 1:
        await _deposit(payer, "defect-below-the-least", account, rail.min_deposit - 1)
    if rail.max_deposit:
        await _deposit(payer, "defect-above-the-most", account, rail.max_deposit + 1)
        await _deposit(payer, "defect-far-above-the-most", account, _MOST)
        await _deposit(payer, "at-the-most", account, rail.max_deposit)
    await payer.state("after", account)
    await _on_credit(payer, good)
    await payer.close("close", account)
    await _deposit(payer, "of-a-closed-session", account, _MOST)
    await payer.call_open("closed", account.terms.envelope)


async def _on_credit(payer: Payer, amount: int) -> None:
    found = next((one for one in payer.offers if tariff_pb2.BACKING_CREDIT in one.backings), None)
    if found is not None:
        account = await payer.open("open-on-credit", offer=found, amount=1, backing=tariff_pb2.BACKING_CREDIT)
        await _deposit(payer, "defect-on-credit", account, amount)


async def _deposit(payer: Payer, name: str, account: Account, amount: int) -> None:
    await payer.call_open(name, account.terms.envelope, deposit_id=secrets.token_bytes(16), deposit=amount)


def _judge_spoilt_deposits(seen: Transcript) -> Iterator[Finding]:
    yield from was_accepted(seen["control-before"], requirement="PAY-SES-005")
    for exchange in seen.named("defect-"):
        yield from refused(exchange, "DEPOSIT_INVALID", requirement="PAY-SES-005")
    for exchange in seen.named("at-the-most"):
        yield from was_accepted(exchange, requirement="PAY-SES-005")
    yield from unchanged(seen["before"], seen["after"], requirement="PAY-SES-005")
    yield from refused(seen["of-a-closed-session"], "SESSION_CLOSED", requirement="PAY-SES-005")
    yield from was_accepted(seen["closed"], requirement="PAY-SES-005")


async def _spoil_more_and_more(stage: Stage) -> None:
    """Breaks the last step of the table that can be broken in new terms, then the one before it too, and so on."""
    payer = Payer(stage)
    draft = _draft(payer)
    terms = draft.terms
    amount = _MOST if draft.offer.backings[-1] == tariff_pb2.BACKING_PREPAID and draft.offer.rail.max_deposit else 0
    deposit_id = secrets.token_bytes(16) if amount else b""

    async def send(name: str, envelope: SignedEnvelope) -> None:
        await payer.call_open(f"from-{name}-on", envelope, deposit_id=deposit_id, deposit=amount)

    if amount:
        await send("deposit", payer.seal(terms))
    _on_credit_above(draft)
    await send("credit", payer.seal(terms))
    terms.network += "/another"
    await send("network", payer.seal(terms))
    terms.payee = Caller.new().key
    await send("payee", payer.seal(terms))
    other = Caller.new()
    terms.payer = other.key
    terms.issuer = other.key
    await send("payer", other.seal(terms))
    terms.salt = terms.salt[:-1]
    await send("fields", other.seal(terms))
    stranger = Caller.new().seal(terms)
    await send("signer", stranger)
    await send("signature", _with_signature(stranger, bytes(64)))
    await send("no-signature", _with_signature(stranger, b""))
    stranger.payload_type = "consilience.v1.Voucher"
    await send("type", stranger)

    def misdirected() -> payment_pb2.OpenSessionRequest:
        call = payment_pb2.OpenSessionCall(header=stage.header(OPEN), terms=stranger)
        call.header.audience = Caller.new().key
        return payment_pb2.OpenSessionRequest(call=payer.seal(call))

    await patiently(stage, "from-header-on", OPEN, misdirected)
    await payer.call_open("control-after", payer.seal(_draft(payer).terms))


_FIRST = {
    "deposit": "DEPOSIT_INVALID",
    "credit": "TERMS_REFUSED",
    "network": "TERMS_REFUSED",
    "payee": "AUDIENCE_WRONG",
    "payer": "SIGNER_WRONG",
    "fields": "FIELD_INVALID",
    "signer": "SIGNER_WRONG",
    "signature": "SIGNATURE_INVALID",
    "no-signature": "SIGNATURE_MISSING",
    "type": "PAYLOAD_TYPE_WRONG",
    "header": "AUDIENCE_WRONG",
}


def _judge_order(seen: Transcript) -> Iterator[Finding]:
    for exchange in seen.named("from-"):
        name = exchange.name.removeprefix("from-").removesuffix("-on")
        yield from refused(exchange, _FIRST[name], requirement="PAY-SES-005")
    yield from was_accepted(seen["control-after"], requirement="PAY-SES-005")


CHECKS = (
    Check(
        name="terms-that-are-not-offered-are-refused",
        title="Terms that break a rule, or that the card does not offer, are refused, and open nothing.",
        requirements=("PAY-SES-005",),
        drive=_spoil_terms,
        judge=_judge_spoilt_terms,
        after=_OPENED,
        needs=Needs.PRICE,
        profile="pay",
    ),
    Check(
        name="deposits-beyond-the-rail-are-refused",
        title="A deposit outside the bounds of the rail, on credit, or of a closed session is refused.",
        requirements=("PAY-SES-005",),
        drive=_spoil_deposits,
        judge=_judge_spoilt_deposits,
        after=_OPENED,
        needs=Needs.PRICE,
        profile="pay",
    ),
    Check(
        name="first-defect-of-terms-is-the-refusal",
        title="Of several defects of a session that is to be opened, the one that the table names first is told.",
        requirements=("PAY-SES-005",),
        drive=_spoil_more_and_more,
        judge=_judge_order,
        after=_OPENED,
        needs=Needs.PRICE,
        profile="pay",
    ),
)
