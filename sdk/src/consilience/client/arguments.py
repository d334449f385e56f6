"""Arguments: what a program hands to the client is held against what can be, before anything is sent.

A type checker says most of this earlier; who uses none is told the name of the argument here.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from consilience.asks import Blob, OnDisconnect, Role, Turn
from consilience.calls import REQUEST_ID_BYTES
from consilience.client.questions import AskOptions
from consilience.envelopes import Signed
from consilience.errors import UsageError
from consilience.nodes import DataClass, NodeAddress, NodeCard
from consilience.payments import Amount

LONGEST_TIMEOUT_SECONDS = 366 * 24 * 60 * 60
"""Beyond it nobody waits, and dates overflow."""

LARGEST_COUNT = 2**63 - 1
"""What a count on the wire holds."""


def check_options(options: Mapping[str, object]) -> None:
    """Checks the options of an ask: that there are such, and that each is of its kind.

    Raises:
        UsageError: An option is unknown, or is not what it has to be. A misspelt `data_class` may not pass for none.
    """
    for name in options:
        if name not in AskOptions.__annotations__:
            raise UsageError(f"an ask has no option {name!r}; there are {', '.join(AskOptions.__annotations__)}")
    for name, rule in _RULES.items():
        if name in options:
            _require(rule.holds(options[name]), name, options[name], rule.wanted)


def check_question(question: object) -> None:
    """Checks that a question is a text or a conversation that can be written down.

    Raises:
        UsageError: It is not. What was asked is not repeated in the error.
    """
    if isinstance(question, str):
        _check_text(question)
        return
    if not isinstance(question, Sequence) or isinstance(question, (bytes, bytearray, memoryview)):
        raise UsageError(f"question is a text or a sequence of turns, and {type(question).__name__} is neither")
    if not question:
        raise UsageError("question: a conversation has one turn at least")
    for turn in question:
        if not isinstance(turn, Turn):
            raise UsageError(f"question: a conversation consists of Turn, and {type(turn).__name__} is none")
        _check_turn(turn)


def check_node(node: object) -> None:
    """Checks that a node is named in one of the ways there are.

    Raises:
        UsageError: It is not.
    """
    named = isinstance(node, (str, NodeAddress)) or (isinstance(node, Signed) and isinstance(node.value, NodeCard))
    _require(named, "node", node, "an address such as cn1…@host:port, or the signed card of a node")


def check_request_id(request_id: object) -> None:
    """Checks that a request id is one.

    Raises:
        UsageError: It is not.
    """
    is_one = isinstance(request_id, bytes) and len(request_id) == REQUEST_ID_BYTES
    _require(is_one, "request_id", request_id, f"{REQUEST_ID_BYTES} random bytes")


def check_timeout(seconds: object, *, name: str) -> None:
    """Checks how long a user waits; None is without bound.

    Raises:
        UsageError: It is no number of seconds.
    """
    _require(_is_timeout(seconds), name, seconds, _TIMEOUT)


def check_data_class_type(data_class: object) -> None:
    """Checks that a data class is one, and not its name.

    Raises:
        UsageError: It is not.
    """
    _require(isinstance(data_class, DataClass), "data_class", data_class, "a DataClass, such as DataClass.PUBLIC")


def _check_turn(turn: Turn) -> None:
    role: object = turn.role
    parts: object = turn.parts
    if not isinstance(role, Role) or role is Role.UNKNOWN:
        raise UsageError("question: the role of a turn is Role.ASKER or Role.NODE")
    if not isinstance(parts, (tuple, list)) or not all(isinstance(part, (str, Blob)) for part in parts):
        raise UsageError("question: the parts of a turn are a tuple of text and of Blob")
    for part in parts:
        if isinstance(part, str):
            _check_text(part)


def _check_text(text: str) -> None:
    if not _is_text(text):
        raise UsageError("question: the text holds half of a surrogate pair, which UTF-8 cannot carry; was it decoded?")


def _require(holds: bool, name: str, value: object, wanted: str) -> None:  # noqa: FBT001 - the verdict
    if not holds:
        raise UsageError(f"{name} is {wanted}, and {reprlib.repr(value)} is not")


def _is_text(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST_COUNT


def _is_timeout(value: object) -> bool:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return value is None
    return 0 < value <= LONGEST_TIMEOUT_SECONDS  # which not-a-number is not


def _or_none(holds: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: value is None or holds(value)


class _Rule(NamedTuple):
    holds: Callable[[object], bool]
    wanted: str


_COUNT = f"a whole number from 0 to {LARGEST_COUNT}"
_TIMEOUT = f"a number of seconds above 0 and up to {LONGEST_TIMEOUT_SECONDS}, or None for no bound"

_RULES = {
    "skill": _Rule(_or_none(_is_text), "the id of a skill as text, or None"),
    "data_class": _Rule(
        lambda value: value is None or isinstance(value, DataClass), "a DataClass, such as DataClass.PUBLIC, or None"
    ),
    "max_output_tokens": _Rule(_is_count, _COUNT),
    "max_hidden_tokens": _Rule(_or_none(_is_count), f"{_COUNT}, or None"),
    "timeout": _Rule(_is_timeout, _TIMEOUT),
    "first_token_timeout": _Rule(_is_timeout, _TIMEOUT),
    "model": _Rule(_or_none(_is_text), "the id of a model as text, or None"),
    "on_disconnect": _Rule(
        lambda value: isinstance(value, OnDisconnect) and value is not OnDisconnect.UNKNOWN,
        "an OnDisconnect, such as OnDisconnect.CANCEL",
    ),
    "allow_truncation": _Rule(lambda value: isinstance(value, bool), "True or False"),
    "reviewable": _Rule(lambda value: isinstance(value, bool), "True or False"),
    "max_charge": _Rule(
        lambda value: value is None or _is_text(value) or (isinstance(value, Amount) and value.value >= 0),
        "an amount such as '0.01 USD/6', or None",
    ),
}
