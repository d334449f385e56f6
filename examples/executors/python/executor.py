"""An executor of the vectors over the Python SDK: it answers on standard output, one line per question.

    consilience-conformance vectors --exec 'python examples/executors/python/executor.py'

Each function below is named by a type of vector in `FUNCTIONS`, takes the input of a test and returns the values that
it comes to, or raises what the SDK raises. How suite and executor speak stands in docs/guides/run-the-vectors.md.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, TextIO

import grpc
from google.protobuf.message import DecodeError
from google.rpc import status_pb2

from consilience import asks, calls, envelopes, nodes, payments, reviews
from consilience._wire import convert, errors, events, records
from consilience._wire.envelopes import from_bytes, open_envelope
from consilience._wire.records import open_record
from consilience.asks import Accepted, Answer, AnswerEvent, Ask, Transcript
from consilience.calls import CallHeader
from consilience.client.tickets import HeldTicket
from consilience.envelopes import Envelope, Signed
from consilience.errors import REFUSALS, AddressInvalidError, ConsilienceError, ProtocolError, RefusedError
from consilience.identity import KeyPair, format_node_id, parse_node_id
from consilience.nodes import KeySuccession, NodeCard
from consilience.payments import Quote, Receipt, SessionTerms
from consilience.reviews import Place, PublishOutcome
from consilience.reviews.records import NEVER
from consilience.tariffs import Tariff, tariff_violations
from consilience.units import PublicKey, RequestId
from consilience.v1 import ask_pb2, error_reason_pb2

PROTOCOL = "consilience-vectors/1"

Input = Mapping[str, Any]
Values = Mapping[str, Any]


def encode(test: Input) -> Values:
    """PreAuthenticationEncoding: what is signed, and its digest."""
    payload_type, payload = test["payloadType"], bytes.fromhex(test["payload"])
    return {
        "pae": envelopes.pre_authentication_encoding(payload_type, payload).hex(),
        "digest": envelopes.digest(payload_type, payload).hex(),
    }


def sign(test: Input) -> Values:
    """EnvelopeSign: the envelope that a key makes, which has to verify."""
    keys = KeyPair(bytes.fromhex(test["seed"]))
    sealed = envelopes.seal(bytes.fromhex(test["payload"]), payload_type=test["payloadType"], signer=keys)
    envelopes.verify(sealed, payload_type=test["payloadType"])
    return {"publicKey": sealed.public_key.hex(), "signature": sealed.signature.hex()}


def verify(test: Input) -> Values:
    """EnvelopeVerify: an envelope as it travels."""
    envelope = Envelope(
        payload_type=test["payloadType"],
        payload=bytes.fromhex(test["payload"]),
        public_key=PublicKey(bytes.fromhex(test["publicKey"])),
        signature=bytes.fromhex(test["signature"]),
    )
    envelopes.verify(envelope, payload_type=test["expectedType"])
    return {"digest": envelope.digest.hex()}


def check_header(test: Input) -> Values:
    """CallHeaderCheck: the header of a call, by the node that gets it."""
    header = convert.parse(bytes.fromhex(test["encodedHeader"]), CallHeader)
    # Any call will do to carry it: what is checked of the header is the same in all.
    asks.check_call(asks.GetAnswerCall(header=header, ask_request_id=RequestId(bytes(16))))
    calls.check_header(
        header,
        method=test["method"],
        audience=PublicKey(bytes.fromhex(test["node"])),
        extensions=frozenset(test["knownExtensions"]),
    )
    calls.check_freshness(header, now=datetime.fromisoformat(test["now"]))
    return {}


def read_node_id(test: Input) -> Values:
    """NodeIdText: a text form to its key, and back."""
    key = parse_node_id(test["text"])
    return {"publicKey": key.hex(), "text": format_node_id(key)}


def select_card(test: Input) -> Values:
    """CardSelection: the newer of two cards."""
    one, other = (_opened(card, NodeCard) for card in test["cards"])
    return {"winner": (one, other).index(nodes.newer_card(one, other))}


def check_card(test: Input) -> Values:
    """CardCheck: a card that is seen for the first time."""
    nodes.check_card(_opened(test["card"], NodeCard), now=datetime.fromisoformat(test["now"]))
    return {}


def check_succession(test: Input) -> Values:
    """KeySuccession: a hand-over after the newest card of the old key."""
    old_card = _opened(test["oldCard"], NodeCard)
    nodes.check_succession(_opened(test["succession"], KeySuccession), old_card=old_card)
    return {}


def frame(test: Input) -> Values:
    """TranscriptFraming: the text that the deltas of a log make."""
    transcript = _transcript(test["events"])
    return {
        "text": transcript.text,
        "transcriptDigest": transcript.digest.hex(),
        "transcriptBytes": transcript.size_bytes,
        "lastSequence": transcript.last_sequence,
    }


def read_log(test: Input) -> Values:
    """EventLog: the order of the events of a log."""
    _transcript(test["events"])
    return {}


def check_exchange(test: Input) -> Values:
    """ExchangeCheck: card, ask, log and answer belong together."""
    card, ask = _opened(test["card"], NodeCard), _opened(test["ask"], Ask)
    transcript = _transcript(test["events"])
    if transcript.final is None:
        raise ProtocolError("the log has no Final", requirement="STRM-LOG-003")
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
    return {}


def price(test: Input) -> Values:
    """TariffCost: what usage costs; a tariff that breaks its rules has no cost."""
    tariff = convert.parse(bytes.fromhex(test["tariff"]), Tariff)
    for path, description in tariff_violations(tariff):
        raise ProtocolError(f"{path} {description}", requirement="PAY-TRF-001")
    return {"cost": str(payments.cost(tariff, convert.parse(bytes.fromhex(test["usage"]), asks.Usage)))}


def check_receipts(test: Input) -> Values:
    """ReceiptChain: all receipts of a session, with what they are for."""
    card, quote = _opened(test["card"], NodeCard), _opened(test["quote"], Quote)
    terms = _opened(test["terms"], SessionTerms)
    receipts: list[Signed[Receipt]] = []
    for exchange in test["exchanges"]:
        ask, answer = _opened(exchange["ask"], Ask), _opened(exchange["answer"], Answer)
        receipt = _opened(exchange["receipt"], Receipt)
        if not card.value.may_sign(receipt.value.signing_key, at=receipt.value.finish_time):
            raise ProtocolError("the key is not the node's to use", requirement="PAY-RCP-005")
        before = receipts[-1] if receipts else None
        payments.check_receipt(receipt, quote=quote, ask=ask, answer=answer, terms=terms, before=before)
        if before is None and receipt.value.number != 1:
            raise ProtocolError("the first receipt is missing", requirement="PAY-RCP-002")
        if receipt.value.refund_of:
            payments.check_refund(receipt, earlier=receipts)
        receipts.append(receipt)
    last = receipts[-1].value
    return {"sessionSpent": str(last.session_spent), "sessionRefunded": str(last.session_refunded)}


def commit(test: Input) -> Values:
    """ReviewerCommitment: what an ask carries to get a ticket."""
    reviewer = PublicKey(bytes.fromhex(test["reviewer"]))
    return {"reviewerCommitment": reviews.reviewer_commitment(reviewer, salt=bytes.fromhex(test["salt"])).hex()}


def check_ticket(test: Input) -> Values:
    """TicketCheck: the ticket that an ask was accepted with."""
    card, ask = _opened(test["card"], NodeCard), _opened(test["ask"], Ask)
    accepted = _event(test["accepted"])
    if not isinstance(accepted.event, Accepted):
        raise ProtocolError("the event is no Accepted", requirement="STRM-LOG-002")
    # Salt and reviewer open the ticket later; nothing of the check depends on them.
    HeldTicket.of(accepted.event, ask=ask, card=card, salt=bytes(32), reviewer=PublicKey(bytes(32)))
    return {}


def count_digits(test: Input) -> Values:
    """ChargeDigits: what an attestation tells of a charge."""
    return {"chargeDigits": reviews.charge_digits(int(test["charge"]))}


def check_record(test: Input) -> Values:
    """RecordCheck: steps 1 to 8 of the admission, and the place of what passes."""
    place = _place(test["record"], now=test["now"])
    return {
        "author": place.author.hex(),
        "subject": place.subject.hex(),
        "slot": place.slot.hex(),
        "issueTime": _shown(place.issue_time),
        "end": "" if place.end == NEVER else _shown(place.end),
        "quota": reviews.QUOTAS[place.slot_type],
    }


def decide_slot(test: Input) -> Values:
    """SlotDecision: what a registry says to a record whose slot is held by another."""
    held, newcomer = (_place(test[name], now=test["now"]) for name in ("held", "newcomer"))
    if reviews.wins(newcomer, held=held):
        return {"outcome": PublishOutcome.STORED.name}
    if (refusal := reviews.refusal_of(newcomer, held=held)) is not None:
        raise refusal
    return {"outcome": PublishOutcome.SUPERSEDED.name}


def look_up(test: Input) -> Values:
    """ReasonCode: what the catalogue says of a reason."""
    code = REFUSALS[test["errorReason"]].code
    entry = error_reason_pb2.ErrorReason.DESCRIPTOR.values_by_name[f"ERROR_REASON_{test['errorReason']}"]
    return {
        "number": entry.number,
        "code": code,
        "codeNumber": grpc.StatusCode[code].value[0],
        "detail": entry.GetOptions().Extensions[error_reason_pb2.detail_message],
    }


def read_status(test: Input) -> Values:
    """RefusalStatus: what a client makes of a status; its details are those that it would pass on."""
    refusal = errors.refusal_from_status(status_pb2.Status.FromString(bytes.fromhex(test["status"])))
    if refusal is None:
        raise ProtocolError("the status is no refusal of this protocol", requirement="ERR-STAT-001")
    kept = [packed.type_url.rpartition("/")[2] for packed in errors.status_of(refusal).details]
    details = [name for name in kept if name != "google.rpc.ErrorInfo"]
    return {"errorReason": refusal.reason, "code": refusal.code, "details": details}


FUNCTIONS: Mapping[str, Callable[[Input], Values]] = {
    "PreAuthenticationEncoding": encode,
    "EnvelopeSign": sign,
    "EnvelopeVerify": verify,
    "CallHeaderCheck": check_header,
    "NodeIdText": read_node_id,
    "CardSelection": select_card,
    "CardCheck": check_card,
    "KeySuccession": check_succession,
    "TranscriptFraming": frame,
    "EventLog": read_log,
    "ExchangeCheck": check_exchange,
    "TariffCost": price,
    "ReceiptChain": check_receipts,
    "ReviewerCommitment": commit,
    "TicketCheck": check_ticket,
    "ChargeDigits": count_digits,
    "RecordCheck": check_record,
    "SlotDecision": decide_slot,
    "ReasonCode": look_up,
    "RefusalStatus": read_status,
}


def answer(question: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the answer to one question of the suite, the handshake included."""
    if "type" not in question:
        who = {"name": "consilience", "language": "Python", "types": list(FUNCTIONS)}
        return {"id": question["id"], "protocol": PROTOCOL, **who}
    function = FUNCTIONS.get(question["type"])
    if function is None:
        return {"id": question["id"], "unsupported": True}
    try:
        return {"id": question["id"], "accepted": function(question["input"])}
    except ConsilienceError as error:
        return {"id": question["id"], "refused": _reason(error), "comment": str(error)}


