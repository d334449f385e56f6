"""Adapters: the running program that does with an SDK what it is told, and reports what its user would get."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from consilience_conformance.client_side.replies import PROTOCOL, parse_reply
from consilience_conformance.line_protocol.handshakes import Handshake, parse_handshake
from consilience_conformance.line_protocol.processes import Budget, CommandProcess, started
from consilience_conformance.transcripts import JsonValue

REPLY_SECONDS = 30.0
"""How long an instruction may take: as long as its user waits, and some patience with the machine."""

BUDGET = Budget(reply=REPLY_SECONDS, whole=600.0)


class Adapter:
    """A running adapter. Made by `running`; used by one task.

    Attributes:
        client: Who it says it is.
        told: The id of the instruction that it was given last.
    """

    def __init__(self, process: CommandProcess, *, client: Handshake) -> None:
        self.client = client
        self._process = process
        self.told = 0

    @property
    def stderr(self) -> str:
        """The end of what it wrote to standard error."""
        return self._process.stderr

    async def tell(self, instruction: str, **fields: JsonValue) -> dict[str, JsonValue]:
        """Gives an instruction and returns what came of it.

        Raises:
            CommandBreach: The adapter broke the protocol, ended or was silent.
        """
        self.told += 1
        line = json.dumps({"id": self.told, "do": instruction, **fields}).encode()
        text = await self._process.exchange(line, seconds=REPLY_SECONDS)
        return parse_reply(text, number=self.told, line=self._process.lines)

    async def finish(self) -> None:
        """Ends its input and waits for its end; raises as `tell`."""
        await self._process.finish()


@asynccontextmanager
async def running(command: str, *, budget: Budget = BUDGET) -> AsyncIterator[Adapter]:
    """Starts an adapter and shakes hands; it is killed on the way out.

    Raises:
        CommandBreach: It does not start, or speaks another protocol.
    """
    async with started(command, budget=budget) as process:
        hello = await process.exchange(json.dumps({"id": 0, "protocol": PROTOCOL}).encode(), seconds=budget.start)
        client = parse_handshake(hello, protocol=PROTOCOL, speaker="adapter", offers="supports")
        yield Adapter(process, client=client)
