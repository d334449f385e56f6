"""The calls of payments (spec chapters 0 and 3): envelope, header and fields, wrong in all the ways of other calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message

from consilience.v1 import payment_pb2, tariff_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance import envelopes
from consilience_conformance.batches import Defect, fate_of
from consilience_conformance.breakages import Breakage, breakages
from consilience_conformance.cases import envelopes as bad_envelopes
from consilience_conformance.cases import headers as bad_headers
from consilience_conformance.cases.constraints import EARLIER, names_the_field
from consilience_conformance.checks import Check
from consilience_conformance.image import message_class
from consilience_conformance.needs import Needs
from consilience_conformance.patience import patiently
from consilience_conformance.payers import Account, Payer
from consilience_conformance.payment_methods import (
    ACKNOWLEDGE,
    CLOSE,
    CONFIRM,
    GET_QUOTE,
    GET_SESSION,
    LIST,
    OPEN,
    WITHDRAW,
)
from consilience_conformance.rules.fields import deep_field_findings
from consilience_conformance.rules.logs import read_log
from consilience_conformance.rules.payments import RESPONSES, receipt_of
from consilience_conformance.rules.refusals import refused, was_accepted
from consilience_conformance.rules.sessions import unchanged
from consilience_conformance.signed_calls import Method
from consilience_conformance.stage import Stage
from consilience_conformance.transcripts import Exchange, Transcript
from consilience_conformance.verdicts import Finding

_OPENED = ("a-session-opens",)

_ID = b"\1" * 16
_RULE = "ERR-FLD-001"


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentMethod(Method):
    """One of the methods of payments whose calls have a header.

    Attributes:
        carrier: The request, whose field `call` carries the envelope.
        make: Returns a call that keeps all rules, about a session in which nothing has happened.
        fate: What becomes of such a call: the reason of its refusal, or nothing: it is accepted.
    """

    carrier: type[Message]
    make: Callable[[Payer, Account], Message]
    fate: str = ""

    def request(self, envelope: SignedEnvelope) -> Message:
        """Returns the request that carries an envelope."""
        return self.carrier(call=envelope)


def _about(kind: type[Message], method: str, **fields: object) -> Callable[[Payer, Account], Message]:
    def make(payer: Payer, account: Account) -> Message:
        header = payer.stage.header(method, caller=payer.caller)
        return kind(header=header, session_id=account.session_id, **fields)

    return make


def _quote_call(payer: Payer, _: Account) -> Message:
    header = payer.stage.header(GET_QUOTE, caller=payer.caller)
    return payment_pb2.GetQuoteCall(header=header, skill_id=payer.stage.subject.skill.id)


def _open_call(payer: Payer, account: Account) -> Message:
    header = payer.stage.header(OPEN, caller=payer.caller)
    return payment_pb2.OpenSessionCall(header=header, terms=account.terms.envelope)


PAYMENT_METHODS = (
    PaymentMethod(
        word="quote",
        name=GET_QUOTE,
        payload_type="consilience.v1.GetQuoteCall",
        carrier=payment_pb2.GetQuoteRequest,
        make=_quote_call,
    ),
    PaymentMethod(
        word="open",
        name=OPEN,
        payload_type="consilience.v1.OpenSessionCall",
        carrier=payment_pb2.OpenSessionRequest,
        make=_open_call,
    ),
    PaymentMethod(
        word="confirm",
        name=CONFIRM,
        payload_type="consilience.v1.ConfirmDepositCall",
        carrier=payment_pb2.ConfirmDepositRequest,
        make=_about(payment_pb2.ConfirmDepositCall, CONFIRM, deposit_id=_ID, proof=Any()),
        fate="DEPOSIT_INVALID",
    ),
    PaymentMethod(
        word="session",
        name=GET_SESSION,
        payload_type="consilience.v1.GetSessionCall",
        carrier=payment_pb2.GetSessionRequest,
        make=_about(payment_pb2.GetSessionCall, GET_SESSION),
    ),
    PaymentMethod(
        word="acknowledge",
        name=ACKNOWLEDGE,
        payload_type="consilience.v1.AcknowledgeReceiptCall",
        carrier=payment_pb2.AcknowledgeReceiptRequest,
        make=_about(payment_pb2.AcknowledgeReceiptCall, ACKNOWLEDGE, receipt_digest=bytes(32)),
        fate="RECEIPT_UNKNOWN",
    ),
    PaymentMethod(
        word="list",
        name=LIST,
        payload_type="consilience.v1.ListReceiptsCall",
        carrier=payment_pb2.ListReceiptsRequest,
        make=_about(payment_pb2.ListReceiptsCall, LIST),
    ),
    PaymentMethod(
        word="withdraw",
        name=WITHDRAW,
        payload_type="consilience.v1.WithdrawCall",
        carrier=payment_pb2.WithdrawRequest,
        make=_about(payment_pb2.WithdrawCall, WITHDRAW, withdrawal_id=_ID, amount=2**62),
        fate="WITHDRAWAL_INVALID",
    ),
    PaymentMethod(
        word="close",
        name=CLOSE,
        payload_type="consilience.v1.CloseSessionCall",
        carrier=payment_pb2.CloseSessionRequest,
        make=_about(payment_pb2.CloseSessionCall, CLOSE),
    ),
)
"""In an order in which each leaves the session to the next; the last one ends it."""


def _broken(breakage: Breakage, method: Method) -> Defect:
    def spoil(stage: Stage, _: Method, call: Message) -> SignedEnvelope:
        message = message_class(method.payload_type).FromString(call.SerializeToString())
        breakage.change(message)
        return envelopes.seal(message, seed=stage.caller.seed)

    return Defect(
        name=breakage.name,
        requirement=_RULE,
        reason=EARLIER.get(breakage.path, "FIELD_INVALID"),
        spoil=spoil,
        look=names_the_field(breakage),
    )


def _breakages_of(method: Method) -> list[Defect]:
    """Returns a defect for every declared rule of a call; those of headers for one method, as all have them."""
    headers_too = method.name == OPEN
    return [
        _broken(one, method)
        for one in breakages(method.payload_type)
        if headers_too or not one.path.startswith("header.")
    ]


def _calls(
    name: str,
    *,
    title: str,
    defects: Callable[[Method], Sequence[Defect]],
    requirements: tuple[str, ...] = (),
) -> Check:
    """Returns the check of calls of all methods of payments with defects: a call between good ones, and the session.

    Args:
        name: Of the check.
        title: Of the check.
        defects: What can be wrong with a call of a method.
        requirements: Those that what is looked at besides may break.
    """
    by_method = {method.word: tuple(defects(method)) for method in PAYMENT_METHODS}

    async def drive(stage: Stage) -> None:
        payer = Payer(stage)
        account = await payer.open("account")
        for method in PAYMENT_METHODS:
            await _send(payer, f"{method.word} before", method, account)
            if method.name == CLOSE:
                account = await payer.open("another-account")
            await payer.state(f"{method.word} state-before", account)
            await asyncio.gather(*(_spoilt(payer, method, account, one) for one in by_method[method.word]))
            await payer.state(f"{method.word} state-after", account)
            await _send(payer, f"{method.word} after", method, account)

    def judge(seen: Transcript) -> Iterator[Finding]:
        for method in PAYMENT_METHODS:
            first = by_method[method.word][0].requirement
            for when in ("before", "after"):
                yield from _control(seen[f"{method.word} {when}"], method, requirement=first)
            for one in by_method[method.word]:
                named = f"{method.word} {one.name}"
                yield from fate_of(seen, replace(one, name=named))
            yield from unchanged(
                seen[f"{method.word} state-before"], seen[f"{method.word} state-after"], requirement=first
            )

    ids = dict.fromkeys((*(one.requirement for some in by_method.values() for one in some), *requirements))
    return Check(
        name=name,
        title=title,
        requirements=tuple(ids),
        drive=drive,
        judge=judge,
        after=_OPENED,
        needs=Needs.PRICE,
        profile="pay",
    )


async def _send(payer: Payer, name: str, method: PaymentMethod, account: Account) -> None:
    def request() -> Message:
        return method.request(payer.seal(method.make(payer, account)))

    await patiently(payer.stage, name, method.name, request)


async def _spoilt(payer: Payer, method: PaymentMethod, account: Account, defect: Defect) -> None:
    def request() -> bytes | Message:
        spoilt = defect.spoil(payer.stage, method, method.make(payer, account))  # type: ignore[arg-type]
        return method.request(spoilt) if isinstance(spoilt, SignedEnvelope) else spoilt

    await patiently(payer.stage, f"{method.word} {defect.name}", method.name, request)


def _control(exchange: Exchange, method: PaymentMethod, *, requirement: str) -> Iterator[Finding]:
    if method.fate:
        yield from refused(exchange, method.fate, requirement=requirement)
    else:
        yield from was_accepted(exchange, requirement=requirement)


_EARLIER_OF_OBJECTS = {"payer": "SIGNER_WRONG"}
"""Who signs is compared before the rules of fields are."""


async def _break_objects(stage: Stage) -> None:
    """Breaks every declared rule of terms and vouchers, which are signed within calls or alone."""
    payer = Payer(stage)
    account = await payer.open("account")
    await payer.state("before", account)
    voucher = payer.voucher(account, account.amount)
    for breakage in breakages("consilience.v1.Voucher"):
        await payer.submit(f"voucher {breakage.name}", _resealed(payer, voucher, breakage))
    for breakage in breakages("consilience.v1.SessionTerms"):
        fresh = payer.terms(payer.offer(), backing=payer.offer().backings[0], amount=1)
        await payer.call_open(f"terms {breakage.name}", _resealed(payer, payer.seal(fresh), breakage))
    await payer.state("after", account)
    await payer.submit("control-after", voucher)


def _resealed(payer: Payer, envelope: SignedEnvelope, breakage: Breakage) -> SignedEnvelope:
    message = message_class(envelope.payload_type).FromString(envelope.payload)
    breakage.change(message)
    return envelopes.seal(message, seed=payer.caller.seed)


def _judge_broken_objects(seen: Transcript) -> Iterator[Finding]:
    for word, kind in (("voucher", "consilience.v1.Voucher"), ("terms", "consilience.v1.SessionTerms")):
        for breakage in breakages(kind):
            reason = _EARLIER_OF_OBJECTS.get(breakage.path, "FIELD_INVALID")
            yield from refused(seen[f"{word} {breakage.name}"], reason, requirement=_RULE)
    yield from unchanged(seen["before"], seen["after"], requirement=_RULE)
    yield from was_accepted(seen["control-after"], requirement=_RULE)


async def _tour(stage: Stage) -> None:
    """Has each method of payments answer once, as well as it can be."""
    payer = Payer(stage)
    price, account = await payer.deal()
    await payer.submit("voucher", payer.voucher(account, account.amount))
    ask = payer.ask(price=price, account=account, max_charge=price.first_window)
    exchange = await payer.send("ask", ask, price=price)
    await payer.receipts("list", account)
    receipt = receipt_of(read_log(exchange).final)
    if receipt is not None:
        spent = receipt.value.session_spent
        await payer.acknowledge("acknowledge", account, digest=receipt.digest, spent=spent)
    await payer.close("close", account)
    await payer.state("state", account)
    found = [one for one in payer.offers if tariff_pb2.BACKING_PREPAID in one.backings]
    if found:
        least = max(1, found[0].rail.min_deposit)
        prepaid = await payer.open("prepaid", offer=found[0], amount=least, backing=tariff_pb2.BACKING_PREPAID)
        await payer.withdraw("withdraw", prepaid, amount=1, withdrawal_id=_ID)


def _judge_tour(seen: Transcript) -> Iterator[Finding]:
    for exchange in seen.exchanges:
        kind = RESPONSES.get(exchange.method)
        name = kind.DESCRIPTOR.full_name if kind is not None else "consilience.v1.AskResponse"
        for response in exchange.responses:
            yield from deep_field_findings(response.data, name, exchange=exchange.name)


CHECKS = (
    _calls(
        "a-payment-call-in-a-bad-envelope-is-refused",
        title="Every call of payments is refused when its envelope is not in order, and changes nothing.",
        defects=lambda _: tuple(bad_envelopes.defects()),
    ),
    _calls(
        "a-payment-call-with-a-wrong-header-is-refused",
        title="Every call of payments is refused when its header is for another method, node or time.",
        defects=lambda _: tuple(bad_headers.defects()),
    ),
    _calls(
        "a-payment-call-that-breaks-a-rule-is-refused",
        title="Every call of payments is refused when a field breaks its declared rule, and the field is named.",
        defects=_breakages_of,
        requirements=("ERR-STAT-003",),
    ),
    Check(
        name="terms-and-vouchers-keep-their-rules",
        title="Terms and vouchers are refused when a field breaks its declared rule, and change nothing.",
        requirements=(_RULE,),
        drive=_break_objects,
        judge=_judge_broken_objects,
        after=_OPENED,
        needs=Needs.PRICE,
        profile="pay",
    ),
    Check(
        name="payment-messages-of-the-node-keep-their-rules",
        title="What the methods of payments bring, and what is signed in it, keeps the rules that the protos declare.",
        requirements=(_RULE,),
        drive=_tour,
        judge=_judge_tour,
        after=("a-paid-ask-is-answered",),
        needs=Needs.PRICE,
        profile="pay",
    ),
)
