"""Skills that tests serve: one repeats what it is told, word by word, one counts until it is stopped."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from consilience.server import IncomingAsk, Node

PATIENCE_SECONDS = 20.0


@dataclass
class Counting:
    """The engine of the skill `count`: one token after the other, counted, until it is stopped.

    Attributes:
        asks: How often it was started.
        tokens: How many tokens it made.
        stopped: How often it was told to stop.
        pace: Seconds from token to token.
    """

    asks: int = 0
    tokens: int = 0
    stopped: int = 0
    pace: float = 0.001
    limit: int = 1_000_000
    running: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, _ask: IncomingAsk) -> AsyncIterator[str]:
        self.asks += 1
        try:
            for number in range(self.limit):
                await asyncio.sleep(self.pace)
                self.tokens += 1
                yield f"{number} "
                self.running.set()
        except asyncio.CancelledError:
            self.stopped += 1
            raise

    async def has_begun(self) -> None:
        """Waits for the first token; a node that refused the ask makes the test fail soon, and not hang."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.running.wait()

    async def stands_still(self) -> bool:
        """Tells whether no token is made for a good while."""
        before = self.tokens
        await asyncio.sleep(20 * self.pace)
        return self.tokens == before


def serve_test_skills(node: Node, counting: Counting) -> None:
    """Gives a node the skills `echo` and `count`."""
    node.skill("echo")(echo)
    node.skill("count")(counting.answer)


async def echo(ask: IncomingAsk) -> AsyncIterator[str]:
    first, *rest = ask.text.split(" ")
    yield first
    for word in rest:
        yield f" {word}"
