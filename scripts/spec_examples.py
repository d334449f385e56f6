"""Draws the examples of the specification: the exchange of the vectors, field by field and byte by byte."""

import base64
from collections.abc import Callable, Iterator
from datetime import timedelta

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2

from consilience.v1 import ask_pb2, conformance_pb2, node_pb2, payment_pb2, review_pb2
from consilience.v1 import error_details_pb2 as details_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance import edwards, envelopes
from consilience_conformance.vectors.generator import errors, exchanges, messages, payments, reviews
from consilience_conformance.vectors.generator.actors import (
    ASKER,
    NEXT_ROOT,
    NODE,
    NOON,
    SIGNING_KEY,
    Actor,
    fixed_bytes,
    timestamp,
)
from consilience_conformance.vectors.generator.node_ids import node_id

_WIDTH = 96


def example(name: str) -> str:
    """Returns an example by the name in its marker.

    Raises:
        KeyError: There is none of that name.
    """
    return _EXAMPLES[name]()


def fenced(*blocks: str) -> str:
    """Returns lines of text as they stand."""
    return "```text\n" + "\n".join(block.rstrip("\n") for block in blocks) + "\n```"


def hexadecimal(data: bytes) -> str:
    """Returns bytes in lines of hexadecimal digits."""
    digits = data.hex()
    return "\n".join(digits[start : start + _WIDTH] for start in range(0, len(digits), _WIDTH))


def readable(message: Message) -> str:
    """Returns a message field by field: bytes in hexadecimal, times as RFC 3339, envelopes by what they carry."""
    name = message.DESCRIPTOR.name
    return "\n".join([f"{name} {{", *(f"  {line}" for line in _lines(message)), "}"])


def _lines(message: Message) -> Iterator[str]:
    for field, value in message.ListFields():
        for item in value if field.is_repeated else [value]:
            yield from _field_lines(field, item)


def _field_lines(field: FieldDescriptor, value: object) -> Iterator[str]:
    match value:
        case Timestamp() | Duration():
            yield f"{field.name}: {value.ToJsonString()}"
        case SignedEnvelope():
            yield f"{field.name}: envelope of {value.payload_type}, digest"
            yield f"  {envelopes.envelope_digest(value).hex()}"
        case Message():
            yield f"{field.name} {{"
            yield from (f"  {line}" for line in _lines(value))
            yield "}"
        case bytes():
            yield f"{field.name}: {value.hex()}"
        case int() if field.enum_type is not None:
            yield f"{field.name}: {field.enum_type.values_by_number[value].name}"
        case str():
            yield f'{field.name}: "{value}"'
        case bool():
            yield f"{field.name}: {str(value).lower()}"
        case _:
            yield f"{field.name}: {value}"


def _sealed(envelope: SignedEnvelope, message_type: type[Message], *, signer: Actor) -> str:
    """Returns the whole of an envelope: message, payload, and what is made of it."""
    payload = envelope.payload
    encoded = envelope.SerializeToString(deterministic=True)
    return "\n\n".join(
        [
            fenced(readable(message_type.FromString(payload))),
            f"The payload, {len(payload)} bytes:",
            fenced(hexadecimal(payload)),
            f"Signed by the {signer.name}, whose seed is `{signer.seed.hex()}`:",
            fenced(
                f"public_key  {envelope.public_key.hex()}",
                f"signature   {envelope.signature.hex()[:64]}",
                f"            {envelope.signature.hex()[64:]}",
                f"digest      {envelopes.envelope_digest(envelope).hex()}",
            ),
            f"The encoded envelope, {len(encoded)} bytes:",
            fenced(hexadecimal(encoded)),
        ]
    )


def _small_order() -> str:
    torsion = edwards.torsion_generator()
    encodings = [torsion.times(index).encode() for index in range(edwards.COFACTOR)]
    coordinates = {encoding[:-1] + bytes([encoding[-1] & 0x7F]) for encoding in encodings}
    return fenced(*sorted(coordinate.hex() for coordinate in coordinates))


def _envelope() -> str:
    message = node_pb2.KeyAcceptance(
        old_node_id=NODE.public_key, new_node_id=NEXT_ROOT.public_key, issue_time=timestamp(NOON)
    )
    sealed = envelopes.seal(message, seed=NEXT_ROOT.seed)
    pae = envelopes.pre_authentication_encoding(sealed.payload_type, sealed.payload)
    return "\n\n".join(
        [
            "A new root key accepts the succession to an old one.",
            _sealed(sealed, node_pb2.KeyAcceptance, signer=NEXT_ROOT),
            f"What was signed, {len(pae)} bytes, beginning with `{pae[:41].decode('ascii')}`:",
            fenced(hexadecimal(pae)),
        ]
    )


def _card() -> str:
    card = messages.sealed_card()
    return "\n\n".join(
        [
            f"The card of the node `{node_id(NODE.public_key)}`, which converts units:",
            _sealed(card, node_pb2.NodeCard, signer=NODE),
        ]
    )


