"""Bytes of the wire as text."""

from google.protobuf import any_pb2, wrappers_pb2

from consilience.v1 import ask_pb2, conformance_pb2, node_pb2
from consilience.v1.envelope_pb2 import CallHeader, SignedEnvelope
from consilience_conformance import envelopes
from consilience_conformance.report.readable import method_of, readable

_SEED = bytes(32)


def test_methods_are_known_by_their_names() -> None:
    method = method_of("consilience.v1.AskService/Ask")
    assert method is not None
    assert method.input_type.full_name == "consilience.v1.AskRequest"
    assert method_of("consilience.v1.AskService/NoSuchMethod") is None
    assert method_of("no.such.Service/Ask") is None


def test_an_envelope_is_opened_and_a_time_is_a_date() -> None:
    ask = ask_pb2.Ask(skill_id="say", data_class=node_pb2.DATA_CLASS_PUBLIC, header=CallHeader(request_id=b"\x01\x02"))
    ask.header.issue_time.FromJsonString("2026-01-15T12:00:00Z")
    request = ask_pb2.AskRequest(ask=envelopes.seal(ask, seed=_SEED))
    text = readable(request.SerializeToString(), type_name="consilience.v1.AskRequest")
    assert "payload: consilience.v1.Ask {" in text
    assert 'skill_id: "say"' in text
    assert "request_id: 0102" in text
    assert "issue_time: 2026-01-15T12:00:00Z" in text
    assert "data_class: DATA_CLASS_PUBLIC" in text


def test_a_script_is_read_inside_of_its_blob() -> None:
    step = conformance_pb2.ScriptStep(fail="why")
    script = conformance_pb2.ConformanceScript(steps=[step]).SerializeToString()
    blob = ask_pb2.Blob(media_type="application/vnd.consilience.script", data=script)
    assert 'fail: "why"' in readable(blob.SerializeToString(), type_name="consilience.v1.Blob")


def test_extensions_are_read_where_their_type_is_known() -> None:
    packed = any_pb2.Any()
    packed.Pack(wrappers_pb2.StringValue(value="inside"))
    header = CallHeader(extensions={"https://example.org/x": packed})
    text = readable(header.SerializeToString(), type_name="consilience.v1.CallHeader")
    assert 'key: "https://example.org/x"' in text
    assert 'value: "inside"' in text


def test_what_does_not_parse_is_said_to_be_that() -> None:
    assert readable(b"\xff", type_name="consilience.v1.Ask") == "1 bytes that do not parse as consilience.v1.Ask"
    assert readable(b"\xff", type_name="") == "1 bytes that do not parse as any message"
    assert readable(b"", type_name="") == "(empty)"


def test_a_payload_that_is_not_what_its_envelope_says_stays_bytes() -> None:
    envelope = SignedEnvelope(payload_type="consilience.v1.Ask", payload=b"\xff\xff")
    text = readable(envelope.SerializeToString(), type_name="consilience.v1.SignedEnvelope")
    assert "payload: ffff" in text


def test_long_bytes_texts_and_unknown_fields_are_cut_with_their_size() -> None:
    answer = ask_pb2.Turn(parts=[ask_pb2.Part(text="ä\n" * 300)]).SerializeToString() + b"\xfa\x07\x02ab"
    text = readable(answer, type_name="consilience.v1.Turn")
    assert '…" (600 characters)' in text
    assert "\\n" in text
    assert "(5 bytes of unknown fields)" in text
    digest = readable(ask_pb2.Answer(ask_digest=bytes(500)).SerializeToString(), type_name="consilience.v1.Answer")
    assert "… (500 bytes)" in digest


def test_messages_within_messages_end_somewhere() -> None:
    inner = any_pb2.Any()
    for _ in range(60):
        outer = any_pb2.Any()
        outer.Pack(inner)
        inner = outer
    assert "…" in readable(inner.SerializeToString(), type_name="google.protobuf.Any")
