"""Faults in paying: what is signed without being checked."""

import asyncio
import dataclasses
from typing import Any

from conformance.tests.client_side.faults.registry import fault, replace
from consilience.client.payments import calls, paid_asks, settlements, wallet_receipts
from consilience.client.payments.calls import PaymentCalls
from consilience.client.payments.settlements import Settlements
from consilience.client.payments.wallet_transfers import WalletTransfers
from consilience.client.payments.wallets import Wallet
from consilience.client.payments.withdrawals import Withdrawals
from consilience.errors import ProtocolError, TransportError
from consilience.payments import Exposure, Quote, TransferStatus, costs, receipts
from consilience.payments import exposures as payment_exposures
from consilience.tariffs import Tariff

_PAYERS: list[Any] = []
"""The keys that asked for prices, the last one last."""


def _unchecked(*_: Any, **__: Any) -> None:
    """Finds nothing wrong."""


def _overlooks_in_quotes(name: str, *fields: str) -> None:
    """Registers the fault of a client that checks a quote as if some of its fields were what it asked for."""

    def apply() -> None:
        def make(check: Any) -> Any:
            def lenient(quote: Any, *, card: Any, now: Any, **wanted: Any) -> None:
                right = {
                    "skill_id": wanted["skill_id"],
                    "card_digest": card.digest,
                    "signing_key": card.value.signing_keys[0].public_key,
                    "issue_time": now,
                    "expire_time": now + (quote.value.expire_time - quote.value.issue_time),
                }
                value = dataclasses.replace(quote.value, **{field: right[field] for field in fields})
                check(dataclasses.replace(quote, value=value), card=card, now=now, **wanted)

            return lenient

        replace(calls, "check_quote", make)

    fault(name)(apply)


@fault("overlooks-whom-a-quote-is-for")
def _overlooks_whom_a_quote_is_for() -> None:
    def make(open_envelope: Any) -> Any:
        def mine(envelope: Any, kind: Any) -> Any:
            opened = open_envelope(envelope, kind)
            if kind is not Quote:
                return opened
            return dataclasses.replace(opened, value=dataclasses.replace(opened.value, payer=_PAYERS[-1]))

        return mine

    def make_quote(quote: Any) -> Any:
        def noting(self: PaymentCalls, **wanted: Any) -> Any:
            _PAYERS.append(self.signer.public_key)
            return quote(self, **wanted)

        return noting

    replace(calls, "open_envelope", make)
    replace(PaymentCalls, "quote", make_quote)


_overlooks_in_quotes("overlooks-what-a-quote-is-for", "skill_id")
_overlooks_in_quotes("overlooks-the-card-of-a-quote", "card_digest")
_overlooks_in_quotes("overlooks-when-a-quote-holds", "issue_time", "expire_time")
_overlooks_in_quotes("overlooks-who-signs-a-quote", "signing_key")


def _overlooks_in_meters(name: str, *fields: str) -> None:
    """Registers the fault of a client that checks a Meter as if some of its fields were right."""

    def apply() -> None:
        def make(check: Any) -> Any:
            def lenient(meter: Any, *, quote: Any, ask: Any, transcript: Any, **rest: Any) -> None:
                usage = meter.value.usage
                counted = dataclasses.replace(usage, output_bytes=transcript.size_bytes)
                right = {
                    "ask_digest": ask.digest,
                    "quote_digest": quote.digest,
                    "session_id": rest["session_id"],
                    "transcript_digest": transcript.digest,
                    "usage": counted,
                    "charge": costs.cost(quote.value.tariff, counted if "usage" in fields else usage),
                }
                value = dataclasses.replace(meter.value, **{field: right[field] for field in fields})
                check(dataclasses.replace(meter, value=value), quote=quote, ask=ask, transcript=transcript, **rest)

            return lenient

        replace(paid_asks, "check_meter", make)

    fault(name)(apply)


_overlooks_in_meters("overlooks-what-a-meter-counts", "usage", "charge")
_overlooks_in_meters("overlooks-what-a-meter-charges", "charge")
_overlooks_in_meters("overlooks-the-quote-of-a-meter", "quote_digest", "charge")
_overlooks_in_meters("overlooks-the-text-of-a-meter", "transcript_digest")
_overlooks_in_meters("overlooks-the-ask-of-a-meter", "ask_digest")
_overlooks_in_meters("overlooks-the-session-of-a-meter", "session_id")


@fault("forgets-the-meter-before")
def _forgets_the_meter_before() -> None:
    def make(check: Any) -> Any:
        return lambda meter, **rest: check(meter, **{**rest, "before": None})

    replace(paid_asks, "check_meter", make)


@fault("rounds-each-price")
def _rounds_each_price() -> None:
    def make(cost: Any) -> Any:
        def rounding(tariff: Tariff, usage: Any) -> int:
            alone = (dataclasses.replace(tariff, prices=(price,), minimum_charge=0) for price in tariff.prices)
            return max(sum(int(cost(one, usage)) for one in alone), tariff.minimum_charge)

        return rounding

    for module in (costs, payment_exposures):
        replace(module, "cost", make)


