"""The Python SDK passes every vector: what is valid it accepts, and what is not it refuses for the reason named."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from google.protobuf.message import DecodeError
from google.rpc import status_pb2

from consilience import asks, calls, envelopes, nodes
from consilience._wire import convert, errors, events
from consilience._wire.envelopes import from_bytes, open_envelope
from consilience.asks import AnswerEvent, Ask, Transcript
from consilience.calls import CallHeader
from consilience.envelopes import Envelope, Signed
from consilience.errors import (
    CODES,
    REFUSALS,
    AddressInvalidError,
    ConsilienceError,
    ProtocolError,
    RefusedError,
)
from consilience.identity import KeyPair, format_node_id, parse_node_id
from consilience.nodes import KeySuccession, NodeCard
from consilience.units import PublicKey, RequestId
from consilience.v1 import ask_pb2
from consilience_conformance import vectors

Test = dict[str, Any]
_EVERY = [
    pytest.param(group, test, id=f"{name}-{test['tcId']}-{test['comment']}".replace(" ", "_"))
    for name in vectors.NAMES
    for group in vectors.load(name)["testGroups"]
    for test in group["tests"]
]


@pytest.mark.parametrize(("group", "test"), _EVERY)
def test_the_sdk_passes(group: Test, test: Test) -> None:
    check = _CHECKS[group["type"]]
    if test["result"] == "valid":
        check(group, test)
        return
    with pytest.raises(ConsilienceError) as caught:
        check(group, test)
    match caught.value:
        case RefusedError(reason=reason):
            assert reason == test.get("reason")
        case ProtocolError(requirement=requirement):
            assert requirement == test.get("requirement")
        case error:
            assert isinstance(error, AddressInvalidError)
            assert "reason" not in test


def test_every_type_of_vector_is_checked() -> None:
    types = {group["type"] for name in vectors.NAMES for group in vectors.load(name)["testGroups"]}
    assert types == _CHECKS.keys()


def _encoding(_: Test, test: Test) -> None:
    payload = bytes.fromhex(test["payload"])
    encoded = envelopes.pre_authentication_encoding(test["payloadType"], payload)
    assert encoded.hex() == test["pae"]
    assert envelopes.digest(test["payloadType"], payload).hex() == test["digest"]


def _signing(group: Test, test: Test) -> None:
    _encoding(group, test)
    keys = KeyPair(bytes.fromhex(test["seed"]))
    sealed = envelopes.seal(bytes.fromhex(test["payload"]), payload_type=test["payloadType"], signer=keys)
    assert sealed.public_key.hex() == test["publicKey"]
    assert sealed.signature.hex() == test["signature"]
    envelopes.verify(sealed, payload_type=test["payloadType"])


def _verification(_: Test, test: Test) -> None:
    envelope = Envelope(
        payload_type=test["payloadType"],
        payload=bytes.fromhex(test["payload"]),
        public_key=PublicKey(bytes.fromhex(test["publicKey"])),
        signature=bytes.fromhex(test["signature"]),
    )
    envelopes.verify(envelope, payload_type=test["expectedType"])
    assert envelope.digest.hex() == test["digest"]


def _header(group: Test, test: Test) -> None:
    header = convert.parse(bytes.fromhex(test["encodedHeader"]), CallHeader)
    asks.check_call(asks.GetAnswerCall(header=header, ask_request_id=RequestId(bytes(16))))
    calls.check_header(
        header,
        method=group["method"],
        audience=PublicKey(bytes.fromhex(group["node"])),
        extensions=frozenset(group["knownExtensions"]),
    )
    calls.check_freshness(header, now=datetime.fromisoformat(test["now"]))


def _node_id(_: Test, test: Test) -> None:
    key = parse_node_id(test["text"])
    assert key.hex() == test["publicKey"]
    assert format_node_id(key) == test["text"]


def _opened(encoded: str, value_type: type[Any]) -> Signed[Any]:
    return open_envelope(from_bytes(bytes.fromhex(encoded)), value_type)


def _selection(_: Test, test: Test) -> None:
    one, other = (_opened(card, NodeCard) for card in test["cards"])
    assert (one, other).index(nodes.newer_card(one, other)) == test["winner"]


def _card(_: Test, test: Test) -> None:
    nodes.check_card(_opened(test["card"], NodeCard), now=datetime.fromisoformat(test["now"]))


def _succession(group: Test, test: Test) -> None:
    old_card = _opened({**group, **test}["oldCard"], NodeCard)
    succession = _opened(test["succession"], KeySuccession)
    assert nodes.check_succession(succession, old_card=old_card) == succession.value.new_node_id


def _event(encoded: str) -> AnswerEvent:
    """Reads an event as a reader does: a message whose text is not UTF-8 does not parse (STRM-TXT-001)."""
    try:
        event = ask_pb2.AnswerEvent.FromString(bytes.fromhex(encoded))
    except DecodeError as error:
        raise ProtocolError("the event does not parse", requirement="STRM-TXT-001") from error
    return events.decode_event(ask_pb2.AskResponse(events=[event]).SerializeToString())


def _transcript(test: Test) -> Transcript:
    transcript = Transcript()
    for encoded in test["events"]:
        transcript.append(_event(encoded))
    return transcript


def _framing(group: Test, test: Test) -> None:
    transcript = _transcript(test)
    assert transcript.text == group["text"]
    assert transcript.digest.hex() == test["transcriptDigest"]
    assert transcript.size_bytes == test["transcriptBytes"]
    assert transcript.last_sequence == test["lastSequence"]


def _log(_: Test, test: Test) -> None:
    _transcript(test)


def _exchange(group: Test, test: Test) -> None:
    card, ask = _opened(group["card"], NodeCard), _opened(group["ask"], Ask)
    transcript = _transcript(test)
    assert transcript.final is not None
    answer = transcript.final.answer
    asks.check_answer(
        answer,
        transcript=transcript,
        ask_digest=ask.digest,
        card_digest=card.digest,
        node_id=card.value.node_id,
    )
    if not card.value.may_sign(answer.value.signing_key, at=answer.value.finish_time):
        raise ProtocolError("the key is not the node's to use", requirement="ASK-ANS-001")


def _reason(_: Test, test: Test) -> None:
    assert REFUSALS[test["errorReason"]].code == test["code"] == CODES[test["errorReason"]]


def _status(_: Test, test: Test) -> None:
    refusal = errors.refusal_from_status(status_pb2.Status.FromString(bytes.fromhex(test["status"])))
    if refusal is None:
        raise ProtocolError("the status is no refusal of this protocol", requirement="ERR-STAT-001")
    assert (refusal.reason, refusal.code) == (test["errorReason"], test["code"])
    assert bool(refusal.detail or refusal.retry_after) is bool(test["details"])


_CHECKS: dict[str, Callable[[Test, Test], None]] = {
    "PreAuthenticationEncoding": _encoding,
    "EnvelopeSign": _signing,
    "EnvelopeVerify": _verification,
    "CallHeaderCheck": _header,
    "NodeIdText": _node_id,
    "CardSelection": _selection,
    "CardCheck": _card,
    "KeySuccession": _succession,
    "TranscriptFraming": _framing,
    "EventLog": _log,
    "ExchangeCheck": _exchange,
    "ReasonCode": _reason,
    "RefusalStatus": _status,
}
