"""The judges of nodes are pure: each finds its fault in a transcript made by hand, and none in a good one."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from consilience.v1 import ask_pb2, node_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance import envelopes
from consilience_conformance.cases import nodes
from consilience_conformance.transcripts import Ended, Exchange, Response, Transcript

SEED = bytes([7] * 32)
METHODS = (
    "consilience.v1.NodeService/GetNodeCard",
    "consilience.v1.AskService/Ask",
    "consilience.v1.AskService/ResumeAnswer",
    "consilience.v1.AskService/GetAnswer",
    "consilience.v1.AskService/CancelAnswer",
)
NO_METHODS = ("consilience.v1.AskService/NoSuchMethod", "consilience.v1.NoSuchService/Ask")
REFLECTIONS = tuple(f"grpc.reflection.{one}.ServerReflection/ServerReflectionInfo" for one in ("v1", "v1alpha"))
LISTED = b"\x0a\x1aconsilience.v1.NodeService\x0a\x19consilience.v1.AskService"


def exchange(name: str, *messages: bytes, code: str = "OK", request: bytes = b"") -> Exchange:
    return Exchange(
        name=name,
        method="",
        request=request,
        began=0,
        ended_at=1,
        ended=Ended.STATUS,
        code=code,
        responses=tuple(Response(at=0.1, data=message) for message in messages),
    )


def card(*, sequence: int = 5, name: str = "", commits_to: bytes = b"") -> SignedEnvelope:
    value = node_pb2.NodeCard(sequence=sequence, name=name, next_root_digest=commits_to)
    return envelopes.seal(value, seed=SEED)


def told(name: str, envelope: SignedEnvelope) -> Exchange:
    return exchange(name, node_pb2.GetNodeCardResponse(card=envelope).SerializeToString())


def found(check: str, exchanges: Iterable[Exchange], *, relied_on: SignedEnvelope | None = None) -> list[str]:
    (judge,) = (one.judge for one in nodes.CHECKS if one.name == check)
    seen = Transcript(check=check, card=(relied_on or card()).SerializeToString(), exchanges=list(exchanges))
    return [finding.requirement for finding in judge(seen)]


@pytest.mark.parametrize(
    ("later", "requirements"),
    [
        (card(), []),
        (card(sequence=6), []),
        (card(sequence=4), ["NODE-CARD-008"]),
        (card(name="another"), ["NODE-CARD-008"]),
    ],
)
def test_a_later_card_is_the_same_or_has_a_higher_sequence(later: SignedEnvelope, requirements: list[str]) -> None:
    assert found("card-does-not-go-back", [told("first", card()), told("second", later)]) == requirements


@pytest.mark.parametrize(
    ("cards", "requirements"),
    [
        ((b"", b"", b""), []),
        ((b"", b"a", b"a"), []),
        ((b"a", b"a", b"a"), []),
        ((b"", b"a", b"b"), ["NODE-KEY-004"]),
        ((b"a", b"a", b""), ["NODE-KEY-004"]),
        ((b"a", b"b", b"a"), ["NODE-KEY-004"]),
    ],
)
def test_a_later_card_commits_as_the_ones_before(cards: tuple[bytes, ...], requirements: list[str]) -> None:
    relied_on, first, second = (card(sequence=5 + step, commits_to=one) for step, one in enumerate(cards))
    seen = [told("first", first), told("second", second)]
    assert found("card-keeps-its-commitment", seen, relied_on=relied_on) == requirements


@pytest.mark.parametrize("check", ["card-is-signed-by-its-root-key", "card-is-complete", "signing-keys-end-in-time"])
def test_a_node_that_gives_no_card_is_found(check: str) -> None:
    assert found(check, [exchange("card", code="INTERNAL")]) == ["NODE-PROF-001"]


def test_a_request_with_an_unknown_field_is_answered() -> None:
    check, plain = "card-request-of-a-newer-version-is-taken", told("plain", card())
    assert found(check, [plain, told("unknown-field", card())]) == []
    assert found(check, [plain, exchange("unknown-field", code="INVALID_ARGUMENT")]) == ["VER-FLD-001"]


@pytest.mark.parametrize("missing", METHODS)
def test_each_method_that_is_not_served_is_found(missing: str) -> None:
    check = "methods-of-the-profiles-are-served"
    served = [exchange(method, code="INVALID_ARGUMENT") for method in METHODS if method != missing]
    assert found(check, [*served, exchange(missing, b"x")]) == []
    assert found(check, [*served, exchange(missing, code="UNIMPLEMENTED")]) == ["NODE-PROF-001"]


def test_a_method_that_is_made_up_is_found() -> None:
    good = [exchange(method, code="UNIMPLEMENTED") for method in NO_METHODS]
    assert found("no-method-is-made-up", good) == []
    assert found("no-method-is-made-up", [good[0], exchange(NO_METHODS[1], b"")]) == ["NODE-PROF-001"]


def answered(*, ask_digest: bytes) -> Exchange:
    ask = envelopes.seal(ask_pb2.Ask(skill_id="chat"), seed=SEED)
    final = ask_pb2.Final()
    final.answer.payload = ask_pb2.Answer(ask_digest=ask_digest or envelopes.envelope_digest(ask)).SerializeToString()
    events = [ask_pb2.AnswerEvent(sequence=1, final=final)]
    request = ask_pb2.AskRequest(ask=ask).SerializeToString()
    return exchange("ask", ask_pb2.AskResponse(events=events).SerializeToString(), request=request)


@pytest.mark.parametrize(("digest", "requirements"), [(b"", []), (bytes(32), ["SIG-DIG-001"])])
def test_an_answer_names_its_ask_by_the_digest_of_what_was_signed(digest: bytes, requirements: list[str]) -> None:
    assert found("digest-is-of-what-is-signed", [answered(ask_digest=digest)]) == requirements


@pytest.mark.parametrize(
    ("health", "requirements"),
    [
        (exchange("health", b"\x08\x01"), []),
        (exchange("health", b"\x08\x02"), ["NODE-OPS-001"]),
        (exchange("health", code="UNIMPLEMENTED"), ["NODE-OPS-001"]),
    ],
)
def test_health_says_serving(health: Exchange, requirements: list[str]) -> None:
    assert found("health-is-told", [health]) == requirements


def test_either_version_of_reflection_lists_the_services() -> None:
    check, absent = "reflection-lists-the-services", exchange(REFLECTIONS[0], code="UNIMPLEMENTED")
    assert found(check, [absent, exchange(REFLECTIONS[1], LISTED)]) == []
    assert found(check, [absent, exchange(REFLECTIONS[1], LISTED[:28])]) == ["NODE-OPS-002"]
    assert found(check, [absent, exchange(REFLECTIONS[1], code="UNIMPLEMENTED")]) == ["NODE-OPS-002"] * 2
