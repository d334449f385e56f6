"""Audits: the receipts of a session are verified offline, from the wallet alone (spec section 3.6).

What was asked is forgotten with its receipt, and so the text is not looked at here: `Exchange.verify` does that. That a
receipt is for this ask and this answer stands in their digests.
"""

from __future__ import annotations

from collections.abc import Iterator

from consilience.client.checks import Check
from consilience.client.payments.settlements import check_signer
from consilience.client.payments.wallet_rows import WalletSession
from consilience.client.payments.wallets import Wallet
from consilience.envelopes import Signed
from consilience.errors import ProtocolError, RefusedError
from consilience.nodes import NodeCard
from consilience.payments import Amount, Receipt, SessionTerms, charge_of, check_chain, check_refund
from consilience.units import RequestId


def audit(wallet: Wallet, session: WalletSession) -> tuple[Check, ...]:
    """Checks every receipt of a session that the wallet holds, and says what was checked; it waits for the disk."""
    name = f"the receipts of the session {session.session_id.hex()[:16]}"
    try:
        receipts = wallet.receipts.of(session.session_id)
    except RefusedError as error:
        return (Check(name=name, requirement="PAY-RCP-005", passed=False, explanation=str(error)),)
    checks = [_check_of(wallet, session, receipts, at) for at in range(len(receipts))]
    return (*checks, *_sums(session, receipts))


def _check_of(wallet: Wallet, session: WalletSession, receipts: tuple[Signed[Receipt], ...], at: int) -> Check:
    receipt = receipts[at]
    value = receipt.value
    name = f"{'refund' if value.refund_of else 'receipt'} {value.number} of session {session.session_id.hex()[:16]}"
    try:
        _check(wallet, session, receipts, at)
    except ProtocolError as error:
        return Check(name=name, requirement=error.requirement, passed=False, explanation=str(error))
    amount = Amount(value.charge, value.asset)
    said = f"{amount}, signed by a key of the node on {value.finish_time:%F %T} UTC, priced as it was quoted"
    return Check(name=name, requirement="PAY-RCP-005", passed=True, explanation=said)


def _check(wallet: Wallet, session: WalletSession, receipts: tuple[Signed[Receipt], ...], at: int) -> None:
    receipt = receipts[at]
    value = receipt.value
    _check_terms(value, session.terms)
    before = receipts[at - 1] if at else None
    if value.number != at + 1:
        raise ProtocolError(f"receipt {at + 1} is missing", requirement="PAY-RCP-002")
    check_chain(receipt, before=before)
    priced = wallet.quotes.get(value.quote_digest)
    if priced is None:
        raise ProtocolError("the quote of the receipt is not in the wallet", requirement="PAY-RCP-005")
    quote, card = priced
    check_signer(receipt, cards=_cards(wallet, card))
    if value.refund_of:
        check_refund(receipt, earlier=receipts[:at])
        return
    intent = wallet.intent(RequestId(value.request_id))
    if intent is None or intent.ask_digest != value.ask_digest:
        raise ProtocolError("the receipt is for an ask that was not paid for", requirement="PAY-RCP-005")
    tariff = quote.value.tariff
    due = charge_of(tariff, value.usage, ceiling=intent.ceiling) if tariff else 0
    if value.charge > due:
        raise ProtocolError(f"{value.charge} is charged, and {due} is due", requirement="PAY-RCP-005")


def _cards(wallet: Wallet, priced: Signed[NodeCard]) -> Iterator[NodeCard]:
    """Yields the card that a quote rests on, then the others: a refund may come long after the keys of that one."""
    yield priced.value
    yield from (one.value for one in wallet.quotes.cards())


def _check_terms(value: Receipt, terms: Signed[SessionTerms]) -> None:
    agreed = terms.value
    account = (value.session_id, value.payer, value.node_id, value.asset, value.backing, value.issuer)
    if account != (terms.digest, agreed.payer, agreed.payee, agreed.asset, agreed.backing, agreed.issuer):
        raise ProtocolError("the receipt is of another session than its terms", requirement="PAY-RCP-005")


def _sums(session: WalletSession, receipts: tuple[Signed[Receipt], ...]) -> Iterator[Check]:
    if not receipts:
        return
    last, asset = receipts[-1].value, session.terms.value.asset
    yield Check(
        name=f"the receipts of session {session.session_id.hex()[:16]} add up",
        requirement="PAY-RCP-003",
        passed=(last.session_spent, last.session_refunded) == (session.spent, session.refunded),
        explanation=f"{len(receipts)} receipts, {Amount(session.spent, asset)} spent,"
        f" {Amount(session.refunded, asset)} given back",
    )
