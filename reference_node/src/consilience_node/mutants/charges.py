"""Mutants of the noun payment: what is set aside, metered, charged and receipted for an ask (spec section 3.6)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace as changed
from typing import Any

from consilience._wire import envelopes, services
from consilience._wire.envelopes import seal
from consilience.asks import Outcome, StopReason
from consilience.payments import SessionStatus, Voucher
from consilience.server import endings, runs
from consilience.server.deliveries import DeliveryStoppedError
from consilience.server.payments import admission, metering, receipts
from consilience.server.payments.metering import Bill
from consilience.server.store import ledger_steps
from consilience.server.store.contract import StoreError
from consilience.server.store.ledger import StoredSession
from consilience.server.store.memory_ledger import MemoryLedger
from consilience.units import Digest
from consilience_node.mutants.registry import mutant, replace

Check = Callable[..., Any]

MANY_PIECES = 12


@mutant("nothing-set-aside")
def _nothing_set_aside() -> None:
    """An ask is bound without anything set aside for it."""

    def careless(admit: Check) -> Check:
        async def admitting(self: Any, opened: Any, **more: Any) -> Any:
            paid = await admit(self, opened, **more)
            return None if paid is None else changed(paid, reservation=changed(paid.reservation, reserved=0))

        return admitting

    replace(admission.PaidAdmission, "admit", careless)


@mutant("closed-sessions-pay")
def _closed_sessions_pay() -> None:
    """A session that is closed pays for asks all the same, as far as its last voucher went."""

    def lenient(reserve: Check) -> Check:
        def reserving(self: MemoryLedger, key: Any, reservation: Any, *, now: Any) -> None:
            session = self._book.sessions.get(reservation.session_id)
            if session is None or session.status is SessionStatus.OPEN:
                reserve(self, key, reservation, now=now)
                return
            self._keep(_opened_again(session))
            try:
                reserve(self, key, reservation, now=now)
            except StoreError:
                self._keep(session)
                raise
            self._keep(changed(self._book.sessions[session.session_id], status=session.status))

        return reserving

    replace(MemoryLedger, "reserve", lenient)


def _opened_again(session: StoredSession) -> StoredSession:
    """Returns a session that is shut as it would stand had nobody closed it."""
    account = session.account
    if session.voucher is not None:
        voucher = envelopes.open_envelope(envelopes.from_bytes(session.voucher), Voucher).value
        account = account.authorized_to(min(voucher.cumulative, account.available))
    return changed(session, status=SessionStatus.OPEN, account=account)


@mutant("quote-looked-at-last")
def _quote_looked_at_last() -> None:
    """The session of an ask is looked at before its quote."""

    def late(admit: Check) -> Check:
        async def admitting(self: Any, opened: Any, **more: Any) -> Any:
            ask = opened.signed.value
            if ask.payment is not None:
                await self.sessions.find(ask.payment.session_id, caller=ask.header.caller)
            return await admit(self, opened, **more)

        return admitting

    replace(admission.PaidAdmission, "admit", late)


@mutant("text-before-the-money")
def _text_before_the_money() -> None:
    """Text goes out that nobody has paid for, up to the ceiling of the ask."""

    def trusting(_: Check) -> Check:
        async def cover(*_: Any) -> None:
            """Asks nobody."""

        return cover

    replace(Bill, "_cover", trusting)


@mutant("answers-without-meters")
def _answers_without_meters() -> None:
    """Nothing tells how far the charge of a running answer has come."""

    def silent(_: Check) -> Check:
        async def meter(*_: Any) -> None:
            """Says nothing."""

        return meter

    replace(Bill, "_meter", silent)


def _metered_otherwise(change: Callable[[Any], dict[str, Any]]) -> None:
    def telling(make: Check) -> Check:
        def meter(**fields: Any) -> Any:
            honest = make(**fields)
            return changed(honest, **change(honest))

        return meter

    replace(metering, "Meter", telling)


@mutant("meter-of-other-text")
def _meter_of_other_text() -> None:
    """A Meter names the digest of another text than stands in the log."""
    _metered_otherwise(lambda _: {"transcript_digest": Digest(bytes(32))})


@mutant("meter-asks-for-more")
def _meter_asks_for_more() -> None:
    """A Meter asks for two windows ahead."""
    _metered_otherwise(lambda meter: {"required_cumulative": meter.required_cumulative + 10})


@mutant("meter-overcounts")
def _meter_overcounts() -> None:
    """A Meter counts a byte more than stands in the log."""
    _metered_otherwise(lambda meter: {"usage": changed(meter.usage, output_bytes=meter.usage.output_bytes + 1)})


@mutant("meter-forgets-others")
def _meter_forgets_others() -> None:
    """What is set aside for other asks of a session is left out of what a Meter asks for."""

    def alone(_: Check) -> Check:
        return lambda self, session, price: session.account.spent + price  # noqa: ARG005 - as it is called

    replace(Bill, "_required", alone)


@mutant("unpaid-at-once")
def _unpaid_at_once() -> None:
    """An answer that nobody has paid on for ends at once, and waits for no voucher."""

    def impatient(_: Check) -> Check:
        async def cover(self: Any, price: int, _write: Any) -> None:
            if await self._reserve(price) is not None:
                raise DeliveryStoppedError(StopReason.UNPAID)

        return cover

    replace(Bill, "_cover", impatient)


@mutant("need-untold")
def _need_untold() -> None:
    """An answer that stands still does not say what it needs."""

    def silent(cover: Check) -> Check:
        async def quietly(self: Any, price: int, _write: Any) -> None:
            async def drop(_event: Any) -> None:
                """Says nothing."""

            await cover(self, price, drop)

        return quietly

    replace(Bill, "_cover", silent)


@mutant("ceiling-ignored")
def _ceiling_ignored() -> None:
    """The most that an asker allows is not looked at; the quote's own bound holds."""

    def generous(admit: Check) -> Check:
        async def admitting(self: Any, opened: Any, **more: Any) -> Any:
            paid = await admit(self, opened, **more)
            if paid is None:
                return None
            return changed(paid, reservation=changed(paid.reservation, ceiling=paid.quote.max_charge))

        return admitting

    replace(admission.PaidAdmission, "admit", generous)


