"""Rules of fields (spec chapters 0 to 7, the tables): what a node sends keeps the constraints of the protos."""

from __future__ import annotations

from collections.abc import Iterator

import protovalidate
from google.protobuf.message import DecodeError

from consilience_conformance import image
from consilience_conformance.verdicts import Finding


def field_findings(
    data: bytes, full_name: str, *, exchange: str = "", named: tuple[str, ...] = ()
) -> Iterator[Finding]:
    """Yields which rules of its table an encoded message breaks (ERR-FLD-001).

    Args:
        data: As it came. Fields that this version does not know are passed over.
        full_name: What it is: `consilience.v1.NodeCard`.
        exchange: In which it was seen.
        named: Ids of rules that have a requirement of their own, and are judged by it.
    """

    def finding(message: str, *, got: str) -> Finding:
        return Finding(requirement="ERR-FLD-001", message=message, got=got, exchange=exchange)

    kind = full_name.rpartition(".")[2]
    try:
        parsed = image.message_class(full_name).FromString(data)
    except DecodeError as error:
        yield finding(f"the {kind} does not parse", got=str(error))
        return
    for violation in protovalidate.collect_violations(parsed):
        if violation.proto.rule_id not in named:
            path = ".".join(element.field_name for element in violation.proto.field.elements)
            yield finding(
                f"the {kind} breaks a rule of its table{f': {path}' if path else ''}", got=violation.proto.message
            )
