"""Paying: the client's side of spec chapter 3, over real calls and with a wallet that outlives the process."""

from __future__ import annotations

from consilience.client.payments.wallets import Wallet

__all__ = ["Wallet"]