@mutant("receipt-withheld")
def _receipt_withheld() -> None:
    """The Final of a paid ask carries no receipt."""

    def bare(make: Check) -> Check:
        return lambda answer, settled=None: make(answer, settled=settled and changed(settled, receipt=None))

    replace(endings, "final_entry", bare)


def _receipted_otherwise(change: Callable[[Any], dict[str, Any]]) -> None:
    """Signs receipts that differ from what they were to say."""

    def telling(make: Check) -> Check:
        def receipt(**fields: Any) -> Any:
            honest = make(**fields)
            return changed(honest, **change(honest))

        return receipt

    replace(receipts, "Receipt", telling)


@mutant("receipt-for-another-answer")
def _receipt_for_another_answer() -> None:
    """A receipt names another answer than the one that it comes with."""
    _receipted_otherwise(lambda _: {"answer_digest": Digest(bytes(32))})


@mutant("receipt-of-other-usage")
def _receipt_of_other_usage() -> None:
    """A receipt repeats other usage than the answer tells."""
    _receipted_otherwise(lambda receipt: {"usage": changed(receipt.usage, input_tokens=receipt.usage.input_tokens + 1)})


@mutant("receipts-with-holes")
def _receipts_with_holes() -> None:
    """The numbers of the receipts of a session have holes."""
    _receipted_otherwise(lambda receipt: {"number": 2 * receipt.number - 1})


@mutant("receipts-without-a-chain")
def _receipts_without_a_chain() -> None:
    """A receipt does not name the one before it."""
    _receipted_otherwise(lambda receipt: {"previous_digest": bytes(32)} if receipt.previous_digest else {})


@mutant("receipts-do-not-add-up")
def _receipts_do_not_add_up() -> None:
    """A receipt tells as spent what it charges, and not what the session has spent."""
    _receipted_otherwise(lambda receipt: {"session_spent": receipt.charge})


