"""Rules of fields (the tables of the specification): what a node sends keeps the constraints of the protos."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import protovalidate
from google.protobuf.message import DecodeError
from protovalidate.validator import Violation

from consilience_conformance.image import message_class
from consilience_conformance.verdicts import Finding


def field_findings(data: bytes, kind: str, *, exchange: str) -> Iterator[Finding]:
    """Yields which rules of its table an encoded message breaks (ERR-FLD-001), but not what is signed within it.

    Args:
        data: As it came. Fields that this version does not know are passed over.
        kind: Its full name: `consilience.v1.NodeCard`.
        exchange: In which it was seen.
    """
    name = kind.rpartition(".")[2]
    try:
        message_class(kind).FromString(data)
    except DecodeError as error:
        yield Finding(
            requirement="ERR-FLD-001", message=f"the {name} does not parse", got=str(error), exchange=exchange
        )
        return
    for rule, path, words in _violations(kind, data):
        yield Finding(
            requirement="ERR-FLD-001",
            message=f"the {name} breaks the rule {rule}",
            expected=f"{path} {words}".strip(),
            got=f"{path} that does not",
            exchange=exchange,
        )


@functools.lru_cache(maxsize=256)
def _violations(kind: str, data: bytes) -> tuple[tuple[str, str, str], ...]:
    """Returns rule, path and words of each violation.

    A node sends one card and one Final many times, and a rule takes milliseconds to evaluate.
    """
    message = message_class(kind).FromString(data)
    return tuple(
        (violation.proto.rule_id, _path(violation), violation.proto.message)
        for violation in protovalidate.collect_violations(message)
    )


def _path(violation: Violation) -> str:
    return ".".join(
        f"{element.field_name}[{element.index}]" if element.HasField("index") else element.field_name
        for element in violation.proto.field.elements
    )
