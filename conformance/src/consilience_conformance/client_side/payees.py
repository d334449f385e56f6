"""Payees: nodes that sell answers by the byte, honest in all of chapters 3 and 4 unless a dealing says else."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from consilience.v1 import ask_pb2, node_pb2, payment_pb2, review_pb2, tariff_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance import envelopes, signatures
from consilience_conformance.ask_methods import ASK, CANCEL, GET, RESUME
from consilience_conformance.client_side.dealings import HONEST, Dealing, Payout, as_it_is
from consilience_conformance.client_side.nodes import SKILL, Node, delta, silence
from consilience_conformance.client_side.sales import Account, Sale
from consilience_conformance.payment_methods import (
    ACKNOWLEDGE,
    CLOSE,
    CONFIRM,
    GET_QUOTE,
    GET_SESSION,
    LIST,
    OPEN,
    SUBMIT,
    WITHDRAW,
)
from consilience_conformance.peers.hostile import StatusError
from consilience_conformance.purses import HOLD_RAIL, TEST_NETWORK
from consilience_conformance.wire_values import timestamp

ASSET = "TEST/0"
WINDOW = 20
MAX_CHARGE = 1000
PIECE_BYTES = 10
"""How much of the text a delta holds: less than half a window, so that a payer who reads on is in time."""

_BENT_PIECE = 1
"""The piece, counted from zero, at which a dealing that bends a Meter bends it."""
_HOLD_OPEN_SECONDS = 10
"""How long a payee waits for a voucher, due or not, unless its client ends the answer: half as long as users wait."""
_QUOTE_LIFETIME = timedelta(minutes=5)
_HOLD_LIFETIME = timedelta(hours=1)
_STATUS = {
    Payout.PAID: payment_pb2.TRANSFER_STATUS_SUCCEEDED,
    Payout.PENDING: payment_pb2.TRANSFER_STATUS_PENDING,
}

_PAYMENTS = GET_QUOTE.removesuffix("GetQuote")

MessageT = TypeVar("MessageT", bound=Message)
UNIT_A_BYTE = tariff_pb2.Tariff(
    id="bytes",
    asset=ASSET,
    prices=[tariff_pb2.UnitPrice(unit=tariff_pb2.PRICED_UNIT_OUTPUT_BYTE, price=1, per=1)],
)


@dataclass(slots=True, kw_only=True)
class Payee(Node):
    """A node that is paid.

    Attributes:
        backing: What it takes to stand behind a session.
        tariff: Its price.
        dealing: How it deals.
        accounts: Its sessions, by their ids.
    """

    backing: tariff_pb2.Backing.ValueType = tariff_pb2.BACKING_CREDIT
    tariff: tariff_pb2.Tariff = field(default_factory=lambda: UNIT_A_BYTE)
    dealing: Dealing = HONEST
    accounts: dict[bytes, Account] = field(default_factory=dict)
    _sales: dict[bytes, Sale] = field(default_factory=dict)

    def priced(self, card: node_pb2.NodeCard) -> node_pb2.NodeCard:
        """Returns the card with what it costs."""
        credit = self.backing == tariff_pb2.BACKING_CREDIT
        card.profiles.append(node_pb2.PROFILE_PAY)
        card.limits.max_quotes_per_minute = 600
        card.tariffs.append(self.tariff)
        card.rails.append(
            tariff_pb2.Rail(
                id=HOLD_RAIL,
                network=TEST_NETWORK,
                assets=[ASSET],
                backings=[self.backing],
                max_credit=10**6 if credit else 0,
                min_deposit=0 if credit else 1,
            )
        )
        skill = next(skill for skill in card.skills if skill.id == SKILL)
        skill.tariff_ids.append(self.tariff.id)
        skill.gives_citations = False
        return card

    async def respond(self, method: str, request: bytes) -> AsyncIterator[bytes]:
        """Answers a call."""
        if method == ASK:
            async for event in self._sold(ask_pb2.AskRequest.FromString(request)):
                yield ask_pb2.AskResponse(events=[event]).SerializeToString()
        elif method in {RESUME, GET, CANCEL}:
            yield self._told(method, ask_pb2.CancelAnswerRequest.FromString(request).call).SerializeToString()
        elif method == WITHDRAW:
            yield (await self._withdrawn(_of(payment_pb2.WithdrawCall, _call_in(request)))).SerializeToString()
        elif method.startswith(_PAYMENTS):
            yield self._dealt(method, request).SerializeToString()
        else:
            async for data in Node.respond(self, method, request):
                yield data

    def _dealt(self, method: str, request: bytes) -> Message:
        envelope = _call_in(request)
        if method == GET_QUOTE:
            return payment_pb2.GetQuoteResponse(quote=self._quoted(_of(payment_pb2.GetQuoteCall, envelope)))
        if method == OPEN:
            return self._opened(_of(payment_pb2.OpenSessionCall, envelope))
        if method == CONFIRM:
            return self._confirmed(_of(payment_pb2.ConfirmDepositCall, envelope))
        if method == LIST:
            listing = _of(payment_pb2.ListReceiptsCall, envelope)
            receipts = self._account(listing.session_id).receipts[listing.after_number :]
            return payment_pb2.ListReceiptsResponse(receipts=receipts)
        if method == SUBMIT:
            account = self._account(_of(payment_pb2.Voucher, envelope).session_id)
            account.take(envelope)
        elif method in {GET_SESSION, ACKNOWLEDGE, CLOSE}:
            # All of them name the session next to their header.
            account = self._account(_of(payment_pb2.GetSessionCall, envelope).session_id)
        else:
            raise StatusError(grpc.StatusCode.UNIMPLEMENTED, f"there is no {method}")
        return payment_pb2.GetSessionResponse(state=self._state(account))

    def _quoted(self, call: payment_pb2.GetQuoteCall) -> SignedEnvelope:
        now = datetime.now(UTC)
        quote = payment_pb2.Quote(
            node_id=self.identity.node_id,
            signing_key=self._signing_key,
            card_digest=envelopes.envelope_digest(self.card),
            payer=call.header.caller,
            skill_id=call.skill_id,
            model_id=call.model_id,
            tariff=self.tariff,
            window=WINDOW,
            max_charge=MAX_CHARGE,
            max_asks=1000,
            total_max_charge=10**6,
            rail_ids=[HOLD_RAIL],
            hold_open=Duration(seconds=_HOLD_OPEN_SECONDS),
            issue_time=timestamp(now),
            expire_time=timestamp(now + _QUOTE_LIFETIME),
        )
        self.dealing.quote(quote)
        return envelopes.seal(quote, seed=self.dealing.quote_seed or self.identity.signing)

    def _opened(self, call: payment_pb2.OpenSessionCall) -> payment_pb2.OpenSessionResponse:
        session_id = envelopes.envelope_digest(call.terms)
        account = self.accounts.setdefault(
            session_id, Account(terms=_of(payment_pb2.SessionTerms, call.terms), session_id=session_id)
        )
        if not call.deposit_id or call.deposit_id in account.credited:
            return payment_pb2.OpenSessionResponse(state=self._state(account))
        account.deposits[call.deposit_id] = call.deposit
        expires = timestamp(datetime.now(UTC) + _HOLD_LIFETIME)
        hold = payment_pb2.Hold(
            issuer=self.identity.node_id,
            session_id=session_id,
            deposit_id=call.deposit_id,
            amount=call.deposit,
            expire_time=expires,
        )
        detail = Any()
        detail.Pack(envelopes.seal(hold, seed=self.identity.root))
        instruction = payment_pb2.DepositInstruction(
            deposit_id=call.deposit_id, amount=call.deposit, detail=detail, expire_time=expires
        )
        return payment_pb2.OpenSessionResponse(state=self._state(account), instruction=instruction)

    def _confirmed(self, call: payment_pb2.ConfirmDepositCall) -> payment_pb2.ConfirmDepositResponse:
        account, status = self._account(call.session_id), self.dealing.confirmed
        if status is None:
            raise StatusError(grpc.StatusCode.UNAVAILABLE, "the connection is gone")
        if status == payment_pb2.TRANSFER_STATUS_SUCCEEDED:
            account.credited.add(call.deposit_id)
        return payment_pb2.ConfirmDepositResponse(state=self._state(account), status=status)

    async def _withdrawn(self, call: payment_pb2.WithdrawCall) -> payment_pb2.WithdrawResponse:
        account, payout = self._account(call.session_id), self.dealing.payout
        if call.amount > account.left + account.withdrawals.get(call.withdrawal_id, 0):
            raise StatusError(grpc.StatusCode.FAILED_PRECONDITION, "that is more than can be paid out")
        account.withdrawals[call.withdrawal_id] = call.amount
        if payout is Payout.BROKEN_OFF:
            raise StatusError(grpc.StatusCode.UNAVAILABLE, "the connection is gone")
        if payout is Payout.SILENT:
            await silence()
        response = payment_pb2.WithdrawResponse(state=self._state(account), status=_STATUS[payout])
        if payout is Payout.PAID:
            release = payment_pb2.HoldRelease(
                node_id=self.identity.node_id,
                signing_key=self._signing_key,
                session_id=call.session_id,
                withdrawal_id=call.withdrawal_id,
                amount=call.amount,
            )
            response.detail.Pack(envelopes.seal(release, seed=self.identity.signing))
        return response

    def refund(self, amount: int, *, bent: Callable[[payment_pb2.Receipt], None] = as_it_is) -> None:
        """Gives back part of its first charge, by a receipt that ListReceipts brings.

        Args:
            amount: In units of the asset.
            bent: Changes the receipt before it is signed.
        """
        account = next(one for one in self.accounts.values() if one.receipts)
        refund = account.refund(amount, now=datetime.now(UTC))
        bent(refund)
        account.refunded = refund.session_refunded
        account.receipts.append(envelopes.seal(refund, seed=self.identity.signing))

    def _account(self, session_id: bytes) -> Account:
        if session_id not in self.accounts:
            raise StatusError(grpc.StatusCode.NOT_FOUND, "there is no such session")
        return self.accounts[session_id]

    def _state(self, account: Account) -> SignedEnvelope:
        state = account.state(now=datetime.now(UTC))
        state.node_id, state.signing_key = self.identity.node_id, self._signing_key
        return envelopes.seal(state, seed=self.identity.signing)

    @property
    def _signing_key(self) -> bytes:
        return signatures.public_key(self.identity.signing)

    async def _sold(self, request: ask_pb2.AskRequest) -> AsyncIterator[ask_pb2.AnswerEvent]:
        """Sells the text, piece by piece, as far as it is paid for."""
        ask = _of(ask_pb2.Ask, request.ask)
        if not request.HasField("quote"):
            raise StatusError(grpc.StatusCode.FAILED_PRECONDITION, "the answer costs something")
        account = self._account(ask.payment.session_id)
        if request.HasField("voucher"):
            account.take(request.voucher)
        sale = Sale(ask=request.ask, quote=request.quote, account=account, draft=self._draft(request.ask))
        self._sales[ask.header.request_id] = sale
        yield sale.add(sale.draft.events[0])
        pieces = [self.text[at : at + PIECE_BYTES] for at in range(0, len(self.text), PIECE_BYTES)]
        for number, piece in enumerate(pieces):
            async for event in self._admitted(sale, piece, number=number):
                yield event
            if sale.final is not None or not sale.covers(piece):
                break
            yield sale.add(delta(sale.next, piece))
            yield self._metered(sale, number=number)
            if self.dealing.lingers:
                await sale.wait(lambda: False, seconds=_HOLD_OPEN_SECONDS)
            if number == _BENT_PIECE and self.dealing.meter is not as_it_is:
                await sale.wait(lambda: account.authorized >= sale.required, seconds=_HOLD_OPEN_SECONDS)
        if self.dealing.receipt is not as_it_is:
            await sale.wait(lambda: account.authorized >= sale.required, seconds=_HOLD_OPEN_SECONDS)
        yield self._end(sale, whole=sale.text == self.text)

    async def _admitted(self, sale: Sale, piece: str, *, number: int) -> AsyncIterator[ask_pb2.AnswerEvent]:
        """Waits until a piece of text is authorized."""
        bend = self.dealing.needed if number == _BENT_PIECE else None
        if bend is None and sale.covers(piece):
            return
        wanted = sale.account.spent + sale.charge(more=piece)
        required = wanted if bend is None else bend(wanted)
        stop_time = timestamp(datetime.now(UTC) + timedelta(seconds=_HOLD_OPEN_SECONDS))
        needed = ask_pb2.PaymentNeeded(required_cumulative=required, stop_time=stop_time)
        yield sale.add(ask_pb2.AnswerEvent(sequence=sale.next, payment_needed=needed))
        await sale.wait(lambda: sale.account.authorized >= required, seconds=_HOLD_OPEN_SECONDS)

    def _metered(self, sale: Sale, *, number: int) -> ask_pb2.AnswerEvent:
        charge = sale.charge()
        meter = payment_pb2.Meter(
            node_id=self.identity.node_id,
            signing_key=self._signing_key,
            ask_digest=envelopes.envelope_digest(sale.ask),
            quote_digest=envelopes.envelope_digest(sale.quote),
            session_id=sale.account.session_id,
            usage=sale.usage(),
            charge=charge,
            transcript_digest=hashlib.sha256(sale.text.encode()).digest(),
            required_cumulative=sale.account.spent + min(charge + WINDOW, sale.ceiling),
            issue_time=timestamp(datetime.now(UTC)),
        )
        self.dealing.meter(meter, number)
        sale.required = meter.required_cumulative
        sealed = envelopes.seal(meter, seed=self.identity.signing)
        return sale.add(ask_pb2.AnswerEvent(sequence=sale.next, metered=ask_pb2.Metered(meter=sealed)))

    def _end(self, sale: Sale, *, whole: bool, cancelled: bool = False) -> ask_pb2.AnswerEvent:
        """Ends an answer once, with what it costs."""
        if sale.final is not None:
            return sale.final
        answer = sale.answer(whole=whole, cancelled=cancelled)
        signed = envelopes.seal(answer, seed=self.identity.signing)
        receipt = sale.receipt(answer, answer_digest=envelopes.envelope_digest(signed))
        receipt.node_id, receipt.signing_key = self.identity.node_id, self._signing_key
        self.dealing.receipt(receipt)
        sealed = envelopes.seal(receipt, seed=self.identity.signing)
        sale.account.receipts.append(sealed)
        sale.account.spent = receipt.session_spent
        attestation = self._attested(sale, charge=receipt.charge)
        final = ask_pb2.Final(
            answer=signed, receipt=None if self.dealing.withholds else sealed, attestation=attestation
        )
        sale.final = sale.add(ask_pb2.AnswerEvent(sequence=sale.next, final=final))
        sale.account.changed.set()
        return sale.final

    def _attested(self, sale: Sale, *, charge: int) -> SignedEnvelope | None:
        """Returns what is attested of an answer that is charged and has a ticket (REV-PAY-001)."""
        accepted, terms = sale.draft.events[0].accepted, sale.account.terms
        if charge <= 0 or not accepted.HasField("ticket"):
            return None
        attestation = review_pb2.PaymentAttestation(
            node_id=self.identity.node_id,
            signing_key=self._signing_key,
            ticket_digest=envelopes.envelope_digest(accepted.ticket),
            asset=terms.asset,
            charge_digits=len(str(charge)),
            backing=terms.backing,
            issuer=terms.issuer if terms.backing == tariff_pb2.BACKING_ESCROW else b"",
        )
        return envelopes.seal(attestation, seed=self.identity.signing)

    def _told(self, method: str, envelope: SignedEnvelope) -> Message:
        """Tells of an answer that was sold; one that runs still ends with it, unless it is only looked at."""
        sale = self._sales.get(_of(ask_pb2.GetAnswerCall, envelope).ask_request_id)
        if sale is None:
            raise StatusError(grpc.StatusCode.NOT_FOUND, "there is no such answer")
        if method == GET:
            final = sale.final.final if sale.final is not None else None
            return ask_pb2.GetAnswerResponse(last_sequence=sale.next - 1, text=sale.text, final=final)
        if self.dealing.afterthought and sale.final is None:
            sale.add(delta(sale.next, self.dealing.afterthought))
        self._end(sale, whole=False, cancelled=True)
        if method == CANCEL:
            assert sale.final is not None  # noqa: S101 - it has just ended
            return ask_pb2.CancelAnswerResponse(final=sale.final.final)
        after = _of(ask_pb2.ResumeAnswerCall, envelope).after_sequence
        return ask_pb2.AskResponse(events=[event for event in sale.events if event.sequence > after])


def _call_in(request: bytes) -> SignedEnvelope:
    """Returns what was signed: every request of payments carries its one envelope under the same number."""
    return payment_pb2.GetQuoteRequest.FromString(request).call


def _of(kind: type[MessageT], envelope: SignedEnvelope) -> MessageT:
    return kind.FromString(envelope.payload)
