from __future__ import annotations

import pytest

from consilience_conformance.peers.http2 import Message, framed
from consilience_conformance.peers.http2.framing import MessageReader


@pytest.mark.parametrize("step", [1, 2, 3, 5, 100])
def test_messages_are_cut_from_a_body_whatever_its_pieces(step: int) -> None:
    body = framed(b"first") + framed(b"") + framed(b"packed", compressed=True) + b"\x00\x00"
    reader = MessageReader()
    for start in range(0, len(body), step):
        reader.feed(body[start : start + step])
    assert reader.messages == [
        Message(payload=b"first"),
        Message(payload=b""),
        Message(payload=b"packed", compressed=True),
    ]
    assert reader.rest == b"\x00\x00"
    assert reader.fed_bytes == len(body)


def test_a_prefix_may_promise_more_than_comes() -> None:
    reader = MessageReader()
    reader.feed(framed(b"abc", declared_bytes=2**32 - 1))
    assert reader.messages == []
    assert reader.rest == b"\x00\xff\xff\xff\xffabc"


def test_a_prefix_may_promise_less_than_comes() -> None:
    reader = MessageReader()
    reader.feed(framed(b"abc", declared_bytes=1))
    assert reader.messages == [Message(payload=b"a")]
    assert reader.rest == b"bc"
