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

from consilience.client import AskResult, Client
from consilience.client.payments import WalletSession
from consilience.errors import ConsilienceError, RefusedError
from consilience.identity import KeyPair, format_node_id
from consilience.nodes import DataClass
from consilience.payments import Amount, Budget
from consilience.rails.hold import HoldPayer
from consilience.reviews import Verdict
from consilience.units import Digest

PROTOCOL = "consilience-client/1"
HELLO = {
    "protocol": PROTOCOL,
    "name": "consilience",
    "language": "Python",
    "supports": ["data-class", "trusted-nodes", "give-up", "pay", "registry"],
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
        self._answers: dict[int, AskResult] = {}

    async def open(self, told: Instruction) -> Reply:
        """Makes a client, in place of the one there was."""
        await self.close()
        self._answers.clear()
        self._client = Client(
            KeyPair.generate(),
            trusted_nodes=told["trusted"],
            registries=told.get("registries", ()),
            card_file=self._folder / "cards.sqlite",
            **_purse(told.get("budget"), self._folder),
        )
        return {"done": True}

    async def ask(self, told: Instruction) -> Reply:
        """Asks a node, and returns what a user gets: an answer, a refusal, or an error."""
        try:
            result = await self._used.ask(told["question"], node=told["address"], **_options(told))
        except RefusedError as error:
            return {"refused": error.reason.removeprefix("ERROR_REASON_")}
        self._answers[told["id"]] = result
        answered = {"text": result.text, "outcome": result.outcome.name}
        return {"answered": answered | ({"charged": result.cost.value} if result.cost else {})}

    async def give_up(self, told: Instruction) -> Reply:
        """Asks a node, and leaves once the first text is there."""
        async with self._used.stream(told["question"], node=told["address"], **_options(told)) as stream:
            await anext(stream)
        return {"done": True}

    async def find(self, told: Instruction) -> Reply:
        """Looks for nodes in all registries, and returns the cards that a user may rely on."""
        options = {"skill": told["skill"], "data_class": DataClass[told["dataClass"]]}
        found = await self._used.find(near=told.get("near", ""), **options)
        cards = [node.card for node in found.nodes]
        return {"found": [{"node": format_node_id(card.value.node_id), "card": card.digest.hex()} for card in cards]}

    async def about(self, told: Instruction) -> Reply:
        """Reads what is said of a node, and returns what counts of it."""
        opinions = await self._used.reviews.about(told["node"])
        return {
            "said": [
                {"record": one.record.place.digest.hex()} | ({"rebuttal": one.rebuttal.comment} if one.rebuttal else {})
                for one in (*opinions.reviews, *opinions.advisories)
            ]
        }

    async def read(self, told: Instruction) -> Reply:
        """Reads one record."""
        record = await self._used.reviews.get(Digest(bytes.fromhex(told["record"])))
        return {"said": [{"record": record.digest.hex()}]}

    async def review(self, told: Instruction) -> Reply:
        """Publishes what an answer was worth."""
        await self._used.reviews.review(self._answers[told["of"]], verdict=Verdict[told["verdict"]])
        return {"done": True}

    async def withdraw(self, told: Instruction) -> Reply:
        """Gets money back from a node, and returns how that stands."""
        session, *_ = await self._sessions_at(told["address"])
        async with asyncio.timeout(told["seconds"]):
            back = await self._used.payments.withdraw(session.session_id, amount=told["amount"])
        return {"withdrawn": back.status.name}

    async def account(self, told: Instruction) -> Reply:
        """Asks a node how it stands, and returns what it charged and gave back by receipts that hold."""
        known = await self._sessions_at(told["address"])
        now = [await self._used.payments.refresh(session.session_id) for session in known]
        return {"account": {"spent": sum(one.spent for one in now), "refunded": sum(one.refunded for one in now)}}

    async def close(self) -> None:
        """Closes the client."""
        if self._client is not None:
            await self._client.close()

    async def _sessions_at(self, address: str) -> list[WalletSession]:
        return [one for one in await self._used.payments.sessions() if one.address == address]

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
    if "protocol" in told:
        return HELLO
    carry_out = {
        "open": client.open,
        "ask": client.ask,
        "giveUp": client.give_up,
        "find": client.find,
        "about": client.about,
        "read": client.read,
        "review": client.review,
        "withdraw": client.withdraw,
        "account": client.account,
    }.get(told["do"])
    if carry_out is None:
        return {"unsupported": True}
    try:
        return await carry_out(told)
    except ConsilienceError as error:
        return {"rejected": str(error)}
    except TimeoutError:
        return {"rejected": "the user did not wait any longer"}


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
