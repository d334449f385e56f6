"""The JSON report: everything that a run found and saw, by `report.schema.json`.

It carries the transcripts, so that each verdict can be computed again from it, see `rejudging`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from importlib.resources import files
from typing import Any

from consilience_conformance.amounts import shown
from consilience_conformance.report.summary import Report, Standing, must_share, standings
from consilience_conformance.spending import Spending
from consilience_conformance.transcripts import JsonValue, Transcript
from consilience_conformance.verdicts import CheckResult, Demand, Finding, RunResult, Verdict

FORMAT_VERSION = 1


def schema() -> dict[str, Any]:
    """Returns the JSON Schema of a report."""
    text = (files("consilience_conformance.report") / "report.schema.json").read_text(encoding="utf-8")
    content: dict[str, Any] = json.loads(text)
    return content


def report_to_json(report: Report) -> dict[str, JsonValue]:
    """Returns a report as JSON; bytes in hexadecimal."""
    run = report.run
    rows = standings(run)
    judged, known = must_share(rows)
    counts = Counter(result.verdict.value for result in run.results)
    return {
        "formatVersion": FORMAT_VERSION,
        "protocol": "consilience.v1",
        "suite": {"version": run.suite_version, "requirementsDigest": run.requirements_digest},
        "node": {"address": run.address, "id": run.node_id, "name": run.node_name},
        "scope": {
            "role": run.role,
            "profiles": list(run.profiles),
            "mode": run.mode,
            "skill": run.skill,
            "seed": run.seed,
            "only": list(report.only),
            "demands": [{"name": one.name, "checks": list(one.checks), "whole": one.whole} for one in run.demands],
            "command": list(report.command),
        },
        "began": run.began.isoformat(),
        "seconds": round(run.seconds, 6),
        "exit": int(report.exit),
        "ending": report.ending,
        "trouble": report.trouble,
        "counts": dict(counts),
        "musts": {"judged": judged, "known": known},
        "spending": _spending_to_json(run.spending) if run.spending else None,
        "results": [_result_to_json(result) for result in run.results],
        "requirements": [_standing_to_json(row) for row in rows],
    }


def report_from_json(value: Mapping[str, Any]) -> Report:
    """Returns the report that `report_to_json` wrote; what follows from the results is not read."""
    scope = value["scope"]
    run = RunResult(
        address=value["node"]["address"],
        node_id=value["node"]["id"],
        node_name=value["node"]["name"],
        skill=scope["skill"],
        profiles=tuple(scope["profiles"]),
        mode=scope["mode"],
        seed=scope["seed"],
        began=datetime.fromisoformat(value["began"]),
        seconds=value["seconds"],
        suite_version=value["suite"]["version"],
        requirements_digest=value["suite"]["requirementsDigest"],
        results=tuple(_result_from_json(result) for result in value["results"]),
        demands=tuple(
            Demand(name=one["name"], checks=tuple(one["checks"]), whole=one["whole"]) for one in scope["demands"]
        ),
        spending=_spending_from_json(value["spending"]) if value["spending"] else None,
        role=scope["role"],
    )
    return Report(run=run, command=tuple(scope["command"]), only=tuple(scope["only"]), trouble=value["trouble"])


def _spending_to_json(spending: Spending) -> dict[str, JsonValue]:
    def amount(units: int) -> dict[str, JsonValue]:
        return {"value": units, "asset": spending.asset, "text": shown(units, asset=spending.asset)}

    return {
        "allowed": amount(spending.allowed),
        "setAside": amount(spending.set_aside),
        "authorized": amount(spending.authorized),
        "more": amount(spending.more),
        "leftOut": [{"check": name, "needs": amount(units)} for name, units in spending.left_out.items()],
    }


def _spending_from_json(value: Mapping[str, Any]) -> Spending:
    return Spending(
        asset=value["allowed"]["asset"],
        allowed=value["allowed"]["value"],
        set_aside=value["setAside"]["value"],
        authorized=value["authorized"]["value"],
        left_out={one["check"]: one["needs"]["value"] for one in value["leftOut"]},
    )


def _result_to_json(result: CheckResult) -> dict[str, JsonValue]:
    return {
        "check": result.check,
        "title": result.title,
        "requirements": list(result.requirements),
        "verdict": result.verdict.value,
        "findings": [_finding_to_json(finding) for finding in result.findings],
        "because": result.because,
        "blockedBy": result.blocked_by,
        "mode": result.mode,
        "seconds": round(result.seconds, 6),
        "transcript": result.transcript.to_json() if result.transcript else None,
    }


def _finding_to_json(finding: Finding) -> dict[str, JsonValue]:
    return {
        "requirement": finding.requirement,
        "message": finding.message,
        "expected": finding.expected,
        "got": finding.got,
        "exchange": finding.exchange,
    }


def _standing_to_json(row: Standing) -> dict[str, JsonValue]:
    return {
        "id": row.requirement.id,
        "level": row.requirement.level,
        "profile": row.requirement.profile,
        "verdict": row.verdict.value,
        "because": row.because,
        "checks": list(row.checks),
    }


def _result_from_json(value: Mapping[str, Any]) -> CheckResult:
    return CheckResult(
        check=value["check"],
        title=value["title"],
        requirements=tuple(value["requirements"]),
        verdict=Verdict(value["verdict"]),
        findings=tuple(Finding(**finding) for finding in value["findings"]),
        because=value["because"],
        blocked_by=value["blockedBy"],
        mode=value["mode"],
        seconds=value["seconds"],
        transcript=Transcript.from_json(value["transcript"]) if value["transcript"] else None,
    )
