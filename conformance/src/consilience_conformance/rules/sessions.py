"""Rules of sessions (spec section 3.3): the counters, what holds between them, and whose word the state carries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from consilience.v1 import node_pb2, payment_pb2
from consilience_conformance.rules.fields import field_findings
from consilience_conformance.rules.payments import Signed, differs, lacks, opened, signed_by_the_node, state_in
from consilience_conformance.transcripts import Exchange
from consilience_conformance.verdicts import Finding

STATE = "consilience.v1.SessionState"
COUNTERS = ("deposited", "authorized", "spent", "reserved", "refunded", "withdrawn", "credit_limit", "receipt_count")
"""What a state counts."""
_RISING = ("deposited", "authorized", "spent", "refunded", "receipt_count")


def available(state: payment_pb2.SessionState) -> int:
    """Returns up to what a voucher can go."""
    return int(state.deposited + state.refunded - state.withdrawn + state.credit_limit)


def state_findings(exchange: Exchange, *, card: node_pb2.NodeCard, session_id: bytes) -> Iterator[Finding]:
    """Yields what is wrong with the state that a call brought, whatever the session has seen (PAY-SES-001, -004)."""
    found = state_in(exchange)
    if found is None:
        yield lacks(exchange, "state of the session", requirement="PAY-SES-004")
        return
    yield from signed_by_the_node(found.envelope, payment_pb2.SessionState, card=card, exchange=exchange.name)
    yield from field_findings(found.envelope.payload, STATE, exchange=exchange.name)
    state = found.value
    if state.session_id != session_id:
        yield differs(
            "PAY-SES-004",
            "the state is of another session",
            expected=session_id,
            got=state.session_id,
            exchange=exchange.name,
        )
    yield from balance_findings(state, exchange=exchange.name)
    yield from _voucher(state, exchange=exchange.name)


def balance_of(exchange: Exchange) -> Iterator[Finding]:
    """Yields that the counters of the state that a call brought, if it brought one, are out of balance."""
    found = state_in(exchange)
    if found is not None:
        yield from balance_findings(found.value, exchange=exchange.name)


def balance_findings(state: payment_pb2.SessionState, *, exchange: str) -> Iterator[Finding]:
    """Yields that the counters of a session are out of balance (PAY-SES-001)."""
    closed = state.status == payment_pb2.SESSION_STATUS_CLOSED
    authorized = state.spent if closed else state.authorized
    if state.spent + state.reserved > authorized:
        yield differs(
            "PAY-SES-001",
            "more is spent and reserved than is authorized",
            expected=f"at most {authorized}",
            got=f"{state.spent} spent, {state.reserved} reserved",
            exchange=exchange,
        )
    if authorized > available(state):
        yield differs(
            "PAY-SES-001",
            "more is authorized than is available",
            expected=f"at most {available(state)}",
            got=authorized,
            exchange=exchange,
        )


def _voucher(state: payment_pb2.SessionState, *, exchange: str) -> Iterator[Finding]:
    """Yields that a state with something authorized does not carry the voucher that authorizes it."""
    if state.status == payment_pb2.SESSION_STATUS_CLOSED:
        return
    carried = opened(state.voucher, payment_pb2.Voucher) if state.HasField("voucher") else None
    told = carried.value.cumulative if carried is not None else 0
    if told != state.authorized:
        yield differs(
            "PAY-SES-004",
            "the state does not carry the highest voucher",
            expected=f"a voucher over {state.authorized}",
            got=f"one over {told}" if carried is not None else "none",
            exchange=exchange,
        )


def counters_are(exchange: Exchange, expected: Mapping[str, int], *, requirement: str) -> Iterator[Finding]:
    """Yields which counters of a state are not as they have to be.

    Args:
        exchange: That brought the state.
        expected: By the names of the fields.
        requirement: The rule that wants it.
    """
    found = state_in(exchange)
    if found is None:
        yield lacks(exchange, "state of the session", requirement=requirement)
        return
    for name, value in expected.items():
        got = getattr(found.value, name)
        if got != value:
            yield differs(
                requirement,
                f"the session tells another {name}",
                expected=value,
                got=got,
                exchange=exchange.name,
            )


def unchanged(before: Exchange, after: Exchange, *, requirement: str, but: Iterable[str] = ()) -> Iterator[Finding]:
    """Yields that a session does not stand as it stood, but for some counters."""
    was, now = state_in(before), state_in(after)
    if was is None or now is None:
        yield lacks(before if was is None else after, "state of the session", requirement=requirement)
        return
    one, other = (_without_time(state, but=but) for state in (was, now))
    if one != other:
        yield differs(
            requirement,
            "the session was changed",
            expected=told(was.value),
            got=told(now.value),
            exchange=after.name,
        )


def _without_time(state: Signed[payment_pb2.SessionState], *, but: Iterable[str]) -> bytes:
    copy = payment_pb2.SessionState()
    copy.CopyFrom(state.value)
    for name in ("issue_time", "signing_key", *but):
        copy.ClearField(name)  # type: ignore[arg-type]
    return copy.SerializeToString(deterministic=True)


def told(state: payment_pb2.SessionState) -> str:
    """Returns the counters of a state for people."""
    status = payment_pb2.SessionStatus.DESCRIPTOR.values_by_number.get(state.status)
    name = status.name.removeprefix("SESSION_STATUS_").lower() if status else str(state.status)
    return ", ".join([name, *(f"{field} {getattr(state, field)}" for field in COUNTERS if getattr(state, field))])


def never_falls(exchanges: Iterable[Exchange]) -> Iterator[Finding]:
    """Yields which counters fell from one state to the next, in the order in which their calls began and ended."""
    before: payment_pb2.SessionState | None = None
    for exchange in exchanges:
        found = state_in(exchange)
        if found is None:
            continue
        for name in _RISING if before is not None else ():
            if found.value.status == payment_pb2.SESSION_STATUS_CLOSED and name == "authorized":
                continue
            was, now = getattr(before, name), getattr(found.value, name)
            if now < was:
                yield differs(
                    "PAY-SES-001",
                    f"the counter {name} fell",
                    expected=f"at least {was}",
                    got=now,
                    exchange=exchange.name,
                )
        before = found.value
