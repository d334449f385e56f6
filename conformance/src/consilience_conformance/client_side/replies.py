"""What the adapter of a client writes: what came of each instruction.

The protocol stands in docs/guides/test-your-client.md.

>>> parse_reply(b'{"id": 3, "rejected": "the signature does not verify"}', number=3, line=4)
{'rejected': 'the signature does not verify'}
"""

from __future__ import annotations

import json

from consilience_conformance.line_protocol.lines import (
    answer_to,
    malformed,
    refuse_other_fields,
)
from consilience_conformance.transcripts import JsonValue

PROTOCOL = "consilience-client/1"
"""What suite and adapter speak."""

_AMOUNTS = 2**63

_KINDS = ("answered", "found", "said", "withdrawn", "account", "rejected", "refused", "done", "unsupported")
_STATUSES = ("SUCCEEDED", "FAILED", "PENDING")


def parse_reply(text: bytes, *, number: int, line: int) -> dict[str, JsonValue]:
    """Reads what came of an instruction.

    Args:
        text: The line, without its end.
        number: The id of the instruction.
        line: The number of the line, for the message of an error.

    Returns:
        The one of `answered`, `found`, `said`, `withdrawn`, `account`, `rejected`, `refused`, `done` and `unsupported`
        that it holds.

    Raises:
        CommandBreach: It is no reply, or one to another instruction.
    """
    content = answer_to(text, number=number, line=line)
    refuse_other_fields(content, known=("id", *_KINDS), line=line)
    match {name: value for name, value in content.items() if name != "id"}:
        case {"answered": {"text": str(), "outcome": str(), **rest}, **more} as reply if not more:
            known = _is_text(reply) and (not rest or (rest.keys() == {"charged"} and _is_amount(rest["charged"])))
        case {"found": list(listed), **more} as reply if not more:
            known = _is_text(reply) and all(_is_row(row, needs=("node", "card")) for row in listed)
        case {"said": list(listed), **more} as reply if not more:
            known = _is_text(reply) and all(_is_row(row, needs=("record",), may=("rebuttal",)) for row in listed)
        case {"withdrawn": str(status), **more} as reply if not more:
            known = status in _STATUSES
        case {"account": {"spent": spent, "refunded": refunded, **rest}, **more} as reply if not rest and not more:
            known = _is_amount(spent) and _is_amount(refunded)
        case {"rejected": str(), **more} | {"refused": str(), **more} as reply if not more:
            known = _is_text(reply)
        case {"done": True, **more} | {"unsupported": True, **more} as reply:
            known = not more
        case reply:
            known = False
    if not known:
        raise malformed(
            "a reply holds one of answered (text, outcome, and charged, an amount, if the ask was paid for), found (a"
            " list of node, card), said (a list of record, and rebuttal if there is one), withdrawn (SUCCEEDED, FAILED"
            " or PENDING), account (spent and refunded, amounts), rejected, refused (texts), done and unsupported"
            " (true)",
            text=text,
            line=line,
        )
    return reply


def _is_amount(said: object) -> bool:
    return type(said) is int and 0 <= said < _AMOUNTS


def _is_row(said: object, *, needs: tuple[str, ...], may: tuple[str, ...] = ()) -> bool:
    """Tells whether it is an object of texts with the fields that it needs, and no others than it may have."""
    if not isinstance(said, dict) or not all(isinstance(text, str) for text in said.values()):
        return False
    return set(needs) <= said.keys() <= {*needs, *may}


def _is_text(reply: dict[str, JsonValue]) -> bool:
    """Tells whether all that a reply says is text: JSON can carry half of a surrogate pair, and UTF-8 cannot."""
    try:
        json.dumps(reply, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True
