"""Scripts: answers that a tester writes, behind the same log, charge and signature as all others (spec chapter 7).

`Node(…, conformance=True)` serves the skill `conformance.script`. It claims to give neither citations nor confidence
nor intake, so that an answer may come without them. Nobody may ask it without a grant that the root key has signed.
"""

from __future__ import annotations

import asyncio
import codecs
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing
from datetime import datetime, timedelta
from itertools import takewhile

from consilience._wire.envelopes import open_envelope
from consilience._wire.scripts import decode_script
from consilience._wire.violations import ViolationAtError
from consilience.asks import Blob, Citation, Outcome, Progress, StopReason, Usage
from consilience.conformance import (
    SCRIPT_MEDIA_TYPE,
    SCRIPT_MODEL_ID,
    SCRIPT_SKILL_ID,
    ConformanceGrant,
    ConformanceScript,
    OpenGate,
    ScriptedConclusion,
    ScriptedFailure,
    ScriptedToken,
    ScriptStep,
    WaitForGate,
    check_grant,
    check_script,
    require_granted,
)
from consilience.envelopes import Envelope
from consilience.errors import FieldInvalidError, GrantInvalidError, RefusedError
from consilience.nodes import Model, Skill
from consilience.server.conclusions import Conclusion
from consilience.server.gates import Gates
from consilience.server.payments.offers import Offer
from consilience.server.skills import Delta, IncomingAsk, Item, ServedSkill
from consilience.tariffs import PricedUnit, Tariff, UnitPrice

SCRIPT_SKILL = Skill(
    id=SCRIPT_SKILL_ID,
    description="Answers what a tester has written, under a grant of the operator.",
    input_media_types=(SCRIPT_MEDIA_TYPE,),
    model_ids=(SCRIPT_MODEL_ID,),
)
SCRIPT_MODEL = Model(id=SCRIPT_MODEL_ID, family="script")
SCRIPT_TARIFF_ID = "conformance-script"
SCRIPT_HOLD_OPEN = timedelta(seconds=1)
_SCRIPT_PRICES = (
    (
        (
            UnitPrice(unit=PricedUnit.REQUEST, price=5),
            UnitPrice(unit=PricedUnit.OUTPUT_TOKEN, price=1, per=3),
            UnitPrice(unit=PricedUnit.OUTPUT_BYTE, price=1, per=2),
        ),
        0,
    ),
    ((UnitPrice(unit=PricedUnit.OUTPUT_BYTE, price=2, per=3, included=6),), 9),
)
"""The prices of each unit, and the least that an answer costs, in the first asset and in the second."""

_FULL = ScriptedConclusion(outcome=Outcome.TRUNCATED, stop_reason=StopReason.OUTPUT_LIMIT)


class ScriptedFailureError(Exception):
    """A script has come to a step that fails; the node's log shows the reason at level DEBUG."""


def script_offers(assets: Sequence[str], *, lifetime: timedelta) -> tuple[Offer, ...]:
    """Returns what a script costs whose ask names a payment: a bit for each unit that a tester can count.

    The prices do not come out even, so that a node which rounds otherwise is noticed; in a second asset some units are
    included, and an answer has a least price.

    Args:
        assets: In which it may be paid; the first two count.
        lifetime: Of its quotes.
    """
    return tuple(
        Offer(
            tariff=Tariff(
                id=f"{SCRIPT_TARIFF_ID}-{number}",
                asset=asset,
                prices=prices,
                minimum_charge=least,
                tokenizer=SCRIPT_MODEL_ID,
            ),
            window=50,
            max_charge=2000,
            max_asks=20,
            total_max_charge=6000,
            hold_open=SCRIPT_HOLD_OPEN,
            lifetime=lifetime,
        )
        for number, (asset, (prices, least)) in enumerate(zip(assets, _SCRIPT_PRICES, strict=False), start=1)
    )


def script_skill(*, clock: Callable[[], datetime]) -> ServedSkill:
    """Returns the skill, with gates of its own: one for each replica.

    Args:
        clock: Tells the aware UTC time of the node.
    """
    gates = Gates()

    async def check(ask: IncomingAsk) -> None:
        check_permission(ask, now=clock())

    def answer(ask: IncomingAsk) -> AsyncIterator[Item]:
        return perform(ask, gates=gates)

    return ServedSkill(skill=SCRIPT_SKILL, handler=answer, check=check)


