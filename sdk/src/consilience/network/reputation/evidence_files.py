"""Evidence files: one judgement or one edge of trust a line, in JSON, as a program or a person writes them.

A judgement names its subject, its domain, the score in thousandths, how it was verified and when; without `judge` it
is the viewer's own. An edge has a truster and a trusted. Nothing in the file is signed: it is for what one judged
oneself, and for trying out.

    {"subject": "cn1…", "domain": "units", "score_milli": 1000, "verification": "TOOL", "time": "2026-05-01T12:00:00Z"}
    {"truster": "cn1…", "trusted": "cn1…", "weight": 0.5}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from consilience.errors import UsageError
from consilience.identity import parse_node_id
from consilience.network.reputation.evidence import Evidence, Verification
from consilience.network.trust_edges import TrustEdge
from consilience.units import PublicKey

_OF_EVIDENCE = {"judge", "subject", "domain", "score_milli", "verification", "time", "paid_bucket"}
_OF_EDGE = {"truster", "trusted", "weight"}


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceFile:
    """What stands in an evidence file, in its order."""

    evidence: tuple[Evidence, ...]
    edges: tuple[TrustEdge, ...]


def read_evidence(path: Path, *, viewer: PublicKey) -> EvidenceFile:
    """Reads an evidence file.

    Args:
        path: The file; empty lines are passed over.
        viewer: The judge of judgements that name none.

    Raises:
        UsageError: The file cannot be read, or a line of it is neither; the message has its number.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise UsageError(f"{path} is no text in UTF-8") from None
    evidence, edges = [], []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            match _line_value(line, viewer=viewer):
                case Evidence() as judgement:
                    evidence.append(judgement)
                case TrustEdge() as edge:
                    edges.append(edge)
        except KeyError as error:
            raise UsageError(f"line {number} of {path} lacks {error}") from error
        except (TypeError, ValueError, RecursionError) as error:
            raise UsageError(f"line {number} of {path} is no evidence: {error}") from error
    return EvidenceFile(evidence=tuple(evidence), edges=tuple(edges))


def _line_value(line: str, *, viewer: PublicKey) -> Evidence | TrustEdge:
    document = json.loads(line)
    if not isinstance(document, dict):
        raise TypeError("it is no object")
    known = _OF_EDGE if "truster" in document else _OF_EVIDENCE
    if unknown := set(document) - known:
        raise ValueError(f"nothing is called {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}")
    if known is _OF_EDGE:
        return TrustEdge(
            truster=_key(document["truster"]),
            trusted=_key(document["trusted"]),
            weight=_number(document.get("weight", 1.0), of=(int, float)),
        )
    return _judgement(document, viewer=viewer)


def _judgement(document: Mapping[str, Any], *, viewer: PublicKey) -> Evidence:
    verification = document["verification"]
    if verification not in Verification.__members__:
        raise ValueError(f"verification is one of {', '.join(Verification.__members__)}, not {verification!r}")
    domain, time = document["domain"], document["time"]
    if not isinstance(domain, str) or not isinstance(time, str):
        raise TypeError("domain and time are texts")
    return Evidence(
        judge=_key(document["judge"]) if "judge" in document else viewer,
        subject=_key(document["subject"]),
        domain=domain,
        score_milli=_number(document["score_milli"], of=(int,)),
        verification=Verification[verification],
        time=datetime.fromisoformat(time),
        paid_bucket=_number(document.get("paid_bucket", 0), of=(int,)),
    )


def _key(text: object) -> PublicKey:
    if not isinstance(text, str):
        raise TypeError(f"a node id is a text, not {text!r}")
    return parse_node_id(text)


def _number(value: Any, *, of: tuple[type, ...]) -> Any:  # noqa: ANN401 - JSON is of any type
    if isinstance(value, bool) or not isinstance(value, of):
        raise TypeError(f"{value!r} is no {' or '.join(kind.__name__ for kind in of)}")
    return value
