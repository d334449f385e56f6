"""Steps of scripts, beyond those that the stage itself makes: sources, progress, failures and ends."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

from consilience.v1 import ask_pb2, conformance_pb2
from consilience_conformance.wire_values import timestamp

_READ = datetime(2026, 1, 15, 12, tzinfo=UTC)


def opens(gate: bytes) -> conformance_pb2.ScriptStep:
    """Returns the step that opens a gate."""
    return conformance_pb2.ScriptStep(open=gate)


def cites(uri: str) -> conformance_pb2.ScriptStep:
    """Returns the step that names a document, which nobody has, by this URI."""
    document = ask_pb2.DocumentSource(
        uri=uri, digest=hashlib.sha256(uri.encode()).digest(), retrieval_time=timestamp(_READ), quote="a quotation"
    )
    return conformance_pb2.ScriptStep(citation=ask_pb2.Citation(document=document))


def reports(message: str) -> conformance_pb2.ScriptStep:
    """Returns the step that tells of progress."""
    return conformance_pb2.ScriptStep(progress=ask_pb2.Progress(message=message))


def fails(reason: str) -> conformance_pb2.ScriptStep:
    """Returns the step that fails as an engine would."""
    return conformance_pb2.ScriptStep(fail=reason)


def concludes(
    outcome: ask_pb2.Outcome.ValueType, stop_reason: ask_pb2.StopReason.ValueType, **others: object
) -> conformance_pb2.ScriptStep:
    """Returns the step that ends an answer; `others` are further fields of its conclusion."""
    conclusion = conformance_pb2.ScriptedConclusion(outcome=outcome, stop_reason=stop_reason, **others)  # type: ignore[arg-type]
    return conformance_pb2.ScriptStep(conclusion=conclusion)
