"""Paying: the client's side of spec chapter 3, over real calls and with a wallet that outlives the process."""

from __future__ import annotations

from consilience.client.payments.desk import PaymentDesk, SkillPrice
from consilience.client.payments.statements import Statement, StatementLine
from consilience.client.payments.wallet_rows import PaymentIntent, PaymentStatus, WalletSession, WalletTransfer
from consilience.client.payments.wallets import Wallet, default_wallet_file

__all__ = [
    "PaymentDesk",
    "PaymentIntent",
    "PaymentStatus",
    "SkillPrice",
    "Statement",
    "StatementLine",
    "Wallet",
    "WalletSession",
    "WalletTransfer",
    "default_wallet_file",
]
