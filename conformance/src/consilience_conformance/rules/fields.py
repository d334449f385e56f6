"""Rules of fields (the tables of the specification): what a node sends keeps the constraints of the protos."""

from __future__ import annotations

from collections.abc import Iterator

import protovalidate
from google.protobuf.message import DecodeError

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
        message = message_class(kind).FromString(data)
    except DecodeError as error:
        yield Finding(
            requirement="ERR-FLD-001", message=f"the {name} does not parse", got=str(error), exchange=exchange
        )
        return
    for violation in protovalidate.collect_violations(message):
        path = ".".join(
            f"{element.field_name}[{element.index}]" if element.HasField("index") else element.field_name
            for element in violation.proto.field.elements
        )
        yield Finding(
            requirement="ERR-FLD-001",
            message=f"the {name} breaks the rule {violation.proto.rule_id}",
            expected=f"{path} {violation.proto.message}".strip(),
            got=f"{path} that does not",
            exchange=exchange,
        )