def _ask() -> str:
    log = exchanges.log()
    events = exchanges.ended(log)
    merged = messages.merged(log[1:6])
    answer = ask_pb2.Answer.FromString(events[-1].final.answer.payload)
    return "\n\n".join(
        [
            "A client asks the node of [1.6](1-nodes.md#16-example).",
            _sealed(messages.sealed_ask(), ask_pb2.Ask, signer=ASKER),
            "The node accepts and streams. Each line is one encoded AnswerEvent; the last one is the Final.",
            fenced(*(f"{event.sequence}\n{_indented(event)}" for event in events)),
            "A reader that comes late may get the five deltas as one:",
            fenced(readable(merged), hexadecimal(merged.SerializeToString(deterministic=True))),
            "The answer that the Final carries, with the digest of the ask above:",
            fenced(readable(answer)),
        ]
    )


def _indented(message: Message) -> str:
    encoded = hexadecimal(message.SerializeToString(deterministic=True))
    return "\n".join(f"  {line}" for line in encoded.splitlines())


def _refusal() -> str:
    limit = details_pb2.LimitExceeded(limit="max_turns", maximum=32, requested=33)
    refusal = errors.status(
        "LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED", "max_turns is 32 here, and the call needs 33", limit
    )
    encoded = refusal.SerializeToString(deterministic=True)
    return "\n\n".join(
        [
            "An ask with 33 turns at the node of [1.6](1-nodes.md#16-example). The two details:",
            fenced(
                readable(error_details_pb2.ErrorInfo(reason="LIMIT_EXCEEDED", domain=errors.DOMAIN)), readable(limit)
            ),
            f"The encoded `google.rpc.Status`, {len(encoded)} bytes:",
            fenced(hexadecimal(encoded)),
            "On the wire, as gRPC sends metadata whose key ends in `-bin`:",
            fenced(
                "grpc-status: 8",
                f"grpc-message: {refusal.message}",
                "grpc-status-details-bin: ",
                *(f"  {line}" for line in _wrapped(base64.b64encode(encoded).decode().rstrip("="))),
            ),
        ]
    )


def _wrapped(text: str) -> list[str]:
    return [text[start : start + _WIDTH] for start in range(0, len(text), _WIDTH)]


def _payment() -> str:
    voucher = payments.sealed_voucher(cumulative=20)
    return "\n\n".join(
        [
            "The node of [1.6](1-nodes.md#16-example) takes 5 for an answer and 3 for every 10 bytes beyond 20:",
            _sealed(payments.sealed_quote(), payment_pb2.Quote, signer=SIGNING_KEY),
            "An answer of 33 bytes costs 5 + 13 · 3 / 10 = 8.9, which is 9.",
            "The asker opens a session on credit. Its id is the digest of these terms:",
            _sealed(payments.sealed_terms(), payment_pb2.SessionTerms, signer=ASKER),
            "With the ask goes a voucher over the first window:",
            _sealed(voucher, payment_pb2.Voucher, signer=ASKER),
        ]
    )


def _review() -> str:
    return "\n\n".join(
        [
            "The asker of [2.9](2-asks.md#29-example) draws the salt",
            fenced(hexadecimal(reviews.TICKET_SALT)),
            "and asks with the `reviewer_commitment` that it makes with its own key:",
            fenced(hexadecimal(reviews.reviewer_commitment())),
            "The node accepts with this ticket:",
            _sealed(reviews.sealed_ticket(), review_pb2.ReviewTicket, signer=SIGNING_KEY),
            "An hour later the asker publishes this, with the card of [1.6](1-nodes.md#16-example) beside it:",
            _sealed(reviews.sealed_review(), review_pb2.Review, signer=ASKER),
        ]
    )


def _unknown() -> str:
    return "\n\n".join(
        [
            "Event 9 is of a kind that version 1 does not have: field 127 of AnswerEvent. The next event is number 10.",
            fenced(hexadecimal(bytes([0x08, 0x09, 0xFA, 0x07, 0x02, 0x08, 0x01]))),
        ]
    )


def _script() -> str:
    grant = conformance_pb2.ConformanceGrant(
        node_id=NODE.public_key,
        testers=[ASKER.public_key],
        issue_time=timestamp(NOON),
        expire_time=timestamp(NOON + timedelta(minutes=30)),
    )
    gate = fixed_bytes("gate", size=16)
    script = conformance_pb2.ConformanceScript(
        grant=envelopes.seal(grant, seed=NODE.seed),
        steps=[
            conformance_pb2.ScriptStep(token=conformance_pb2.ScriptedToken(data="30 °".encode()[:-1])),
            conformance_pb2.ScriptStep(wait=gate),
            conformance_pb2.ScriptStep(token=conformance_pb2.ScriptedToken(data="°".encode()[1:] + b"C")),
        ],
    )
    encoded = script.SerializeToString(deterministic=True)
    return "\n\n".join(
        [
            "The operator of the node allows a tester half an hour.",
            _sealed(script.grant, conformance_pb2.ConformanceGrant, signer=NODE),
            "A script that breaks a character in two and stands still in between:",
            fenced(readable(script)),
            f"The data of the blob, {len(encoded)} bytes:",
            fenced(hexadecimal(encoded)),
        ]
    )


_EXAMPLES: dict[str, Callable[[], str]] = {
    "small_order": _small_order,
    "envelope": _envelope,
    "card": _card,
    "ask": _ask,
    "payment": _payment,
    "review": _review,
    "refusal": _refusal,
    "unknown": _unknown,
    "script": _script,
}
