"""`consilience-conformance doctor` says in seconds what there is to see."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from conformance.tests.judged_nodes import registry_node, talking_node
from consilience.nodes import Limits
from consilience.testing.nodes import serving_in_thread
from consilience_conformance.cli import doctor, main
from consilience_conformance.diagnosis import Clock, Diagnosis, diagnose
from consilience_conformance.peers.degenerate import DEGENERATE
from consilience_conformance.verdicts import Finding


def _seen_as(monkeypatch: pytest.MonkeyPatch, **changes: object) -> None:
    async def changed(address: str) -> Diagnosis:
        return replace(await diagnose(address), **changes)  # type: ignore[arg-type]

    monkeypatch.setattr(doctor, "diagnose", changed)


def test_a_healthy_node_is_well() -> None:
    with serving_in_thread(talking_node(conformance=True)) as running:
        result = CliRunner().invoke(main, ["doctor", running.address])
    assert result.exit_code == 0, result.output
    for words in ("desk at 127.0.0.1", "keeps the rules", "plain, on loopback", "core, conformance", "say, reads text"):
        assert words in result.stdout
    assert "consilience-node grant" in result.stdout
    assert "✕" not in result.stdout


def test_a_node_without_the_script_is_told_what_scripted_mode_lacks() -> None:
    with serving_in_thread(talking_node()) as running:
        result = CliRunner().invoke(main, ["doctor", running.address])
    assert "which the card does not offer" in result.stdout


def test_a_registry_is_told_how_many_records_come(tmp_path: Path) -> None:
    with serving_in_thread(registry_node(tmp_path)) as running:
        result = CliRunner().invoke(main, ["doctor", running.address])
    assert result.exit_code == 0, result.output
    assert "publishes some two thousand records" in result.stdout
    assert "--feed HOST:PORT" in result.stdout


def test_a_node_that_bears_one_ask_of_a_caller_is_told_that_no_script_can_go_on() -> None:
    with serving_in_thread(talking_node(conformance=True, limits=Limits(max_running_asks_per_caller=1))) as running:
        result = CliRunner().invoke(main, ["doctor", running.address])
    assert "scripted   cannot be: a script that waits is let go on by a second ask" in result.stdout
    assert result.exit_code == 0


def test_a_card_that_breaks_a_rule_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    _seen_as(monkeypatch, findings=(Finding(requirement="NODE-CARD-006", message="m\x1b[2J", got="g"),))
    with serving_in_thread(talking_node()) as running:
        result = CliRunner().invoke(main, ["doctor", running.address])
    assert result.exit_code == 1
    assert "✕ card       NODE-CARD-006: m\\u001b[2J (got g)" in result.stdout


def test_a_clock_that_is_off_is_no_verdict_on_the_node_but_has_to_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    _seen_as(monkeypatch, clock=Clock(ahead=timedelta(minutes=-5)))
    with serving_in_thread(talking_node()) as running:
        result = CliRunner().invoke(main, ["doctor", running.address])
    assert result.exit_code == 4
    assert "300.00 s behind this one" in result.stdout


async def test_a_silent_node_is_not_waited_for() -> None:
    async with DEGENERATE["hang"].serving() as address:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "consilience_conformance", "doctor", address, stderr=asyncio.subprocess.PIPE
        )
        _, err = await process.communicate()
    assert process.returncode == 4
    assert len(err.decode().splitlines()) == 1