@mutant("receipt-lost-on-reading-again")
def _receipt_lost_on_reading_again() -> None:
    """GetAnswer gives an answer without its receipt."""

    def bare(encode: Check) -> Check:
        def snapshot(told: Any) -> bytes:
            final = None if told.final is None else changed(told.final, receipt=None)
            encoded: bytes = encode(changed(told, final=final))
            return encoded

        return snapshot

    replace(services, "encode_snapshot", bare)


def _charged_otherwise(count: Callable[[Any, Any, Outcome], int]) -> None:
    """Charges something else than what was used, as far as it was set aside."""

    def counting(_: Check) -> Check:
        def charge(self: Any, usage: Any, *, outcome: Outcome) -> int:
            due: int = min(count(self, usage, outcome), self._reserved)
            return due

        return charge

    replace(Bill, "charge", counting)


@mutant("reservation-charged")
def _reservation_charged() -> None:
    """An answer is charged all that was set aside for it."""
    _charged_otherwise(lambda bill, *_: bill._reserved)


@mutant("failures-are-charged")
def _failures_are_charged() -> None:
    """An answer that failed before there was text is charged for the question."""

    def merciless(charge: Check) -> Check:
        return lambda self, usage, outcome: charge(self, usage, outcome=Outcome.ANSWERED)  # noqa: ARG005 - as called

    replace(Bill, "charge", merciless)


@mutant("charge-untold")
def _charge_untold() -> None:
    """No answer says that it is charged."""

    def silent(sign: Check) -> Check:
        return lambda ask, **facts: sign(ask, **{**facts, "charged": False})

    replace(endings, "signed_answer", silent)


@mutant("reservations-stay")
def _reservations_stay() -> None:
    """What was set aside for an ask and is not charged stays set aside."""

    def keeping(settle: Check) -> Check:
        def settling(session: Any, reservation: Any, receipt: Any) -> Any:
            return settle(session, changed(reservation, reserved=receipt.charge), receipt)

        return settling

    replace(ledger_steps, "settling", keeping)


@mutant("cancelled-answers-cost-all")
def _cancelled_answers_cost_all() -> None:
    """An answer that its asker has cancelled is charged all that was set aside for it."""
    _charged_for(Outcome.CANCELLED)


def _charged_for(outcome: Outcome) -> None:
    """Charges all that was set aside for an answer that ends so."""

    def greedy(charge: Check) -> Check:
        def charging(self: Any, usage: Any, **how: Any) -> int:
            due: int = self._reserved if how["outcome"] is outcome else charge(self, usage, **how)
            return due

        return charging

    replace(Bill, "charge", greedy)


@mutant("free-answers-say-charged")
def _free_answers_say_charged() -> None:
    """The answer of a free skill says that it is charged."""

    def claiming(sign: Check) -> Check:
        def signed(self: Any, conclusion: Any) -> Any:
            answer, charge = sign(self, conclusion)
            if self.bill is None:
                value = changed(answer.value, charged=True)
                answer = seal(value, signer=self.place.keys.signer(now=value.finish_time))
            return answer, charge

        return signed

    replace(endings.Ending, "_sign", claiming)


@mutant("unread-answers-cost-all")
def _unread_answers_cost_all() -> None:
    """An answer whose reader has gone away is charged all that was set aside for it."""
    unread: set[Any] = set()

    def noting(leave: Check) -> Check:
        def reader_left(self: Any) -> None:
            if not self.log.ended:
                unread.add(self.key)
            leave(self)

        return reader_left

    def greedy(charge: Check) -> Check:
        def charging(self: Any, usage: Any, **how: Any) -> int:
            due: int = self._reserved if self._ask.key in unread else charge(self, usage, **how)
            return due

        return charging

    replace(runs.AnswerRun, "reader_left", noting)
    replace(Bill, "charge", greedy)


@mutant("pieces-cost-more")
def _pieces_cost_more() -> None:
    """Of an answer that came in many pieces each costs a unit more, in the receipt alone."""

    def dearer(charge: Check) -> Check:
        def charging(self: Any, usage: Any, **how: Any) -> int:
            honest: int = charge(self, usage, **how)
            pieces = self._tally.last_sequence
            return min(honest + pieces, self._reserved) if pieces > MANY_PIECES else honest

        return charging

    replace(Bill, "charge", dearer)
