"""Nodes (spec chapter 1): the card, its certificate, and the methods that it promises."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import DecodeError

from consilience.v1 import ask_pb2, node_pb2, payment_pb2, registry_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance import envelopes
from consilience_conformance.checks import Check
from consilience_conformance.needs import NotApplicableError
from consilience_conformance.rules import cards
from consilience_conformance.rules.answers import card_of
from consilience_conformance.rules.logs import read_log
from consilience_conformance.rules.refusals import outcome_of, was_accepted
from consilience_conformance.stage import Stage, accepted
from consilience_conformance.targets import GET_NODE_CARD
from consilience_conformance.transcripts import Exchange, Transcript
from consilience_conformance.verdicts import Finding

_BASIS = ("unknown-skill-is-refused",)

CARD = "card"
CERTIFICATE = "certificate"

_SERVICES = (
    node_pb2.DESCRIPTOR.services_by_name["NodeService"],
    ask_pb2.DESCRIPTOR.services_by_name["AskService"],
)
_SERVICES_OF_PROFILES = {
    node_pb2.PROFILE_PAY: payment_pb2.DESCRIPTOR.services_by_name["PaymentService"],
    node_pb2.PROFILE_REGISTRY: registry_pb2.DESCRIPTOR.services_by_name["RegistryService"],
}
"""What nodes of a profile serve besides."""
_NO_METHODS = ("consilience.v1.AskService/NoSuchMethod", "consilience.v1.NoSuchService/Ask")

_HEALTH = "grpc.health.v1.Health/Check"
_SERVING = b"\x08\x01"
"""HealthCheckResponse{status: SERVING}, as every encoder writes it."""

_REFLECTIONS = tuple(
    f"grpc.reflection.{version}.ServerReflection/ServerReflectionInfo" for version in ("v1", "v1alpha")
)
_LIST_SERVICES = b"\x3a\x01*"
"""ServerReflectionRequest{list_services: "*"}."""

_UNKNOWN_FIELD = b"\xc2\x3e\x05newer"
"""Field 1000 with five bytes, which no message of this version has."""


async def _fetch(stage: Stage) -> None:
    await stage.call(CARD, GET_NODE_CARD, b"")


def _card_in(exchange: Exchange) -> tuple[SignedEnvelope, node_pb2.NodeCard] | None:
    """Returns the card that a call brought, if it brought one that parses."""
    try:
        envelope = node_pb2.GetNodeCardResponse.FromString(exchange.responses[0].data).card
        return envelope, node_pb2.NodeCard.FromString(envelope.payload)
    except (DecodeError, IndexError):
        return None


def _of_envelope(rule: Callable[[SignedEnvelope], Iterator[Finding]]) -> Callable[[Transcript], Iterator[Finding]]:
    """Returns the judge of a rule of cards in their envelopes."""

    def judge(seen: Transcript) -> Iterator[Finding]:
        found = _card_in(seen[CARD])
        yield from rule(found[0]) if found else was_accepted(seen[CARD], requirement="NODE-PROF-001")

    return judge


def _of_card(rule: Callable[[node_pb2.NodeCard], Iterator[Finding]]) -> Callable[[Transcript], Iterator[Finding]]:
    """Returns the judge of a rule of what a card says."""
    return _of_envelope(lambda envelope: rule(node_pb2.NodeCard.FromString(envelope.payload)))


async def _look_at_the_certificate(stage: Stage) -> None:
    if not cards.pins_of(stage.target.card):
        raise NotApplicableError("no endpoint of the card is pinned")
    if not stage.target.transport.certificate:
        raise NotApplicableError("the port that is judged speaks no TLS")
    stage.note(CERTIFICATE, stage.target.transport.certificate.hex())


def _judge_certificate(seen: Transcript) -> Iterator[Finding]:
    _, card = card_of(seen)
    yield from cards.certificate_findings(card, bytes.fromhex(str(seen.notes[CERTIFICATE])))


def _judge_response(seen: Transcript) -> Iterator[Finding]:
    exchange = seen[CARD]
    yield from was_accepted(exchange, requirement="NODE-PROF-001")
    if found := _card_in(exchange):
        response = node_pb2.GetNodeCardResponse.FromString(exchange.responses[0].data)
        yield from cards.succession_findings(response.successions, node_id=found[1].node_id, exchange=CARD)


async def _fetch_again(stage: Stage) -> None:
    await stage.call("first", GET_NODE_CARD, b"")
    await stage.call("second", GET_NODE_CARD, b"")


def _judge_order(seen: Transcript) -> Iterator[Finding]:
    last = card_of(seen)
    for name in ("first", "second"):
        found = _card_in(seen[name])
        if found is None:
            yield from was_accepted(seen[name], requirement="NODE-PROF-001")
            continue
        before, now = last[1].sequence, found[1].sequence
        is_another = envelopes.envelope_digest(found[0]) != envelopes.envelope_digest(last[0])
        if now < before or (is_another and now == before):
            yield Finding(
                requirement="NODE-CARD-008",
                message="a later card does not have a higher sequence",
                expected=f"above {before}",
                got=str(now),
                exchange=name,
            )
        last = found


def _judge_commitments(seen: Transcript) -> Iterator[Finding]:
    committed = card_of(seen)[1].next_root_digest
    for name in ("first", "second"):
        found = _card_in(seen[name])
        if found is None:
            yield from was_accepted(seen[name], requirement="NODE-PROF-001")
            continue
        says = found[1].next_root_digest
        if committed and says != committed:
            yield Finding(
                requirement="NODE-KEY-004",
                message="a later card does not commit to the next root key that an earlier one committed to",
                expected=committed.hex(),
                got=says.hex() or "no commitment",
                exchange=name,
            )
        committed = committed or says


async def _fetch_with_an_unknown_field(stage: Stage) -> None:
    await stage.call("plain", GET_NODE_CARD, b"")
    await stage.call("unknown-field", GET_NODE_CARD, _UNKNOWN_FIELD)


def _judge_unknown_field(seen: Transcript) -> Iterator[Finding]:
    yield from was_accepted(seen["plain"], requirement="NODE-PROF-001")
    yield from was_accepted(seen["unknown-field"], requirement="VER-FLD-001")


def _services(card: node_pb2.NodeCard) -> Iterator[ServiceDescriptor]:
    yield from _SERVICES
    yield from (service for profile, service in _SERVICES_OF_PROFILES.items() if profile in card.profiles)


def _methods(card: node_pb2.NodeCard) -> Iterator[str]:
    """Yields the methods that a card promises, by their full names."""
    for service in _services(card):
        yield from (f"{service.full_name}/{method.name}" for method in service.methods)


async def _call_the_methods(stage: Stage) -> None:
    for method in _methods(stage.target.card):
        await stage.call(method, method, b"", until=accepted)


def _judge_methods(seen: Transcript) -> Iterator[Finding]:
    for method in _methods(card_of(seen)[1]):
        if seen[method].code == "UNIMPLEMENTED":
            yield _unserved(method, message=f"{method} is not served", expected="anything but UNIMPLEMENTED", seen=seen)


async def _call_what_is_no_method(stage: Stage) -> None:
    for method in _NO_METHODS:
        await stage.call(method, method, b"", until=accepted)


def _judge_no_methods(seen: Transcript) -> Iterator[Finding]:
    for method in _NO_METHODS:
        if seen[method].code != "UNIMPLEMENTED":
            yield _unserved(method, message="a method that there is not is served", expected="UNIMPLEMENTED", seen=seen)


def _unserved(method: str, *, message: str, expected: str, seen: Transcript) -> Finding:
    exchange = seen[method]
    return Finding(
        requirement="NODE-PROF-001",
        message=message,
        expected=expected,
        got=exchange.code or outcome_of(exchange),
        exchange=method,
    )


async def _ask_by_digest(stage: Stage) -> None:
    await stage.send("ask", stage.ask())


def _judge_digests(seen: Transcript) -> Iterator[Finding]:
    exchange = seen["ask"]
    if outcome_of(exchange) == "refused STALE_CARD":
        yield Finding(
            requirement="SIG-DIG-001",
            message="the node does not know its card by its digest",
            expected=envelopes.envelope_digest(card_of(seen)[0]).hex(),
            got="refused STALE_CARD",
            exchange="ask",
        )
        return
    yield from was_accepted(exchange, requirement="SIG-DIG-001")
    answer = read_log(exchange).answer
    asked = ask_pb2.AskRequest.FromString(exchange.request).ask
    expected = envelopes.envelope_digest(asked)
    if answer is not None and answer.ask_digest != expected:
        yield Finding(
            requirement="SIG-DIG-001",
            message="the answer names the ask by another digest",
            expected=expected.hex(),
            got=answer.ask_digest.hex(),
            exchange="ask",
        )


async def _check_health(stage: Stage) -> None:
    await stage.call("health", _HEALTH, b"")


def _judge_health(seen: Transcript) -> Iterator[Finding]:
    exchange = seen["health"]
    told = [response.data for response in exchange.responses]
    if told != [_SERVING]:
        got = ", ".join(data.hex() for data in told) or exchange.code
        yield Finding(
            requirement="NODE-OPS-001",
            message=f"{_HEALTH} does not say SERVING",
            expected="SERVING",
            got=got,
            exchange="health",
        )


async def _list_services(stage: Stage) -> None:
    for method in _REFLECTIONS:
        await stage.call(method, method, _LIST_SERVICES)


def _judge_reflection(seen: Transcript) -> Iterator[Finding]:
    listed = b"".join(response.data for method in _REFLECTIONS for response in seen[method].responses)
    for service in _services(card_of(seen)[1]):
        name = service.full_name.encode()
        # In the list each name stands as field 1 of its entry: tag, length, text.
        if b"\x0a" + bytes([len(name)]) + name not in listed:
            yield Finding(
                requirement="NODE-OPS-002",
                message=f"server reflection does not list {service.full_name}",
                got=", ".join(seen[method].code for method in _REFLECTIONS),
            )


CHECKS = (
    Check(
        name="card-is-signed-by-its-root-key",
        title="The root key that the card names signs it.",
        requirements=("NODE-CARD-001", "NODE-PROF-001"),
        drive=_fetch,
        judge=_of_envelope(cards.signature_findings),
        after=_BASIS,
        asks=False,
    ),
    Check(
        name="card-is-complete",
        title="The card sets every limit that it has to, is not too large, and declares the core profile.",
        requirements=("ERR-FLD-001", "NODE-CARD-002", "NODE-CARD-006", "NODE-PROF-001"),
        drive=_fetch,
        judge=_of_envelope(cards.content_findings),
        after=_BASIS,
        asks=False,
    ),
    Check(
        name="signing-keys-end-in-time",
        title="No signing key lives longer than 30 days after the issue of the card.",
        requirements=("NODE-KEY-001", "NODE-PROF-001"),
        drive=_fetch,
        judge=_of_card(cards.key_findings),
        after=_BASIS,
        asks=False,
    ),
    Check(
        name="plain-endpoints-are-on-loopback",
        title="An endpoint without TLS is on a loopback address.",
        requirements=("NODE-TLS-003", "NODE-PROF-001"),
        drive=_fetch,
        judge=_of_card(cards.plain_findings),
        after=_BASIS,
        asks=False,
    ),
    Check(
        name="pinned-certificate-is-of-the-node",
        title="A pinned endpoint shows a self-signed certificate that names the node, with a key that the card pins.",
        requirements=("NODE-TLS-002",),
        drive=_look_at_the_certificate,
        judge=_judge_certificate,
        after=_BASIS,
        asks=False,
    ),
    Check(
        name="successions-lead-to-the-node",
        title="What comes with the card opens, and each succession leads to the next and the last to the node.",
        requirements=("SIG-ENV-001", "ERR-FLD-001", "NODE-PROF-001"),
        drive=_fetch,
        judge=_judge_response,
        after=_BASIS,
        asks=False,
    ),
    Check(
        name="card-does-not-go-back",
        title="A card that is fetched later is the same one, or has a higher sequence.",
        requirements=("NODE-CARD-008", "NODE-PROF-001"),
        drive=_fetch_again,
        judge=_judge_order,
        after=_BASIS,
        asks=False,
    ),
    Check(
        name="card-keeps-its-commitment",
        title="A card that is fetched later commits to the same next root key, once one has committed to any.",
        requirements=("NODE-KEY-004", "NODE-PROF-001"),
        drive=_fetch_again,
        judge=_judge_commitments,
        after=_BASIS,
        asks=False,
    ),
    Check(
        name="card-request-of-a-newer-version-is-taken",
        title="A request for the card with a field that the node does not know is answered.",
        requirements=("VER-FLD-001", "NODE-PROF-001"),
        drive=_fetch_with_an_unknown_field,
        judge=_judge_unknown_field,
        after=_BASIS,
        asks=False,
    ),
    Check(
        name="methods-of-the-profiles-are-served",
        title="Every method of the declared profiles is implemented.",
        requirements=("NODE-PROF-001",),
        drive=_call_the_methods,
        judge=_judge_methods,
        after=_BASIS,
        asks=False,
    ),
    Check(
        name="no-method-is-made-up",
        title="A method or a service that there is not is answered with UNIMPLEMENTED.",
        requirements=("NODE-PROF-001",),
        drive=_call_what_is_no_method,
        judge=_judge_no_methods,
        after=_BASIS,
        asks=False,
    ),
    Check(
        name="digest-is-of-what-is-signed",
        title="Cards and asks are named by the digest of their pre-authentication encoding.",
        requirements=("SIG-DIG-001",),
        drive=_ask_by_digest,
        judge=_judge_digests,
        after=_BASIS,
    ),
    Check(
        name="health-is-told",
        title="grpc.health.v1.Health says that the node serves.",
        requirements=("NODE-OPS-001",),
        drive=_check_health,
        judge=_judge_health,
        after=_BASIS,
        asks=False,
    ),
    Check(
        name="reflection-lists-the-services",
        title="Server reflection lists the services of the node.",
        requirements=("NODE-OPS-002",),
        drive=_list_services,
        judge=_judge_reflection,
        after=_BASIS,
        asks=False,
    ),
)
