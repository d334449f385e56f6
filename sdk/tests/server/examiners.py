"""Examiners: callers that write the answers of a node, under a grant of its root key."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from consilience._wire.envelopes import from_bytes
from consilience._wire.scripts import encode_script
from consilience.asks import Ask, Blob, Role, Turn
from consilience.conformance import (
    SCRIPT_MEDIA_TYPE,
    SCRIPT_SKILL_ID,
    ConformanceScript,
    ScriptedToken,
    ScriptStep,
)
from consilience.envelopes import Envelope, Signed
from consilience.identity import KeyPair
from consilience.server import Node
from consilience.server.grants import grant_tester
from sdk.tests.server.callers import AnswerCall, Caller, Reading, calling


def text(data: str | bytes, times: int = 0) -> ScriptedToken:
    return ScriptedToken(data=data.encode() if isinstance(data, str) else data, times=times)


@dataclass(kw_only=True)
class Examiner:
    """Asks for scripted answers."""

    caller: Caller
    grant: Envelope

    def script(self, *steps: ScriptStep, grant: Envelope | None = None, **changes: Any) -> Ask:
        script = ConformanceScript(grant=grant or self.grant, steps=steps)
        return self.blob(encode_script(script), **changes)

    def blob(self, data: bytes, **changes: Any) -> Ask:
        turn = Turn(role=Role.ASKER, parts=(Blob(media_type=SCRIPT_MEDIA_TYPE, data=data),))
        ask = replace(self.caller.question(skill_id=SCRIPT_SKILL_ID), turns=(turn,))
        return replace(ask, **changes)

    def open(self, *steps: ScriptStep, **changes: Any) -> tuple[Signed[Ask], AnswerCall]:
        signed = self.caller.sign(self.script(*steps, **changes))
        return signed, self.caller.send(signed.envelope)

    async def play(self, *steps: ScriptStep, **changes: Any) -> Reading:
        """Has a script carried out, reads to the end, and checks the signed answer."""
        signed, call = self.open(*steps, **changes)
        reading = await call.rest()
        self.caller.check(signed, reading)
        return reading

    async def ask(self, ask: Ask) -> Reading:
        return await self.caller.send(self.caller.sign(ask).envelope).rest()


@asynccontextmanager
async def examining(node: Node, *, root: KeyPair) -> AsyncIterator[Examiner]:
    """Serves a node, and lets one examiner in."""
    async with node.serving("127.0.0.1:0") as running, calling(running) as caller:
        encoded = grant_tester(
            root, testers=[caller.key.public_key], lifetime=timedelta(minutes=30), now=caller.clock()
        )
        yield Examiner(caller=caller, grant=from_bytes(encoded))
