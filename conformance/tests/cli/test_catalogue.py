"""`consilience-conformance explain`, `list` and `tester`: what is judged, by what, and by whom."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from consilience_conformance import callers, node_ids
from consilience_conformance.cases import all_checks
from consilience_conformance.cli import main
from consilience_conformance.exclusions import EXCLUSIONS, OPEN_PARTS
from consilience_conformance.requirements import requirements, set_digest
from consilience_conformance.selftest.declarations import declarations


def _told(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_a_requirement_is_explained_by_its_sentence_its_place_its_checks_and_what_they_kill() -> None:
    mutant = declarations()["request-id-reused-ok"]
    result = _told("explain", mutant.requirement.lower())
    rule = requirements()[mutant.requirement]
    assert result.exit_code == 0
    assert rule.sentence in " ".join(result.stdout.split())
    assert f"docs/spec/{rule.page}#{rule.anchor}" in result.stdout
    assert mutant.check in result.stdout
    assert f"kills   {mutant.name}" in result.stdout


def test_every_check_is_explained() -> None:
    for check in all_checks():
        result = _told("explain", check.name)
        assert result.exit_code == 0
        assert result.stdout.startswith(check.name)
        assert check.title.split()[-1] in result.stdout


def test_a_mutant_is_explained_by_its_fault_and_by_what_it_dies_of(monkeypatch: pytest.MonkeyPatch) -> None:
    mutant = declarations()["request-id-reused-ok"]
    table = {"mutants": [{"name": mutant.name, "fault": "It does something wrong."}]}
    monkeypatch.setattr("consilience_conformance.cli.catalogue.shipped_table", lambda: table)
    told = _told("explain", mutant.name).stdout
    assert "It does something wrong." in told
    assert f"dies of {mutant.check}, by {mutant.requirement}: {mutant.message}" in told
    assert requirements()[mutant.requirement].sentence in " ".join(told.split())


def test_what_cannot_be_tested_is_explained_with_the_reason() -> None:
    name, reason = next(iter(EXCLUSIONS["node"].items()))
    assert reason.rstrip(".") in _told("explain", name).stdout


def test_what_the_checks_leave_open_is_explained() -> None:
    for name, part in OPEN_PARTS["node"].items():
        assert part in " ".join(_told("explain", name).stdout.split())


def test_what_is_not_known_is_said_with_what_looks_like_it() -> None:
    result = _told("explain", "NODE-CARD-01")
    assert result.exit_code == 64
    assert "did you mean NODE-CARD-001" in result.stderr


def test_the_list_has_every_requirement_and_counts_the_checks() -> None:
    result = _told("list")
    for name in requirements():
        assert name in result.stdout
    assert result.stdout.splitlines()[-1] == f"{len(all_checks())} checks, {len(requirements())} requirements"


def test_the_list_is_given_to_machines_too() -> None:
    told = json.loads(_told("list", "--json").stdout)
    assert told["requirementsDigest"] == set_digest()
    assert [one["name"] for one in told["checks"]] == [check.name for check in all_checks()]
    tested = {name for one in told["checks"] for name in one["requirements"]}
    assert {one["id"] for one in told["requirements"] if one["checks"]} == tested


def test_a_tester_has_keys_that_stay_the_same(tmp_path: Path) -> None:
    key = str(tmp_path / "new" / "tester.key")
    first, second = _told("tester", "--key", key), _told("tester", "--key", key)
    assert first.stdout == second.stdout
    expected = [node_ids.text_of(caller.key) for caller in callers.Tester.at(Path(key)).callers]
    assert first.stdout.split() == expected
    assert Path(key).stat().st_mode & 0o077 == 0


def test_a_key_file_that_holds_something_else_is_not_written_over(tmp_path: Path) -> None:
    key = tmp_path / "tester.key"
    key.write_text("a shopping list")
    result = _told("tester", "--key", str(key))
    assert result.exit_code == 4
    assert "holds no key" in result.stderr
    assert key.read_text() == "a shopping list"


def test_a_word_that_is_no_command_is_a_wrong_command_line() -> None:
    result = _told("judge")
    assert result.exit_code == 64
    assert "No such command" in result.stderr


def test_a_fault_of_the_suite_is_one_line_that_asks_to_be_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("of ours")

    monkeypatch.setattr("consilience_conformance.cli.catalogue.all_checks", broken)
    result = _told("list")
    assert result.exit_code == 5
    assert "The suite is at fault, not the node: ZeroDivisionError" in result.stderr
    assert "Please report" in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize("words", [("list",), ("list", "--json"), ("explain", "ASK-IDEM-002")])
def test_a_catalogue_that_cannot_be_written_was_not_told(words: tuple[str, ...]) -> None:
    command = (sys.executable, "-m", "consilience_conformance", *words)
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (64, "Standard output cannot be written: No space left on device.\n")
