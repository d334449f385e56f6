"""Headers: a call is for one method, one node and a stretch of time (spec sections 0.4 and 6.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

from consilience.v1 import error_details_pb2
from consilience.v1.envelope_pb2 import CallHeader, SignedEnvelope
from consilience_conformance.batches import Defect, SpoilCall, batch
from consilience_conformance.callers import Caller
from consilience_conformance.checks import Check
from consilience_conformance.rules.refusals import refusal_of, was_accepted
from consilience_conformance.signed_calls import ASKING, METHODS, Method, SignedCall, another
from consilience_conformance.stage import HEADER_LIFETIME, Stage, accepted
from consilience_conformance.transcripts import Exchange, Transcript
from consilience_conformance.verdicts import Finding
from consilience_conformance.wire_values import nanoseconds_of, timestamp

MAX_LIFETIME = timedelta(minutes=10)
MAX_SKEW = timedelta(seconds=30)
"""What the specification bears of difference between the clocks of a caller and a node."""

_WITHIN_SKEW = timedelta(seconds=15)
_BEYOND_SKEW = timedelta(seconds=90)
"""Far enough from the edge for the clock of a tester that is itself wrong by less than the skew."""

_UNKNOWN_EXTENSION = "https://extension.example.org/that-nobody-knows"


def _with(change: Callable[[CallHeader], None]) -> SpoilCall:
    """Returns what changes the header of a good call and signs it."""

    def spoil(stage: Stage, _: Method, call: SignedCall) -> SignedEnvelope:
        change(call.header)
        return stage.seal(call)

    return spoil


def _lasting(lifetime: timedelta) -> SpoilCall:
    def change(header: CallHeader) -> None:
        nanos = header.issue_time.ToNanoseconds() + lifetime // timedelta(microseconds=1) * 1000
        header.expire_time.FromNanoseconds(nanos)

    return _with(change)


def _moved(by: timedelta, *, lifetime: timedelta = HEADER_LIFETIME) -> SpoilCall:
    """Returns what moves a header in time: `by` from now until its end, or, to the future, until its beginning."""

    def spoil(stage: Stage, method: Method, call: SignedCall) -> SignedEnvelope:
        fresh = stage.header(method.name).issue_time.ToDatetime()
        begin = fresh + by if by > timedelta(0) else fresh + by - lifetime
        call.header.issue_time.CopyFrom(timestamp(begin))
        call.header.expire_time.CopyFrom(timestamp(begin + lifetime))
        return stage.seal(call)

    return spoil


def _for_another_method(stage: Stage, method: Method, call: SignedCall) -> SignedEnvelope:
    call.header.method = another(method).name
    return stage.seal(call)


def _rename(change: Callable[[str], str]) -> SpoilCall:
    return _with(lambda header: setattr(header, "method", change(header.method)))


def _for_another_node(stage: Stage, _: Method, call: SignedCall) -> SignedEnvelope:
    call.header.audience = Caller.new().key
    return stage.seal(call)


def _for_the_caller(stage: Stage, _: Method, call: SignedCall) -> SignedEnvelope:
    call.header.audience = stage.caller.key
    return stage.seal(call)


def _require_extension(header: CallHeader) -> None:
    header.required_extensions.append(_UNKNOWN_EXTENSION)
    header.extensions[_UNKNOWN_EXTENSION].type_url = "type.googleapis.com/google.protobuf.Empty"


def _tells_time(exchange: Exchange) -> Iterator[Finding]:
    """Yields that a refusal for its time does not tell the time of the node."""
    detail = refusal_of(exchange).details.get("consilience.v1.ServerTime")
    told = isinstance(detail, error_details_pb2.ServerTime) and detail.HasField("server_time")
    if not exchange.accepted and not told:
        yield Finding(
            requirement="SIG-HDR-004",
            message="the refusal of a call for its time does not tell the time of the node",
            expected="a detail consilience.v1.ServerTime",
            got=", ".join(refusal_of(exchange).details) or "no detail",
            exchange=exchange.name,
        )


def defects() -> Iterator[Defect]:
    """Yields what can be wrong with a header, whichever of the four methods is called."""
    for name, spoil in (
        ("for-another-method", _for_another_method),
        ("method-with-slash", _rename(lambda name: f"/{name}")),
        ("method-without-service", _rename(lambda name: name.rpartition("/")[2])),
        ("method-in-lower-case", _rename(str.lower)),
    ):
        yield Defect(name=name, requirement="SIG-HDR-001", reason="METHOD_WRONG", spoil=spoil)
    for name, spoil in (("for-another-node", _for_another_node), ("for-its-own-caller", _for_the_caller)):
        yield Defect(name=name, requirement="SIG-HDR-002", reason="AUDIENCE_WRONG", spoil=spoil)
    for name, spoil in (
        ("without-lifetime", _lasting(timedelta(0))),
        ("ends-before-it-begins", _lasting(timedelta(seconds=-1))),
        ("ten-minutes-and-a-microsecond", _lasting(MAX_LIFETIME + timedelta(microseconds=1))),
        ("a-day", _lasting(timedelta(days=1))),
    ):
        yield Defect(name=name, requirement="SIG-HDR-003", reason="FIELD_INVALID", spoil=spoil)
    for name, reason, by in (
        ("expired", "CALL_EXPIRED", -_BEYOND_SKEW),
        ("expired-a-year-ago", "CALL_EXPIRED", -timedelta(days=365)),
        ("not-yet-valid", "CALL_NOT_YET_VALID", _BEYOND_SKEW),
        ("valid-in-a-year", "CALL_NOT_YET_VALID", timedelta(days=365)),
    ):
        yield Defect(name=name, requirement="SIG-HDR-004", reason=reason, spoil=_moved(by), look=_tells_time)
    yield Defect(
        name="requires-unknown-extension",
        requirement="VER-EXT-001",
        reason="EXTENSION_UNSUPPORTED",
        spoil=_with(_require_extension),
    )


_EDGES: dict[str, tuple[str, SpoilCall]] = {
    "ten-minutes": ("SIG-HDR-003", _lasting(MAX_LIFETIME)),
    "a-microsecond": ("SIG-HDR-003", _moved(-_WITHIN_SKEW, lifetime=timedelta(microseconds=1))),
    "expired-within-skew": ("SIG-HDR-004", _moved(-_WITHIN_SKEW)),
    "issued-within-skew": ("SIG-HDR-004", _moved(_WITHIN_SKEW)),
    "brings-unknown-extension": (
        "VER-EXT-001",
        _with(lambda header: header.extensions[_UNKNOWN_EXTENSION].Clear()),
    ),
}
"""Headers at the edge of what is refused: by the algorithm of section 0.4 they hold."""


async def _go_to_the_edge(stage: Stage) -> None:
    asks = {name: stage.ask() for name in _EDGES}
    for name, (_, spoil) in _EDGES.items():
        await stage.send(f"ask-{name}", spoil(stage, ASKING, asks[name]), until=accepted)
        for method in METHODS[1:]:
            spoilt = spoil(stage, method, method.call(stage, asks[name]))
            await stage.call(f"{method.word}-{name}", method.name, method.request(spoilt), until=accepted)
        await stage.let_go()


def _judge_edges(seen: Transcript) -> Iterator[Finding]:
    for name, (requirement, _) in _EDGES.items():
        for method in METHODS:
            yield from was_accepted(seen[f"{method.word}-{name}"], requirement=requirement)


async def _ask_for_the_time(stage: Stage) -> None:
    for name, by in (("before", -_BEYOND_SKEW), ("after", _BEYOND_SKEW)):
        stage.note(name, stage.header(ASKING.name).issue_time.ToMilliseconds())
        await stage.send(f"time-{name}", _moved(by)(stage, ASKING, stage.ask()), until=accepted)
    stage.note("ended", stage.header(ASKING.name).issue_time.ToMilliseconds())


def _judge_time(seen: Transcript) -> Iterator[Finding]:
    """The node's clock may be wrong by the skew, and by no more, since the ask before was accepted."""
    skew = MAX_SKEW // timedelta(milliseconds=1)
    earliest, latest = int(str(seen.notes["before"])) - skew, int(str(seen.notes["ended"])) + skew
    for name in ("time-before", "time-after"):
        yield from _tells_time(seen[name])
        detail = refusal_of(seen[name]).details.get("consilience.v1.ServerTime")
        if not isinstance(detail, error_details_pb2.ServerTime):
            continue
        told = nanoseconds_of(detail.server_time) // 10**6
        if not earliest <= told <= latest:
            yield Finding(
                requirement="SIG-HDR-004",
                message="the time that a refusal tells is not the time of the node",
                expected=f"within 30 s of {seen.notes['before']} ms since 1970",
                got=f"{told} ms since 1970",
                exchange=name,
            )


CHECKS = (
    *(
        batch(
            f"{method.word}-with-a-wrong-header-is-refused",
            title=f"A call of {method.name} is refused when its header is for another method, node or time.",
            method=method,
            defects=tuple(defects()),
        )
        for method in METHODS
    ),
    Check(
        name="header-at-the-edge-is-accepted",
        title="A header of ten minutes, one within the skew of clocks, and one with an unknown extension are accepted.",
        requirements=("SIG-HDR-003", "SIG-HDR-004", "VER-EXT-001"),
        drive=_go_to_the_edge,
        judge=_judge_edges,
    ),
    Check(
        name="refusal-for-time-tells-the-time",
        title="A call that is refused for its time learns the time of the node.",
        requirements=("SIG-HDR-004",),
        drive=_ask_for_the_time,
        judge=_judge_time,
    ),
)