@fault("signs-up-to-the-ceiling")
def _signs_up_to_the_ceiling() -> None:
    replace(Exposure, "amount", lambda _: property(lambda self: self.ceiling))


@fault("signs-what-is-required")
def _signs_what_is_required() -> None:
    def make(authorize: Any) -> Any:
        def generous(self: Wallet, session_id: Any, *demands: Any) -> Any:
            believed = [
                dataclasses.replace(one, exposure=dataclasses.replace(one.exposure, metered=one.upto))
                for one in demands
            ]
            return authorize(self, session_id, *believed)

        return generous

    replace(Wallet, "authorize", make)


@fault("keeps-any-receipt")
def _keeps_any_receipt() -> None:
    replace(paid_asks, "check_receipt", lambda _: _unchecked)
    replace(settlements, "check_receipt", lambda _: _unchecked)  # by which those come that the node was slow to sign
    replace(wallet_receipts, "_settle", lambda _: _unchecked)
    replace(wallet_receipts, "check_authorized", lambda _: _unchecked)


@fault("forgets-what-it-signed")
def _forgets_what_it_signed() -> None:
    replace(wallet_receipts, "check_authorized", lambda _: _unchecked)


@fault("keeps-receipts-out-of-their-chain")
def _keeps_receipts_out_of_their_chain() -> None:
    replace(wallet_receipts, "check_chain", lambda _: _unchecked)
    replace(receipts, "check_chain", lambda _: _unchecked)


@fault("keeps-what-is-listed")
def _keeps_what_is_listed() -> None:
    async def unchecked(*_: Any, **__: Any) -> None:
        """Finds nothing wrong."""

    replace(Settlements, "_check_listed", lambda _: unchecked)


@fault("takes-silence-for-failure")
def _takes_silence_for_failure() -> None:
    replace(WalletTransfers, "deposits", lambda _: lambda *_: ())
    replace(WalletTransfers, "brought", lambda _: lambda *_: 0)


@fault("takes-a-withdrawal-for-failed")
def _takes_a_withdrawal_for_failed() -> None:
    replace(WalletTransfers, "withdrawals", lambda _: lambda *_: ())


@fault("tells-that-silence-is-failure")
def _tells_that_silence_is_failure() -> None:
    def make(carry_on: Any) -> Any:
        async def hasty(self: Withdrawals, session: Any, withdrawal: Any, *, route: Any) -> Any:
            try:
                return await carry_on(self, session, withdrawal, route=route)
            except TransportError:
                return dataclasses.replace(withdrawal, status=TransferStatus.FAILED)

        return hasty

    replace(Withdrawals, "_carry_on", make)


@fault("forgets-a-withdrawal-that-its-user-left")
def _forgets_a_withdrawal_that_its_user_left() -> None:
    def make(carry_on: Any) -> Any:
        async def forgetful(self: Withdrawals, session: Any, withdrawal: Any, *, route: Any) -> Any:
            try:
                return await carry_on(self, session, withdrawal, route=route)
            except asyncio.CancelledError:
                await self._note(dataclasses.replace(withdrawal, status=TransferStatus.FAILED))
                raise

        return forgetful

    replace(Withdrawals, "_carry_on", make)


def _trusts_refunds(name: str, *fields: str) -> None:
    """Registers the fault of a client that checks a refund as if some of its fields were those of the charge."""

    def apply() -> None:
        def make(check: Any) -> Any:
            def lenient(refund: Any, *, earlier: Any) -> None:
                of_it = [one.value for one in earlier if one.digest == refund.value.refund_of]
                right = {field: getattr(of_it[0], field) for field in fields} if of_it else {}
                check(dataclasses.replace(refund, value=dataclasses.replace(refund.value, **right)), earlier=earlier)

            return lenient

        replace(settlements, "check_refund", make)

    fault(name)(apply)


_trusts_refunds("overlooks-what-a-refund-is-for", "usage")
_trusts_refunds("overlooks-the-asset-of-a-refund", "asset")


@fault("overlooks-the-session-of-a-refund")
def _overlooks_the_session_of_a_refund() -> None:
    def make(receipts_of: Any) -> Any:
        async def lenient(self: PaymentCalls, session_id: Any, **wanted: Any) -> Any:
            listed = await receipts_of(self, session_id, **wanted)
            return tuple(
                dataclasses.replace(one, value=dataclasses.replace(one.value, session_id=session_id)) for one in listed
            )

        return lenient

    replace(PaymentCalls, "receipts", make)


@fault("keeps-any-refund")
def _keeps_any_refund() -> None:
    replace(settlements, "check_refund", lambda _: _unchecked)


@fault("refuses-refunds")
def _refuses_refunds() -> None:
    def make(_: Any) -> Any:
        def never(*_: Any, **__: Any) -> None:
            raise ProtocolError("a node gives nothing back", requirement="PAY-RCP-005")

        return never

    replace(settlements, "check_refund", make)


@fault("forgets-what-was-given-back")
def _forgets_what_was_given_back() -> None:
    def make(check: Any) -> Any:
        return lambda refund, *, earlier: check(refund, earlier=[one for one in earlier if not one.value.refund_of])

    replace(settlements, "check_refund", make)
