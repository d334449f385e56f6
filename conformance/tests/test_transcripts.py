"""Transcripts are written down and read again, small where much of what was sent is the same."""

from __future__ import annotations

import base64
import json
import secrets
import zlib

import jsonschema
import pytest

from conformance.tests.made_transcripts import exchange
from consilience_conformance.report.as_json import schema
from consilience_conformance.transcripts import (
    KEPT_REQUEST_BYTES,
    LARGE_RESPONSE_BYTES,
    MOST_RESPONSE_BYTES,
    Ended,
    Exchange,
    Response,
)


def written(one: Exchange) -> str:
    """Returns an exchange as a report has it, once it was held against the schema of reports."""
    told = one.to_json()
    whole = schema()
    jsonschema.validate(told, {**whole["$defs"]["exchange"], "$defs": whole["$defs"]})
    return json.dumps(told)


@pytest.mark.parametrize("size", [0, 1, LARGE_RESPONSE_BYTES, LARGE_RESPONSE_BYTES + 1, 1 << 20])
def test_a_message_of_any_size_is_read_again_as_it_came(size: int) -> None:
    one = exchange("ask", secrets.token_bytes(size), b"small", request=b"request")
    assert Exchange.from_json(json.loads(written(one))) == one


def test_a_long_text_takes_little_room() -> None:
    assert len(written(exchange("ask", b"the same again, " * (1 << 18)))) < 1 << 16


def test_an_abridged_request_is_read_again_with_what_is_told_of_the_whole() -> None:
    one = exchange("ask", request=bytes(KEPT_REQUEST_BYTES + 1)).abridged()
    assert one.whole is not None
    assert len(one.request) == KEPT_REQUEST_BYTES
    assert Exchange.from_json(json.loads(written(one))) == one


@pytest.mark.parametrize("ended", list(Ended))
def test_every_way_to_end_stands_in_the_schema(ended: Ended) -> None:
    told = {**exchange("ask").to_json(), "ended": ended.value}
    assert Exchange.from_json(told).ended is ended
    whole = schema()
    jsonschema.validate(told, {**whole["$defs"]["exchange"], "$defs": whole["$defs"]})


def test_a_report_that_blows_up_is_read_no_further_than_a_message_may_be_long() -> None:
    bomb = base64.b64encode(zlib.compress(bytes(MOST_RESPONSE_BYTES + 1))).decode()
    with pytest.raises(ValueError, match="no run wrote it"):
        Response.from_json({"at": 0.0, "deflated": bomb})
    largest = Response(at=0.0, data=bytes(MOST_RESPONSE_BYTES))
    assert Response.from_json(largest.to_json()) == largest