def serve(questions: Iterable[str], *, output: TextIO) -> None:
    """Answers line after line until the input ends."""
    for line in questions:
        print(json.dumps(answer(json.loads(line))), file=output, flush=True)


def _reason(error: ConsilienceError) -> str:
    """Returns what the protocol calls the refusal.

    Raises:
        ConsilienceError: The error is none that a vector can lead to.
    """
    match error:
        case RefusedError(reason=reason):
            return reason
        case ProtocolError(requirement=requirement):
            return requirement
        case AddressInvalidError():
            return "NODE-ID-001"
        case _:
            raise error


def _opened(encoded: str, value_type: type[Any]) -> Signed[Any]:
    return open_envelope(from_bytes(bytes.fromhex(encoded)), value_type)


def _place(encoded: str, *, now: str) -> Place:
    record = open_record(records.from_bytes(bytes.fromhex(encoded)))
    return reviews.place_of(record, now=datetime.fromisoformat(now))


def _shown(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")


def _event(encoded: str) -> AnswerEvent:
    """Reads an event as a reader does: a message whose text is not UTF-8 does not parse (STRM-TXT-001)."""
    try:
        event = ask_pb2.AnswerEvent.FromString(bytes.fromhex(encoded))
    except DecodeError as error:
        raise ProtocolError("the event does not parse", requirement="STRM-TXT-001") from error
    return events.decode_event(ask_pb2.AskResponse(events=[event]).SerializeToString())


def _transcript(encoded: Iterable[str]) -> Transcript:
    transcript = Transcript()
    for event in encoded:
        transcript.append(_event(event))
    return transcript


if __name__ == "__main__":
    serve(sys.stdin, output=sys.stdout)
