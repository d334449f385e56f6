import pytest

from consilience.v1 import ask_pb2, node_pb2
from consilience_conformance.wire_bytes import DELIMITED, VARINT, Field, field_of, fields_of, varint

NUMBERS = (0, 1, 127, 128, 300, 2**32, 2**63)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_is_spelled_as_protobuf_spells_it(number: int) -> None:
    encoded = ask_pb2.AnswerEvent(sequence=number).SerializeToString()
    assert encoded == (b"\x08" + varint(number) if number else b"")


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_with_needless_bytes_is_read_as_the_same(number: int) -> None:
    padded = varint(number, padding=3 if number < 2**32 else 0)
    assert ask_pb2.AnswerEvent.FromString(b"\x08" + padded).sequence == number


def test_a_message_is_taken_apart_and_put_together() -> None:
    ask = ask_pb2.Ask(skill_id="chat", card_digest=bytes(32), data_class=node_pb2.DATA_CLASS_INTERNAL)
    encoded = ask.SerializeToString()
    parts = list(fields_of(encoded))
    assert parts == [Field(2, DELIMITED, b"chat"), Field(3, DELIMITED, bytes(32)), Field(6, VARINT, b"\x02")]
    assert b"".join(part.encoded for part in parts) == encoded


def test_fields_of_a_fixed_width_are_taken_whole() -> None:
    encoded = ask_pb2.Confidence(p_correct=0.5, method="guess").SerializeToString()
    assert b"".join(part.encoded for part in fields_of(encoded)) == encoded
    assert {part.number for part in fields_of(encoded)} == {1, 4}


def test_a_field_that_no_version_has_changes_nothing_that_is_known() -> None:
    ask = ask_pb2.Ask(skill_id="chat")
    assert ask_pb2.Ask.FromString(ask.SerializeToString() + field_of(2000, b"new")).skill_id == "chat"


def test_a_group_is_no_field_of_proto3() -> None:
    with pytest.raises(ValueError, match="wire type 3"):
        list(fields_of(b"\x0b"))
