"""Runs made by hand, of which reports are written."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from consilience_conformance.requirements import set_digest
from consilience_conformance.transcripts import Ended, Exchange, Response, Transcript
from consilience_conformance.verdicts import CheckResult, Finding, RunResult, Verdict

NODE_ID = "cn1" + "a" * 52
HOSTILE = "<script>alert(1)</script>\x1b[31m\u202e`|"
"""What a node may write into its name and its messages."""

FINDING = Finding(
    requirement="ASK-IDEM-002",
    message="defect was accepted",
    expected="refused REQUEST_ID_REUSED",
    got="refused STALE_CARD",
    exchange="defect",
)


def exchange(name: str = "defect", **changes: Any) -> Exchange:
    fields: dict[str, Any] = {
        "name": name,
        "method": "consilience.v1.AskService/GetAnswer",
        "request": b"\x0a\x00",
        "began": 0.001,
        "ended_at": 0.0145,
        "ended": Ended.STATUS,
        "responses": (Response(at=0.014, data=b"\xff"),),
        "code": "OK",
    }
    return Exchange(**{**fields, **changes})


def result(verdict: Verdict = Verdict.PASS, *, check: str = "ask", **changes: Any) -> CheckResult:
    transcript = Transcript(check=check, card=b"\x01", exchanges=[exchange()], notes={"seen": [1, None, "x"]})
    fields: dict[str, Any] = {
        "check": check,
        "title": "An ask is answered.",
        "requirements": ("ASK-IDEM-002", "STRM-LOG-001"),
        "verdict": verdict,
        "seconds": 0.25,
        "transcript": transcript,
    }
    if verdict in {Verdict.FAIL, Verdict.KNOWN_FAILING}:
        fields["findings"] = (FINDING,)
    if verdict in {Verdict.NOT_TESTED, Verdict.NOT_APPLICABLE, Verdict.UNTESTABLE}:
        fields |= {"transcript": None, "because": "needs something"}
    return CheckResult(**{**fields, **changes})


def run(*results: CheckResult, **changes: Any) -> RunResult:
    fields: dict[str, Any] = {
        "address": "127.0.0.1:7341",
        "node_id": NODE_ID,
        "node_name": "desk",
        "skill": "say",
        "profiles": ("core",),
        "mode": "live",
        "seed": 7,
        "began": datetime(2026, 1, 15, 12, tzinfo=UTC),
        "seconds": 1.5,
        "suite_version": "0.1.0",
        "requirements_digest": set_digest(),
        "results": results,
    }
    return RunResult(**{**fields, **changes})
