"""Rules of meters (spec section 3.6): a log of a paid answer is read, and what it tells of the charge is counted again.

What the reader cannot count, as the tokens of the prompt and the time that passed, is taken from the Meters themselves,
and always so that a node that keeps the rules is not found at fault.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from google.protobuf.message import DecodeError

from consilience.v1 import ask_pb2, payment_pb2
from consilience_conformance.rules.fields import field_findings
from consilience_conformance.rules.payments import Signed, differs, opened, signed_by_the_node
from consilience_conformance.rules.receipts import Deal
from consilience_conformance.transcripts import Exchange
from consilience_conformance.verdicts import Finding
from consilience_conformance.wire_values import nanoseconds_of

METER = "consilience.v1.Meter"
_COUNTS = ("input_tokens", "cached_input_tokens", "output_tokens", "hidden_tokens", "output_bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What a payer had allowed, and when.

    Attributes:
        at: When it was sent.
        cumulative: The total of the session.
    """

    at: float
    cumulative: int


@dataclass(slots=True, kw_only=True)
class _Reading:
    """How far a log was read.

    Attributes:
        text: All deltas, as bytes.
        output_tokens: The sum of theirs.
        meter: The last one.
        base: The charge of the last Meter, or of Accepted; None: it is not known yet.
    """

    text: bytearray = field(default_factory=bytearray)
    output_tokens: int = 0
    meter: payment_pb2.Meter | None = None
    base: int = 0


def meters_in(exchange: Exchange) -> list[Signed[payment_pb2.Meter]]:
    """Returns the Meters of a log, as far as they parse."""
    found = [opened(event.metered.meter, payment_pb2.Meter) for _, event in events_of(exchange) if _is_meter(event)]
    return [one for one in found if one is not None]


def needs_in(exchange: Exchange) -> list[ask_pb2.PaymentNeeded]:
    """Returns how often, and for what, a log asked for a voucher."""
    return [event.payment_needed for _, event in events_of(exchange) if event.HasField("payment_needed")]


def events_of(exchange: Exchange) -> Iterator[tuple[float, ask_pb2.AnswerEvent]]:
    """Yields the events of a stream with the time of their arrival; messages that do not parse bring none."""
    for response in exchange.responses:
        try:
            message = ask_pb2.AskResponse.FromString(response.data)
        except DecodeError:
            continue
        yield from ((response.at, event) for event in message.events)


def _is_meter(event: ask_pb2.AnswerEvent) -> bool:
    return event.WhichOneof("event") == "metered"


def meter_findings(exchange: Exchange, deal: Deal, *, spent_before: int | None = None) -> Iterator[Finding]:
    """Yields what is wrong with the Meters of a log that was read from its beginning (PAY-MTR-001, -002, PAY-TRF-001).

    Args:
        exchange: That read the log.
        deal: On which the ask was made.
        spent_before: What the session had spent before, if the ask was the only one that ran; None: other asks ran.
    """
    reading = _Reading(base=_charge_of_accepted(exchange, deal))
    for _, event in events_of(exchange):
        match event.WhichOneof("event"):
            case "text_delta":
                reading.text += event.text_delta.text.encode()
                reading.output_tokens += event.text_delta.output_tokens
                yield from _spacing(reading, deal, exchange=exchange.name)
            case "metered":
                yield from _meter(event, reading, deal, exchange=exchange.name, spent_before=spent_before)


def metered_before(exchange: Exchange, deal: Deal, *, event: str) -> int:
    """Returns the charge of the last Meter before the first event of a kind, or of Accepted, where there is none."""
    charge = _charge_of_accepted(exchange, deal)
    for _, one in events_of(exchange):
        if one.WhichOneof("event") == event:
            break
        found = opened(one.metered.meter, payment_pb2.Meter) if _is_meter(one) else None
        charge = found.value.charge if found is not None else charge
    return charge


def _charge_of_accepted(exchange: Exchange, deal: Deal) -> int:
    """Returns the charge before there was text: the question's, whose tokens the first Meter or the answer counts."""
    meters = meters_in(exchange)
    usage = ask_pb2.Usage()
    if meters:
        first = meters[0].value.usage
        usage = ask_pb2.Usage(input_tokens=first.input_tokens, cached_input_tokens=first.cached_input_tokens)
    return deal.charge(usage)


