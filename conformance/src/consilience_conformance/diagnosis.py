"""Diagnosis: what can be seen of a node within seconds, before it is judged."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from time import monotonic

from cryptography import x509

from consilience.v1 import ask_pb2, error_details_pb2, node_pb2
from consilience_conformance.ask_methods import ASK
from consilience_conformance.asking_prices import AskingPrice, asking_prices
from consilience_conformance.callers import Caller
from consilience_conformance.rules import cards
from consilience_conformance.rules.refusals import outcome_of, refusal_of
from consilience_conformance.stage import Stage, accepted
from consilience_conformance.subjects import Subject
from consilience_conformance.surroundings import Surroundings
from consilience_conformance.targets import Target, UnreachableError, reach
from consilience_conformance.transcripts import Transcript
from consilience_conformance.verdicts import Finding
from consilience_conformance.wire_values import shown_time, time_of

MAX_SECONDS = 4.8
MAX_SKEW = timedelta(seconds=30)
"""What a header may come from the future (spec section 0.4)."""

_STEP_SECONDS = 2.0
_LONG_AGO = timedelta(hours=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """What was seen of a node's clock.

    Attributes:
        ahead: How far it is before this one, or None: the node did not tell.
        within: How exact that is: half a round trip.
        because: Why it is not known.
    """

    ahead: timedelta | None = None
    within: timedelta = timedelta(0)
    because: str = ""

    @property
    def is_off(self) -> bool:
        """Whether asks would be refused for it."""
        return self.ahead is not None and abs(self.ahead) - self.within > MAX_SKEW


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What was seen.

    Attributes:
        target: The node.
        took: Seconds of the first contact.
        findings: What is wrong with the card and the certificate.
        certificate: The one that was shown, or None: plain.
        clock: Of the node.
        prices: What its skills cost; none: the card has no tariffs.
    """

    target: Target
    took: float
    findings: tuple[Finding, ...]
    certificate: x509.Certificate | None
    clock: Clock
    prices: tuple[AskingPrice, ...]

    @property
    def pinned(self) -> bool:
        """Whether the certificate is the node's own, and not one of a public authority."""
        return self.target.transport.trusted is not None


async def diagnose(address: str) -> Diagnosis:
    """Looks at a node for `MAX_SECONDS` at most.

    Raises:
        AddressError: The address is none.
        UnreachableError: Nothing answers there with a card, in time.
    """
    try:
        async with asyncio.timeout(MAX_SECONDS):
            began = monotonic()
            target = await reach(address, seconds=_STEP_SECONDS)
            took = monotonic() - began
            clock, prices = await asyncio.gather(_clock(target), _prices(target))
            return Diagnosis(
                target=target,
                took=took,
                findings=tuple(_findings(target)),
                certificate=_certificate(target),
                clock=clock,
                prices=prices,
            )
    except TimeoutError as error:
        raise UnreachableError(f"{address} did not answer within {MAX_SECONDS:g} s") from error


def _findings(target: Target) -> Iterator[Finding]:
    yield from cards.content_findings(target.envelope)
    yield from cards.key_findings(target.card)
    yield from cards.plain_findings(target.card)
    if target.transport.certificate and cards.pins_of(target.card):
        yield from cards.certificate_findings(target.card, target.transport.certificate)


def _certificate(target: Target) -> x509.Certificate | None:
    shown = target.transport.certificate
    return x509.load_der_x509_certificate(shown) if shown else None


async def _clock(target: Target) -> Clock:
    """Reads the node's clock from the refusal of a call that has expired long ago."""
    stage = _stage(target, name="clock")
    try:
        sent = datetime.now(UTC)
        ask = stage.ask(header=stage.header(ASK, age=_LONG_AGO))
        exchange = await stage.call("expired", ASK, ask_pb2.AskRequest(ask=stage.seal(ask)), until=accepted)
        half = (datetime.now(UTC) - sent) / 2
    finally:
        await stage.close()
    told = refusal_of(exchange).details.get(error_details_pb2.ServerTime.DESCRIPTOR.full_name)
    if not isinstance(told, error_details_pb2.ServerTime):
        return Clock(because=f"an expired call brought no time of the node: {outcome_of(exchange)}")
    time = time_of(told.server_time)
    if time is None:
        return Clock(because=f"an expired call brought a time that is none: {shown_time(told.server_time)}")
    return Clock(ahead=time - (sent + half), within=half)


async def _prices(target: Target) -> tuple[AskingPrice, ...]:
    stage = _stage(target, name="prices")
    try:
        return await asking_prices(stage, seconds=_STEP_SECONDS / 2)
    finally:
        await stage.close()


def _stage(target: Target, *, name: str) -> Stage:
    return Stage(
        target=target,
        subject=Subject(skill=_any_skill(target.card.skills), question=""),
        callers=[Caller.new()],
        grant=None,
        random=Random(0),  # noqa: S311 - nothing is kept secret by it
        budget=_STEP_SECONDS / 2,
        transcript=Transcript(check=name),
        surroundings=Surroundings(),
    )


def _any_skill(skills: Sequence[node_pb2.Skill]) -> node_pb2.Skill:
    return skills[0] if skills else node_pb2.Skill(id="any")
