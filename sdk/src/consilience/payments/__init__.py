"""Payments: what an answer costs, the account it is paid from, and the receipt (spec chapter 3). Rules, no I/O."""

from __future__ import annotations

from consilience.payments.amounts import Amount
from consilience.payments.budgets import Budget
from consilience.payments.calls import (
    ACKNOWLEDGE_METHOD,
    CLOSE_METHOD,
    CONFIRM_METHOD,
    GET_SESSION_METHOD,
    LIST_METHOD,
    OPEN_METHOD,
    QUOTE_METHOD,
    VOUCHER_METHOD,
    WITHDRAW_METHOD,
    AcknowledgeReceiptCall,
    CloseSessionCall,
    ConfirmDepositCall,
    GetQuoteCall,
    GetSessionCall,
    ListReceiptsCall,
    OpenSessionCall,
    PaymentCall,
    WithdrawCall,
    check_payment_call,
)
from consilience.payments.costs import MAX_AMOUNT, charge_of, cost
from consilience.payments.exposures import Exposure, least_cost, question_cost
from consilience.payments.list_prices import ListPrices
from consilience.payments.quotes import MAX_QUOTE_LIFETIME, CardOutdatedError, Quote, check_quote
from consilience.payments.receipts import (
    Meter,
    Receipt,
    check_chain,
    check_meter,
    check_receipt,
    check_refund,
    funding_commitment,
)
from consilience.payments.sessions import (
    Account,
    SessionState,
    SessionStatus,
    SessionTerms,
    Voucher,
    check_terms,
    check_voucher,
)
from consilience.payments.transfers import DepositInstruction, Hold, HoldRelease, TransferStatus, check_hold

__all__ = [
    "ACKNOWLEDGE_METHOD",
    "CLOSE_METHOD",
    "CONFIRM_METHOD",
    "GET_SESSION_METHOD",
    "LIST_METHOD",
    "MAX_AMOUNT",
    "MAX_QUOTE_LIFETIME",
    "OPEN_METHOD",
    "QUOTE_METHOD",
    "VOUCHER_METHOD",
    "WITHDRAW_METHOD",
    "Account",
    "AcknowledgeReceiptCall",
    "Amount",
    "Budget",
    "CardOutdatedError",
    "CloseSessionCall",
    "ConfirmDepositCall",
    "DepositInstruction",
    "Exposure",
    "GetQuoteCall",
    "GetSessionCall",
    "Hold",
    "HoldRelease",
    "ListPrices",
    "ListReceiptsCall",
    "Meter",
    "OpenSessionCall",
    "PaymentCall",
    "Quote",
    "Receipt",
    "SessionState",
    "SessionStatus",
    "SessionTerms",
    "TransferStatus",
    "Voucher",
    "WithdrawCall",
    "charge_of",
    "check_chain",
    "check_hold",
    "check_meter",
    "check_payment_call",
    "check_quote",
    "check_receipt",
    "check_refund",
    "check_terms",
    "check_voucher",
    "cost",
    "funding_commitment",
    "least_cost",
    "question_cost",
]
