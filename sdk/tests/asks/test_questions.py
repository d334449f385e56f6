"""Questions: what an ask holds, and which of its fields break a rule."""

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from consilience.asks import (
    ASK_METHOD,
    GET_METHOD,
    Ask,
    AskLimits,
    Blob,
    GetAnswerCall,
    OnDisconnect,
    Role,
    Turn,
    check_ask,
    check_call,
)
from consilience.asks.questions import MAX_VIOLATIONS
from consilience.calls import CallHeader, new_header
from consilience.errors import FieldInvalidError, FieldViolations
from consilience.nodes import DataClass
from consilience.units import Digest, PublicKey, RequestId

_NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)


def _header(method: str = ASK_METHOD) -> CallHeader:
    return new_header(method=method, audience=PublicKey(b"n" * 32), caller=PublicKey(b"c" * 32), now=_NOW)


def _ask(**changes: object) -> Ask:
    ask = Ask(
        header=_header(),
        skill_id="units.convert",
        card_digest=Digest(b"d" * 32),
        turns=(Turn(role=Role.ASKER, parts=("How many feet are 12 inches?",)),),
        data_class=DataClass.PUBLIC,
    )
    return dataclasses.replace(ask, **changes)  # type: ignore[arg-type]


def _violated(ask: Ask) -> list[str]:
    with pytest.raises(FieldInvalidError) as caught:
        check_ask(ask)
    assert isinstance(caught.value.detail, FieldViolations)
    return [violation.field for violation in caught.value.detail.violations]


def test_an_ask_in_order_passes() -> None:
    check_ask(_ask())


def test_the_question_is_the_text_of_the_last_turn() -> None:
    first = Turn(role=Role.ASKER, parts=("Hello",))
    last = Turn(role=Role.ASKER, parts=("What is", Blob(media_type="image/png", data=b"\x89"), "this?"))
    assert _ask(turns=(first, last)).text == "What is\nthis?"
    assert _ask(turns=()).text == ""


def test_the_size_of_a_turn_counts_bytes_of_text_and_blobs() -> None:
    turn = Turn(role=Role.ASKER, parts=("zwölf", Blob(media_type="image/png", data=bytes(3))))
    assert turn.size_bytes == 6 + 3


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"skill_id": ""}, "skill_id"),
        ({"skill_id": "Units"}, "skill_id"),
        ({"card_digest": b""}, "card_digest"),
        ({"turns": ()}, "turns"),
        ({"turns": (Turn(role=Role.UNKNOWN, parts=("x",)),)}, "turns[0].role"),
        ({"turns": (Turn(role=Role.ASKER, parts=()),)}, "turns[0].parts"),
        (
            {"turns": (Turn(role=Role.ASKER, parts=(Blob(media_type="PNG", data=b""),)),)},
            "turns[0].parts[0].blob.media_type",
        ),
        ({"data_class": DataClass.UNSPECIFIED}, "data_class"),
        ({"data_class": DataClass.UNKNOWN}, "data_class"),
        ({"on_disconnect": OnDisconnect.UNKNOWN}, "on_disconnect"),
        ({"limits": AskLimits(max_output_tokens=-1)}, "limits.max_output_tokens"),
        ({"limits": AskLimits(max_hidden_tokens=-1)}, "limits.max_hidden_tokens"),
        ({"answer_schema": "x" * 65537}, "answer_schema"),
        ({"model_id": "m" * 129}, "model_id"),
        ({"header": dataclasses.replace(_header(), request_id=RequestId(b""))}, "header.request_id"),
        ({"header": dataclasses.replace(_header(), expire_time=_NOW)}, "header.expire_time"),
        (
            {"header": dataclasses.replace(_header(), expire_time=_NOW + timedelta(minutes=10, microseconds=1))},
            "header.expire_time",
        ),
    ],
)
def test_a_field_that_breaks_its_rule_is_named(changes: dict[str, object], field: str) -> None:
    assert _violated(_ask(**changes)) == [field]


def test_every_violation_is_reported_at_once() -> None:
    assert _violated(_ask(skill_id="", card_digest=b"", turns=())) == ["skill_id", "card_digest", "turns"]


@pytest.mark.parametrize(
    "changes",
    [
        {"header": dataclasses.replace(_header(), expire_time=_NOW + timedelta(minutes=10))},
        {"skill_id": "a" * 64},
        {"answer_schema": "x" * 65536},
        {"model_id": "m" * 128},
        {"limits": AskLimits(max_hidden_tokens=0)},
        {"data_class": DataClass.RESTRICTED},
    ],
)
def test_a_field_at_the_edge_of_its_rule_passes(changes: dict[str, object]) -> None:
    check_ask(_ask(**changes))


def test_a_call_about_an_answer_names_it_by_16_bytes() -> None:
    check_call(GetAnswerCall(header=_header(GET_METHOD), ask_request_id=RequestId(bytes(16))))
    with pytest.raises(FieldInvalidError, match="ask_request_id"):
        check_call(GetAnswerCall(header=_header(GET_METHOD), ask_request_id=RequestId(bytes(15))))


def test_of_very_many_violations_no_more_are_found_than_can_be_told() -> None:
    nothing = Turn(role=Role.UNKNOWN, parts=())
    assert len(_violated(_ask(turns=(nothing,) * 10_000))) == MAX_VIOLATIONS
