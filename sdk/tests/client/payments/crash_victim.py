"""A paying process that is killed at a labelled place: `python crash_victim.py ADDRESS FOLDER PLACE`."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from consilience.client.payments.calls import PaymentCalls
from consilience.client.payments.settlements import Settlements
from consilience.client.payments.wallet_receipts import WalletReceipts
from consilience.client.payments.wallet_transfers import WalletTransfers
from consilience.client.payments.wallets import Wallet
from consilience.identity import KeyPair
from sdk.tests.client.payments.shops import customer

PLACES: dict[str, tuple[type, str, str]] = {
    "quote is kept": (Wallet, "add_session", "before"),
    "session is written down": (Wallet, "add_session", "after"),
    "session is open": (PaymentCalls, "open", "after"),
    "deposit is written down": (WalletTransfers, "begin_deposit", "after"),
    "deposit is instructed": (WalletTransfers, "instruct", "after"),
    "deposit is credited": (PaymentCalls, "confirm", "after"),
    "payment is about to be written down": (Wallet, "begin", "before"),
    "payment is written down": (Wallet, "begin", "after"),
    "ask is written down": (Wallet, "bind", "after"),
    "voucher is written down": (Wallet, "authorize", "after"),
    "voucher is brought": (PaymentCalls, "submit", "after"),
    "receipt came": (Settlements, "keep", "before"),
    "receipt is kept": (WalletReceipts, "keep", "after"),
    "receipt is acknowledged": (PaymentCalls, "acknowledge", "after"),
}
"""Where the process is killed: before or after which step."""


def die_at(place: str) -> None:
    """Has this process killed when it comes to a place."""
    owner, name, when = PLACES[place]
    step: Callable[..., Any] = getattr(owner, name)

    def killing(*words: Any, **options: Any) -> Any:
        if when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        done = step(*words, **options)
        os.kill(os.getpid(), signal.SIGKILL)
        return done

    async def killing_later(*words: Any, **options: Any) -> Any:
        if when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        done = await step(*words, **options)
        os.kill(os.getpid(), signal.SIGKILL)
        return done

    setattr(owner, name, killing_later if asyncio.iscoroutinefunction(step) else killing)


async def main(address: str, folder: Path) -> None:
    async with customer(folder, key=KeyPair.load(folder / "payer.key")) as client:
        await client.ask("?", node=address, skill="words")


if __name__ == "__main__":
    die_at(sys.argv[3])
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
