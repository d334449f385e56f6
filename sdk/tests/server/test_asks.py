import asyncio
from collections.abc import AsyncIterator

import pytest

from consilience.asks import Accepted, Citation, Confidence, DocumentSource, Final, Outcome, Progress, StopReason, Usage
from consilience.identity import KeyPair
from consilience.nodes import Model
from consilience.server import Conclusion, IncomingAsk, Item, Node
from consilience.units import utc_now
from sdk.tests.server.callers import Caller, calling


async def test_an_answer_arrives_whole_and_signed(node: Node) -> None:
    async with node.serving("127.0.0.1:0") as running, calling(running) as caller:
        signed, reading = await caller.ask("good morning")
    assert isinstance(reading.events[0].event, Accepted)
    assert reading.events[0].event.ask_digest == signed.digest
    assert isinstance(reading.events[-1].event, Final)
    assert reading.text == "good morning"
    answer = reading.final.answer.value
    assert (answer.outcome, answer.stop_reason) == (Outcome.ANSWERED, StopReason.COMPLETE)
    assert answer.usage.output_bytes == len("good morning")
