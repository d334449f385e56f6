"""The Python SDK under test: the small adapter with which the conformance suite speaks to a client.

    consilience-conformance client --command 'python examples/clients/python/client_under_test.py'

It reads one instruction per line and writes what its user would get. Copy it, and put your SDK in the place of ours.
How suite and adapter speak stands in docs/guides/test-your-client.md.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from consilience.client import Client
from consilience.errors import ConsilienceError, RefusedError
from consilience.identity import KeyPair
from consilience.nodes import DataClass
from consilience.payments import Amount, Budget
from consilience.rails.hold import HoldPayer

PROTOCOL = "consilience-client/1"
HELLO = {
    "protocol": PROTOCOL,
    "name": "consilience",
    "language": "Python",
    "supports": ["data-class", "trusted-nodes", "give-up", "pay"],
}

Instruction = Mapping[str, Any]
Reply = Mapping[str, Any]


class ClientUnderTest:
    """Does what it is told with one client at a time.

    Args:
        folder: Where cards and payments are remembered: not where the user's own client keeps them.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._client: Client | None = None

    async def open(self, told: Instruction) -> Reply:
        """Makes a client, in place of the one there was."""
        await self.close()
        options = {"trusted_nodes": told["trusted"], "card_file": self._folder / "cards.sqlite"}
        self._client = Client(KeyPair.generate(), **options, **_purse(told.get("budget"), self._folder))
        return {"done": True}

    async def ask(self, told: Instruction) -> Reply:
        """Asks a node, and returns what a user gets: an answer, a refusal, or an error."""
        try:
            result = await self._used.ask(told["question"], node=told["address"], **_options(told))
        except RefusedError as error:
            return {"refused": error.reason.removeprefix("ERROR_REASON_")}
        except ConsilienceError as error:
            return {"rejected": str(error)}
        answered = {"text": result.text, "outcome": result.outcome.name}
        return {"answered": answered | ({"charged": result.cost.value} if result.cost else {})}

    async def give_up(self, told: Instruction) -> Reply:
        """Asks a node, and leaves once the first text is there."""
        try:
            async with self._used.stream(told["question"], node=told["address"], **_options(told)) as stream:
                await anext(stream)
        except ConsilienceError as error:
            return {"rejected": str(error)}
        return {"done": True}

    async def close(self) -> None:
        """Closes the client."""
        if self._client is not None:
            await self._client.close()

    @property
    def _used(self) -> Client:
        if self._client is None:
            raise RuntimeError("the first instruction is to open a client")
        return self._client


def _purse(budget: Mapping[str, Any] | None, folder: Path) -> dict[str, Any]:
    """Returns what a client pays with: promises by hold.v1, on credit or prepaid; without a budget nothing."""
    if budget is None:
        return {}
    per_ask, asset = budget["perAsk"], budget["asset"]
    return {
        "budget": Budget(per_ask=Amount(per_ask, asset), per_day=Amount(1000 * per_ask, asset)),
        "wallet": folder / "wallet.sqlite",
        "rails": [HoldPayer(max_credit=per_ask)],
    }


def _options(told: Instruction) -> dict[str, Any]:
    """Returns what the user says about an ask; the class only where one is said."""
    options = {"skill": told["skill"], "timeout": told["seconds"]}
    return options | ({"data_class": DataClass[told["dataClass"]]} if "dataClass" in told else {})


async def reply_to(told: Instruction, client: ClientUnderTest) -> Reply:
    """Returns what came of an instruction, or of the handshake."""
    match told:
        case {"protocol": _}:
            return HELLO
        case {"do": "open"}:
            return await client.open(told)
        case {"do": "ask"}:
            return await client.ask(told)
        case {"do": "giveUp"}:
            return await client.give_up(told)
        case _:
            return {"unsupported": True}


async def main() -> None:
    """Reads instructions until there are no more."""
    with tempfile.TemporaryDirectory() as folder:
        client = ClientUnderTest(Path(folder))
        while line := await asyncio.to_thread(sys.stdin.readline):
            told = json.loads(line)
            print(json.dumps({"id": told["id"], **await reply_to(told, client)}), flush=True)
        await client.close()


if __name__ == "__main__":
    asyncio.run(main())