def check_permission(ask: IncomingAsk, *, now: datetime) -> None:
    """Checks a script and its grant, in the order of spec section 7.2.

    Raises:
        FieldInvalidError: The last turn is no script, or the script breaks a rule; paths are those in the script.
        GrantInvalidError: Its grant does not hold for this node, this caller and this time (SEC-GRANT-001).
    """
    script = _script_of(ask)
    check_script(script)
    grant = _opened(script.grant)
    # The audience of an ask that has come this far is the node itself.
    require_granted(grant, node_id=ask.ask.header.audience, caller=ask.caller, now=now)


async def perform(ask: IncomingAsk, *, gates: Gates) -> AsyncIterator[Item]:
    """Carries out the steps of a script that was checked, one after the other (SEC-SCRIPT-001).

    Raises:
        ScriptedFailureError: A step says so.
    """
    performance = _Performance(gates=gates, max_tokens=ask.max_output_tokens)
    try:
        async with aclosing(performance.items(_script_of(ask).steps)) as items:
            async for item in items:
                yield item
        yield performance.conclusion()
    except asyncio.CancelledError:
        # The node takes what this says of the work that was done, and adds what stopped it.
        yield performance.conclusion()


class _Performance:
    """What a script has come to: the tokens that it has produced, and how it ends."""

    def __init__(self, *, gates: Gates, max_tokens: int) -> None:
        """Begins; `max_tokens` is the bound on the output, 0: there is none."""
        self._gates = gates
        self._max_tokens = max_tokens
        self._tokens = 0
        self._told = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._ending: ScriptedConclusion | None = None

    async def items(self, steps: tuple[ScriptStep, ...]) -> AsyncGenerator[Item, None]:
        """Yields text, citations and progress, until the script ends."""
        for step in takewhile(lambda _: self._ending is None, steps):
            match step:
                case ScriptedToken():
                    for delta in self._deltas(step):
                        yield delta
                case WaitForGate(gate=gate):
                    await self._gates.opened(gate)
                case OpenGate(gate=gate):
                    self._gates.open(gate)
                case ScriptedFailure(reason=reason):
                    raise ScriptedFailureError(reason)
                case ScriptedConclusion():
                    self._ending = step
                case Citation() | Progress():
                    yield step
        if rest := self._decoder.decode(b"", final=True):  # of a character that was never completed
            yield self._delta(rest)

    def conclusion(self) -> Conclusion:
        """Returns how the script ends, with the tokens counted so far."""
        ending = self._ending or ScriptedConclusion()
        return Conclusion(
            outcome=ending.outcome,
            stop_reason=ending.stop_reason,
            detail=ending.detail,
            confidence=ending.confidence,
            model=SCRIPT_MODEL,
            intake=ending.intake,
            usage=Usage(input_tokens=ending.input_tokens, output_tokens=self._tokens),
        )

    def _deltas(self, token: ScriptedToken) -> Iterator[Delta]:
        """Yields what of the text is whole after each repetition: characters, and U+FFFD for bytes that are none."""
        for _ in range(token.repetitions):
            self._tokens += 1
            if text := self._decoder.decode(token.data):
                yield self._delta(text)
            if self._tokens == self._max_tokens:
                self._ending = _FULL
                return

    def _delta(self, text: str) -> Delta:
        """Returns text with the tokens that have gone into it."""
        tokens, self._told = self._tokens - self._told, self._tokens
        return Delta(text=text, output_tokens=tokens)


def _script_of(ask: IncomingAsk) -> ConformanceScript:
    turn = ask.turns[-1]
    place = f"turns[{len(ask.turns) - 1}].parts"
    match turn.parts:
        case (Blob(data=data),):
            return _decoded(data, place=f"{place}[0].blob.data")
        case _:
            raise ViolationAtError(place, "must be one blob, the script")


def _decoded(data: bytes, *, place: str) -> ConformanceScript:
    try:
        return decode_script(data)
    except ViolationAtError as error:
        if error.path:
            raise
        raise ViolationAtError(place, error.description) from error


def _opened(envelope: Envelope) -> ConformanceGrant:
    """Returns a grant whose signature verifies and whose fields keep their rules."""
    try:
        grant = open_envelope(envelope, ConformanceGrant).value
        check_grant(grant)
    except FieldInvalidError as error:
        raise GrantInvalidError(f"the grant breaks a rule: {error}") from error
    except RefusedError as error:
        # By its reason alone: the message may quote the ask.
        raise GrantInvalidError(f"the grant cannot be accepted: {error.reason}") from error
    return grant