def _least_usage(reading: _Reading) -> ask_pb2.Usage:
    """Returns what was used at least: the text that was read, and the rest as the last Meter told it."""
    usage = ask_pb2.Usage()
    if reading.meter is not None:
        usage.CopyFrom(reading.meter.usage)
    usage.output_bytes = len(reading.text)
    usage.output_tokens = reading.output_tokens
    return usage


def _spacing(reading: _Reading, deal: Deal, *, exchange: str) -> Iterator[Finding]:
    least = deal.charge(_least_usage(reading))
    most = reading.base + deal.quote.value.window
    if least > most:
        yield differs(
            "PAY-MTR-001",
            "more than a window of text came without a Meter",
            expected=f"a Meter before the charge is above {most}",
            got=f"text for {least}",
            exchange=exchange,
        )
        reading.base = least  # told once for each window


def _meter(
    event: ask_pb2.AnswerEvent, reading: _Reading, deal: Deal, *, exchange: str, spent_before: int | None
) -> Iterator[Finding]:
    found = opened(event.metered.meter, payment_pb2.Meter)
    yield from signed_by_the_node(event.metered.meter, payment_pb2.Meter, card=deal.card, exchange=exchange)
    if found is None:
        return
    meter = found.value
    yield from field_findings(found.envelope.payload, METER, exchange=exchange)
    for what, expected, got in (
        ("ask_digest", deal.ask.digest, meter.ask_digest),
        ("quote_digest", deal.quote.digest, meter.quote_digest),
        ("session_id", deal.terms.digest, meter.session_id),
        ("transcript_digest", hashlib.sha256(reading.text).digest(), meter.transcript_digest),
        ("output_bytes", len(reading.text), meter.usage.output_bytes),
        ("output_tokens", reading.output_tokens, meter.usage.output_tokens),
    ):
        if expected != got:
            yield differs("PAY-MTR-002", f"a Meter tells another {what}", expected=expected, got=got, exchange=exchange)
    yield from _never_lower(meter, reading.meter, exchange=exchange)
    charge = deal.charge(meter.usage)
    if meter.charge != charge:
        yield differs(
            "PAY-TRF-001",
            "a Meter tells another charge than its usage has",
            expected=charge,
            got=meter.charge,
            exchange=exchange,
        )
    if spent_before is not None:
        wanted = spent_before + min(meter.charge + deal.quote.value.window, deal.ceiling)
        if meter.required_cumulative != wanted:
            yield differs(
                "PAY-MTR-002",
                "a Meter tells another required_cumulative",
                expected=wanted,
                got=meter.required_cumulative,
                exchange=exchange,
            )
    reading.meter, reading.base = meter, meter.charge


def _never_lower(meter: payment_pb2.Meter, before: payment_pb2.Meter | None, *, exchange: str) -> Iterator[Finding]:
    if before is None:
        return
    for name in (*_COUNTS, "duration"):
        was, now = (_count(one.usage, name) for one in (before, meter))
        if now < was:
            yield differs(
                "PAY-MTR-002",
                f"a Meter counts less {name} than the one before",
                expected=was,
                got=now,
                exchange=exchange,
            )


def _count(usage: ask_pb2.Usage, name: str) -> int:
    return nanoseconds_of(usage.duration) if name == "duration" else int(getattr(usage, name))


def authority_findings(
    exchange: Exchange, deal: Deal, *, allowances: Sequence[Allowance], spent_before: int = 0
) -> Iterator[Finding]:
    """Yields text that came before it was authorized, of an answer that is the only one of its session (PAY-LIM-001).

    Args:
        exchange: That read the log from its beginning while it was written.
        deal: On which the ask was made.
        allowances: The vouchers of the session, with the times at which they were sent.
        spent_before: What the session had spent before.
    """
    reading = _Reading()
    for at, event in events_of(exchange):
        if _is_meter(event):
            found = opened(event.metered.meter, payment_pb2.Meter)
            reading.meter = found.value if found is not None else reading.meter
        if event.WhichOneof("event") != "text_delta":
            continue
        reading.text += event.text_delta.text.encode()
        reading.output_tokens += event.text_delta.output_tokens
        authorized = max((one.cumulative for one in allowances if one.at <= at), default=0)
        least = deal.charge(_least_usage(reading))
        if spent_before + least > authorized:
            yield differs(
                "PAY-LIM-001",
                "text came before it was authorized",
                expected=f"at most {authorized} of the session",
                got=f"{spent_before + least}",
                exchange=exchange.name,
            )
            return
