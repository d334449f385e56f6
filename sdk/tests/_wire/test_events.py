import dataclasses

import pytest

from consilience import asks
from consilience._wire import events, services
from consilience.errors import EnvelopeMalformedError, SignatureInvalidError
from consilience.units import Sequence
from consilience.v1 import ask_pb2
from sdk.tests._wire.chains import NOW, Chain

ONE = Sequence(1)


def _all_kinds(chain: Chain) -> list[asks.Event]:
    return [
        asks.Accepted(ask_digest=chain.ask.digest, accept_time=NOW),
        asks.Accepted(ask_digest=chain.ask.digest, accept_time=NOW, ticket=chain.answer.envelope),
        asks.TextDelta(first_sequence=ONE, text="Grüße 🐛", output_tokens=3),
        *chain.answer.value.citations,
        asks.Progress(message="reading", done_milli=0),
        asks.Progress(message="reading"),
        asks.Gap(first_sequence=ONE, detail="lost"),
        asks.Metered(meter=chain.answer.envelope),
        asks.PaymentNeeded(required_cumulative=70, stop_time=NOW),
        asks.Final(answer=chain.answer),
        asks.Final(answer=chain.answer, receipt=chain.answer.envelope),
        asks.Final(answer=chain.answer, receipt=chain.answer.envelope, attestation=chain.ask.envelope),
    ]


def test_every_kind_of_event_comes_back_equal(chain: Chain) -> None:
    for event in _all_kinds(chain):
        entry = asks.AnswerEvent(sequence=Sequence(9), event=event)
        assert events.decode_event(events.encode_event(entry)) == entry


def test_every_kind_of_the_wire_is_known(chain: Chain) -> None:
    kinds = {field.name for field in ask_pb2.AnswerEvent.DESCRIPTOR.oneofs_by_name["event"].fields}
    seen = set()
    for event in _all_kinds(chain):
        response = ask_pb2.AskResponse.FromString(events.encode_event(asks.AnswerEvent(sequence=ONE, event=event)))
        seen.add(response.events[0].WhichOneof("event"))
    assert seen == kinds


def test_one_encoding_serves_both_methods() -> None:
    entry = asks.AnswerEvent(sequence=Sequence(2), event=asks.TextDelta(first_sequence=Sequence(2), text="x"))
    resumed = ask_pb2.ResumeAnswerResponse.FromString(events.encode_event(entry))
    assert events.decode_event(resumed.SerializeToString()) == entry


def test_encodings_one_behind_the_other_are_one_response_with_all_events(chain: Chain) -> None:
    entries = [
        asks.AnswerEvent(sequence=Sequence(number), event=event) for number, event in enumerate(_all_kinds(chain), 1)
    ]
    assert events.decode_events(b"".join(map(events.encode_event, entries))) == tuple(entries)


def test_an_event_of_a_later_version_is_unknown_and_keeps_its_sequence() -> None:
    # Field 14 of AnswerEvent (a message) is not of this version.
    encoded = bytes.fromhex("0a05") + bytes.fromhex("0803") + bytes.fromhex("720161")
    entry = events.decode_event(encoded)
    assert entry == asks.AnswerEvent(sequence=Sequence(3), event=asks.UnknownEvent())


def test_an_unknown_event_cannot_be_sent() -> None:
    with pytest.raises(ValueError, match="unknown event"):
        events.encode_event(asks.AnswerEvent(sequence=ONE, event=asks.UnknownEvent()))


def test_a_final_whose_answer_does_not_verify_is_refused(chain: Chain) -> None:
    envelope = dataclasses.replace(chain.answer.envelope, signature=bytes(64))
    entry = asks.AnswerEvent(
        sequence=ONE, event=asks.Final(answer=dataclasses.replace(chain.answer, envelope=envelope))
    )
    with pytest.raises(SignatureInvalidError):
        events.decode_event(events.encode_event(entry))


def test_hostile_bytes_are_malformed() -> None:
    with pytest.raises(EnvelopeMalformedError):
        events.decode_event(b"\x0a\xff")


def test_a_response_without_an_event_is_malformed() -> None:
    with pytest.raises(EnvelopeMalformedError, match="no event"):
        events.decode_events(b"")


def test_text_that_is_no_utf8_is_malformed() -> None:
    # event { sequence: 1, text_delta { first_sequence: 1, text: <half of é> } }
    encoded = bytes.fromhex("0a09" + "0801" + "1a05" + "0801" + "1201c3")
    with pytest.raises(EnvelopeMalformedError):
        events.decode_event(encoded)


def test_requests_and_responses_come_back_equal(chain: Chain) -> None:
    assert services.decode_request(services.encode_request(chain.ask.envelope)) == chain.ask.envelope
    encoded = services.encode_card_response(chain.card.envelope, successions=[chain.ask.envelope])
    assert services.decode_card_response(encoded) == (chain.card.envelope, (chain.ask.envelope,))
    final = asks.Final(answer=chain.answer)
    assert services.decode_cancelled(services.encode_cancelled(final)) == final
    for snapshot in (
        asks.AnswerSnapshot(last_sequence=Sequence(7), text="abc", final=final, keep_until_time=NOW),
        asks.AnswerSnapshot(last_sequence=ONE, text=""),
    ):
        assert services.decode_snapshot(services.encode_snapshot(snapshot)) == snapshot


@pytest.mark.parametrize("encoded", [b"", b"\xff"])
def test_a_request_without_an_envelope_is_malformed(encoded: bytes) -> None:
    with pytest.raises(EnvelopeMalformedError):
        services.decode_request(encoded)
    with pytest.raises(EnvelopeMalformedError):
        services.decode_card_response(encoded)
