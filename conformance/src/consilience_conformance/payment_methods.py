"""The methods of payments by their full names, without a leading slash."""

from __future__ import annotations

GET_QUOTE = "consilience.v1.PaymentService/GetQuote"
OPEN = "consilience.v1.PaymentService/OpenSession"
CONFIRM = "consilience.v1.PaymentService/ConfirmDeposit"
SUBMIT = "consilience.v1.PaymentService/SubmitVoucher"
GET_SESSION = "consilience.v1.PaymentService/GetSession"
ACKNOWLEDGE = "consilience.v1.PaymentService/AcknowledgeReceipt"
LIST = "consilience.v1.PaymentService/ListReceipts"
WITHDRAW = "consilience.v1.PaymentService/Withdraw"
CLOSE = "consilience.v1.PaymentService/CloseSession"
