"""Each reason of the catalogue that a node refuses an ask for, and that nothing is changed by it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from consilience import envelopes
from consilience._wire import services
from consilience._wire.envelopes import seal
from consilience.asks import (
    GET_METHOD,
    Ask,
    AskLimits,
    Blob,
    GetAnswerCall,
    OnDisconnect,
    Role,
    Turn,
)
from consilience.envelopes import Envelope
from consilience.errors import (
    AnswerSchemaUnsupportedError,
    AnswerUnknownError,
    AudienceWrongError,
    CallExpiredError,
    CallNotYetValidError,
    DataClassRefusedError,
    DeadlinePassedError,
    EnvelopeMalformedError,
    ExtensionUnsupportedError,
    FieldInvalidError,
    FieldViolations,
    MediaTypeUnsupportedError,
    MethodWrongError,
    ModelUnknownError,
    NodeFaultError,
    PayloadTypeWrongError,
    RefusedError,
    ServerTime,
    SignatureInvalidError,
    SignatureMissingError,
    SignerWrongError,
    SkillUnknownError,
    StaleCardError,
    Supported,
)
from consilience.identity import KeyPair
from consilience.nodes import DataClass, DataPolicy, Model
from consilience.server import IncomingAsk, Node, exceeded
from consilience.units import Digest, PublicKey
from sdk.tests.server.callers import Caller, calling

ANYWHERE = "127.0.0.1:0"
EXTENSION = "https://example.org/known"

ON_DISCONNECT_TAG = b"\x48"
"""Opens field 9 of an Ask as a varint (protobuf encoding)."""

# The order of the group that Ed25519 signs in (RFC 8032, section 5.1).
GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493


@pytest.fixture
def asked() -> list[IncomingAsk]:
    return []


@pytest.fixture
def node(key: KeyPair, asked: list[IncomingAsk]) -> Node:
    models = [Model(id="small"), Model(id="large")]
    policy = DataPolicy(max_data_class=DataClass.CONFIDENTIAL)
    node = Node("test", key=key, models=models, data_policy=policy, extensions={EXTENSION: b""})

    @node.skill("echo", model_ids=["small"])
    async def echo(ask: IncomingAsk) -> AsyncIterator[str]:
        asked.append(ask)
        yield ask.text

    @node.skill("public", max_data_class=DataClass.PUBLIC)
    async def public(ask: IncomingAsk) -> AsyncIterator[str]:
        asked.append(ask)
        yield ask.text

    @node.skill("draw", input_media_types=["image/png", "text/plain"], accepts_answer_schema=True)
    async def draw(ask: IncomingAsk) -> AsyncIterator[str]:
        asked.append(ask)
        yield "a drawing"

    return node


Change = Callable[[Caller, Ask], Ask]


def with_header(**changes: object) -> Change:
    return lambda _, ask: replace(ask, header=replace(ask.header, **changes))  # type: ignore[arg-type]


def with_fields(**changes: object) -> Change:
    return lambda _, ask: replace(ask, **changes)  # type: ignore[arg-type]


def shifted(by: timedelta) -> Change:
    def change(_: Caller, ask: Ask) -> Ask:
        header = replace(ask.header, issue_time=ask.header.issue_time + by, expire_time=ask.header.expire_time + by)
        return replace(ask, header=header)

    return change


def with_deadline(after: timedelta) -> Change:
    return lambda caller, ask: replace(ask, limits=AskLimits(deadline=caller.clock() + after))


REFUSED_PAYLOADS: dict[str, tuple[Change, type[RefusedError]]] = {
    "another method": (with_header(method=GET_METHOD), MethodWrongError),
    "another node": (with_header(audience=PublicKey(bytes(32))), AudienceWrongError),
    "expired": (shifted(-timedelta(minutes=11)), CallExpiredError),
    "from the future": (shifted(timedelta(minutes=1)), CallNotYetValidError),
    "a header for too long": (
        lambda _, ask: replace(
            ask, header=replace(ask.header, expire_time=ask.header.issue_time + timedelta(minutes=10, microseconds=1))
        ),
        FieldInvalidError,
    ),
    "a short request id": (with_header(request_id=b"short"), FieldInvalidError),
    "an unknown extension": (with_header(required_extensions=("https://example.org/new",)), ExtensionUnsupportedError),
    "an unknown skill": (with_fields(skill_id="cooking"), SkillUnknownError),
    "the model of another skill": (with_fields(model_id="large"), ModelUnknownError),
    "an unread media type": (
        with_fields(turns=(Turn(role=Role.ASKER, parts=(Blob(media_type="image/png", data=b"x"),)),)),
        MediaTypeUnsupportedError,
    ),
    "a schema": (with_fields(answer_schema="{}"), AnswerSchemaUnsupportedError),
    "a schema that is no JSON": (with_fields(skill_id="draw", answer_schema="{"), AnswerSchemaUnsupportedError),
    "a schema that is no schema": (with_fields(skill_id="draw", answer_schema="[1]"), AnswerSchemaUnsupportedError),
    "data above the policy": (with_fields(data_class=DataClass.RESTRICTED), DataClassRefusedError),
    "data above the skill": (with_fields(skill_id="public", data_class=DataClass.INTERNAL), DataClassRefusedError),
    "data of no class": (with_fields(data_class=DataClass.UNSPECIFIED), FieldInvalidError),
    "a deadline that has passed": (with_deadline(-timedelta(seconds=1)), DeadlinePassedError),
    "another card": (with_fields(card_digest=Digest(bytes(32))), StaleCardError),
    "no turns": (with_fields(turns=()), FieldInvalidError),
}


@pytest.mark.parametrize("name", REFUSED_PAYLOADS)
async def test_a_payload_is_refused_with_its_reason_and_changes_nothing(
    node: Node, asked: list[IncomingAsk], name: str
) -> None:
    change, refusal = REFUSED_PAYLOADS[name]
    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        good = caller.question()
        with pytest.raises(refusal):
            await caller.send(caller.sign(change(caller, good)).envelope).rest()
        await assert_untouched(caller, good, asked)


def cut(envelope: Envelope) -> Envelope:
    return replace(envelope, signature=envelope.signature[:-1])


def flipped(envelope: Envelope) -> Envelope:
    return replace(envelope, signature=bytes([envelope.signature[0] ^ 1]) + envelope.signature[1:])


def malleated(envelope: Envelope) -> Envelope:
    scalar = int.from_bytes(envelope.signature[32:], "little") + GROUP_ORDER
    return replace(envelope, signature=envelope.signature[:32] + scalar.to_bytes(32, "little"))


def tampered(envelope: Envelope) -> Envelope:
    return replace(envelope, payload=envelope.payload.replace(b"say", b"pay"))


REFUSED_ENVELOPES: dict[str, tuple[Callable[[Envelope], Envelope], type[RefusedError]]] = {
    "no signature": (lambda envelope: replace(envelope, signature=b""), SignatureMissingError),
    "a truncated signature": (cut, EnvelopeMalformedError),
    "a bad signature": (flipped, SignatureInvalidError),
    "a malleable signature": (malleated, SignatureInvalidError),
    "a changed payload": (tampered, SignatureInvalidError),
    "a short key": (lambda envelope: replace(envelope, public_key=PublicKey(b"key")), EnvelopeMalformedError),
    "another type": (lambda envelope: replace(envelope, payload_type="consilience.v1.NodeCard"), PayloadTypeWrongError),
}


@pytest.mark.parametrize("name", REFUSED_ENVELOPES)
async def test_an_envelope_is_refused_with_its_reason_and_changes_nothing(
    node: Node, asked: list[IncomingAsk], name: str
) -> None:
    change, refusal = REFUSED_ENVELOPES[name]
    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        good = caller.question()
        with pytest.raises(refusal):
            await caller.send(change(caller.sign(good).envelope)).rest()
        await assert_untouched(caller, good, asked)


async def assert_untouched(caller: Caller, good: Ask, asked: list[IncomingAsk]) -> None:
    """Reads back that a refused ask was not answered, and left its request id free for the right one."""
    assert not asked
    with pytest.raises(AnswerUnknownError):
        await caller.get(good.header.request_id)
    reading = await caller.send(caller.sign(good).envelope).rest()
    assert reading.text == "say"
    assert len(asked) == 1


async def test_somebody_elses_signature_is_refused(node: Node, asked: list[IncomingAsk]) -> None:
    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        good = caller.question()
        forged = seal(good, signer=KeyPair.generate())
        with pytest.raises(SignerWrongError):
            await caller.send(forged.envelope).rest()
        await assert_untouched(caller, good, asked)


@pytest.mark.parametrize("request_bytes", [b"", b"\xff\xff\xff", b"\x0a\x00"])
async def test_bytes_that_are_no_request_are_refused(node: Node, request_bytes: bytes) -> None:
    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        with pytest.raises(RefusedError) as refusal:
            await caller.send_bytes(request_bytes).rest()
    assert refusal.value.reason in {"ENVELOPE_MALFORMED", "PAYLOAD_TYPE_WRONG"}


async def test_a_payload_that_does_not_parse_is_refused(node: Node) -> None:
    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        envelope = envelopes.seal(b"\x01\x02\x03", payload_type="consilience.v1.Ask", signer=caller.key)
        with pytest.raises(EnvelopeMalformedError):
            await caller.send(envelope).rest()


async def test_an_ask_sent_to_another_method_is_refused(node: Node) -> None:
    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        request = services.encode_request(caller.sign(caller.question()).envelope)
        with pytest.raises(PayloadTypeWrongError):
            await caller.unary(GET_METHOD, request)


async def test_a_stale_look_is_refused(node: Node) -> None:
    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        signed, _ = await caller.ask()
        past = caller.clock() - timedelta(minutes=11)
        with pytest.raises(CallExpiredError):
            await caller.get(signed.value.header.request_id, issue_time=past, expire_time=past + timedelta(minutes=2))


async def test_a_look_with_a_malformed_id_is_refused(node: Node) -> None:
    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        call = GetAnswerCall(header=caller.header(GET_METHOD), ask_request_id=b"short")  # type: ignore[arg-type]
        with pytest.raises(FieldInvalidError) as refusal:
            await caller.unary(GET_METHOD, services.encode_request(seal(call, signer=caller.key).envelope))
    assert isinstance(refusal.value.detail, FieldViolations)
    assert [violation.field for violation in refusal.value.detail.violations] == ["ask_request_id"]


async def test_refusals_tell_what_is_supported(node: Node) -> None:
    cases: dict[type[RefusedError], tuple[dict[str, Any], Supported]] = {
        SkillUnknownError: (
            {"skill_id": "cooking"},
            Supported(field="skill_id", values=("echo", "public", "draw")),
        ),
        ModelUnknownError: ({"model_id": "large"}, Supported(field="model_id", values=("small",))),
        DataClassRefusedError: (
            {"skill_id": "public", "data_class": DataClass.RESTRICTED},
            Supported(field="data_class", values=("DATA_CLASS_PUBLIC",)),
        ),
        MediaTypeUnsupportedError: (
            {
                "skill_id": "draw",
                "turns": (Turn(role=Role.ASKER, parts=(Blob(media_type="image/gif", data=b""),)),),
            },
            Supported(field="turns.parts.blob.media_type", values=("image/png", "text/plain")),
        ),
        ExtensionUnsupportedError: (
            {"header": {"required_extensions": ("https://example.org/new",)}},
            Supported(field="header.required_extensions", values=(EXTENSION,)),
        ),
    }
    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        for refusal, (changes, supported) in cases.items():
            with pytest.raises(refusal) as refused:
                await caller.ask(**changes)
            assert refused.value.detail == supported


async def test_a_passed_deadline_is_told_with_the_time_of_the_node(node: Node) -> None:
    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        with pytest.raises(DeadlinePassedError) as refusal:
            await caller.ask(limits=AskLimits(deadline=caller.clock() - timedelta(seconds=1)))
    assert isinstance(refusal.value.detail, ServerTime)


async def test_a_known_extension_may_be_required(node: Node) -> None:
    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        _, reading = await caller.ask("fine", header={"required_extensions": (EXTENSION,)})
    assert reading.text == "fine"


async def test_an_ask_for_confidential_data_reaches_a_skill_that_reads_it(node: Node) -> None:
    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        _, reading = await caller.ask("a secret", data_class=DataClass.CONFIDENTIAL)
    assert reading.text == "a secret"


async def test_the_check_of_a_skill_refuses_and_gives_its_place_back(key: KeyPair) -> None:
    node, allowed = Node("test", key=key), 3

    async def check(ask: IncomingAsk) -> None:
        await asyncio.sleep(0)
        if len(ask.text.split()) > allowed:
            raise exceeded("max_input_tokens", maximum=allowed, requested=len(ask.text.split()))

    @node.skill("short", check=check)
    async def short(_ask: IncomingAsk) -> AsyncIterator[str]:
        yield "short indeed"

    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        for _ in range(3):
            with pytest.raises(RefusedError, match="max_input_tokens"):
                await caller.ask("one two three four", skill_id="short")
        assert not running._answers._load._total
        await caller.ask("one two three", skill_id="short")


async def test_a_defect_before_acceptance_is_a_node_fault_without_internals(
    key: KeyPair, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    node = Node("test", key=key)

    async def check(ask: IncomingAsk) -> None:
        raise ZeroDivisionError(f"cannot divide {ask.text}")

    @node.skill("broken", check=check)
    async def broken(_ask: IncomingAsk) -> AsyncIterator[str]:
        yield "never"

    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        with pytest.raises(NodeFaultError) as fault:
            await caller.ask("my private question", skill_id="broken")
    assert "ZeroDivisionError" not in str(fault.value)
    assert "ZeroDivisionError" in caplog.text
    assert "private question" not in caplog.text


async def test_on_disconnect_of_another_version_is_refused(node: Node) -> None:
    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        envelope = caller.sign(caller.question(on_disconnect=OnDisconnect.CANCEL)).envelope
        # No encoder of ours writes a value of another version; of a field that comes twice, the last value counts.
        payload = envelope.payload + ON_DISCONNECT_TAG + b"\x63"
        changed = envelopes.seal(payload, payload_type=envelope.payload_type, signer=caller.key)
        with pytest.raises(FieldInvalidError):
            await caller.send(changed).rest()
