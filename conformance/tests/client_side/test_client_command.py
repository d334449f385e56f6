"""`consilience-conformance client` judges an SDK, and tells what came of it to people, to scripts and in reports."""

import json
import shlex
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from consilience_conformance.cli import main
from consilience_conformance.client_side.cases import all_client_checks
from consilience_conformance.verdicts import Exit, Verdict
from scripts.machine_cache import ROOT
from tests.guide_runner import blocks_of

_PYTHON = shlex.quote(sys.executable)
_RIGHT = f"{_PYTHON} examples/clients/python/client_under_test.py"
_CLASSES = ("--only", "ASK-DATA-003")


@pytest.fixture(autouse=True)
def _at_the_top(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def _run(command: str, *options: str) -> Result:
    return CliRunner().invoke(main, ["client", "--command", command, *options])


def _broken(name: str) -> str:
    return f"{_PYTHON} -m conformance.tests.client_side.broken_client --broken {name}"


def _odd(name: str) -> str:
    return f"{_PYTHON} -m conformance.tests.client_side.odd_adapter --odd {name}"


def test_a_right_client_passes() -> None:
    result = _run(_RIGHT, *_CLASSES)
    assert result.exit_code == Exit.PASS, result.output
    assert "3 of 3 checks passed" in result.output
    assert "PASSED" in result.output


def test_a_failure_shows_the_rule_what_came_and_how_to_run_it_again() -> None:
    result = _run(_broken("trusts-every-node"), *_CLASSES, "--seed", "7")
    assert result.exit_code == Exit.FAILED
    assert "FAIL  class-above-internal-needs-the-list" in result.output
    assert "nor one above INTERNAL" in result.output
    assert "a call is sent above INTERNAL, to a node that is not on the list" in result.output
    (again,) = (line for line in result.output.splitlines() if line.strip().startswith("again"))
    words = shlex.split(again)[1:]
    assert words[:2] == ["consilience-conformance", "client"]
    assert words[-4:] == ["--seed", "7", "--only", "class-above-internal-needs-the-list"]


def test_the_report_is_written_and_printed_for_machines(tmp_path: Path) -> None:
    result = _run(_RIGHT, "--only", "ask", "--json", "--out", str(tmp_path))
    report = json.loads(result.stdout)
    assert report["scope"]["role"] == "client"
    assert {row["id"] for row in report["requirements"]} >= {"ASK-ANS-007", "SIG-ENV-001"}
    assert "ASK-ANS-001" not in {row["id"] for row in report["requirements"]}
    assert json.loads((tmp_path / "report.json").read_text()) == report
    assert {file.name for file in tmp_path.iterdir()} == {"report.html", "report.json", "junit.xml", "summary.md"}


def test_what_the_client_does_not_support_counts_as_failed_and_is_named() -> None:
    result = _run(_odd("supports-nothing"), *_CLASSES, "--only", "giving-up-is-told", "--json")
    assert result.exit_code == Exit.FAILED
    verdicts = {one["check"]: (one["verdict"], one["because"]) for one in json.loads(result.stdout)["results"]}
    assert verdicts == {
        "ask": (Verdict.PASS, ""),
        "giving-up-is-told": (Verdict.NOT_TESTED, "the adapter does not support give-up"),
        "class-above-the-card-is-not-sent": (Verdict.UNTESTABLE, "the adapter does not support data-class"),
        "class-above-internal-needs-the-list": (
            Verdict.UNTESTABLE,
            "the adapter does not support data-class, trusted-nodes",
        ),
    }


def test_a_client_that_knows_no_registry_is_not_of_that_profile() -> None:
    result = _run(_odd("knows-no-registry"), "--only", "NODE-CARD-004", "--json")
    assert result.exit_code == Exit.PASS, result.output
    verdicts = {one["check"]: (one["verdict"], one["because"]) for one in json.loads(result.stdout)["results"]}
    absent = (Verdict.NOT_APPLICABLE, "the adapter does not support registry")
    assert verdicts.pop("found-card-that-is-old") == absent
    assert {verdict for verdict, _ in verdicts.values()} == {Verdict.PASS}
    demanded = _run(_odd("knows-no-registry"), "--only", "REG-PRIV-001")
    assert demanded.exit_code == Exit.TOO_LITTLE
    assert "the adapter does not support registry" in demanded.output


def test_a_list_with_a_field_that_is_missing_is_no_reply() -> None:
    result = _run(_odd("finds-by-halves"), "--only", "found-card-from-the-future", "--json")
    assert result.exit_code == Exit.FAILED
    (found,) = (one for one in json.loads(result.stdout)["results"] if one["check"] == "found-card-from-the-future")
    assert found["verdict"] == Verdict.UNTESTABLE
    assert "MALFORMED" in found["because"]


def test_an_instruction_that_an_adapter_does_not_know_counts_as_failed_and_is_named() -> None:
    result = _run(_odd("knows-no-withdrawals"), "--only", "withdrawal-that-is-pending", "--json")
    assert result.exit_code == Exit.FAILED
    withdrawal = json.loads(result.stdout)["results"][-1]
    assert (withdrawal["check"], withdrawal["verdict"]) == ("withdrawal-that-is-pending", Verdict.UNTESTABLE)
    assert withdrawal["because"] == "the adapter does not know the instruction withdraw"


@pytest.mark.parametrize(
    ("name", "check"), [("tells-no-standing", "withdrawal-that-is-pending"), ("tells-half-of-an-account", "refund")]
)
def test_a_standing_that_is_none_is_no_reply(name: str, check: str) -> None:
    result = _run(_odd(name), "--only", check, "--json")
    assert result.exit_code == Exit.FAILED
    told = json.loads(result.stdout)["results"][-1]
    assert (told["check"], told["verdict"]) == (check, Verdict.UNTESTABLE)
    assert "MALFORMED" in told["because"]


def test_an_adapter_that_dies_is_started_again_for_the_next_check() -> None:
    result = _run(_odd("dies"), *_CLASSES, "--only", "answer-of-another-node", "--json")
    assert result.exit_code == Exit.FAILED
    results = {one["check"]: one for one in json.loads(result.stdout)["results"]}
    assert {name: one["verdict"] for name, one in results.items()} == {
        "ask": Verdict.PASS,
        "class-above-the-card-is-not-sent": Verdict.UNTESTABLE,
        "class-above-internal-needs-the-list": Verdict.UNTESTABLE,
        "answer-of-another-node": Verdict.PASS,
    }
    assert "ENDED_EARLY" in results["class-above-the-card-is-not-sent"]["because"]
    assert "exit code 3" in results["class-above-the-card-is-not-sent"]["because"]


@pytest.mark.parametrize("name", ["says-two-things", "breaks-a-character"])
def test_a_reply_that_is_none_is_no_verdict_on_the_sdk(name: str) -> None:
    result = _run(_odd(name), "--only", "answer-of-another-node", "--json")
    assert result.exit_code == Exit.FAILED
    first, second = json.loads(result.stdout)["results"]
    assert first["verdict"] == Verdict.UNTESTABLE
    assert "MALFORMED" in first["because"]
    assert second["because"] == "blocked by ask"


def test_a_reply_that_nobody_asked_for_is_noticed() -> None:
    result = _run(_odd("says-more"), "--only", "class-above-internal-needs-the-list")
    assert result.exit_code == Exit.FAILED
    # As a line too many or as the answer to another instruction, depending on when it is read.
    assert "UNTESTABLE  1 check: the adapter broke off (" in result.output


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("./no-such-adapter", "No such file"),
        ("true", "The output ended before line 1"),
        (_odd("speaks-an-older-protocol"), "consilience-client/0"),
    ],
)
def test_an_adapter_that_does_not_start_is_told(command: str, why: str, tmp_path: Path) -> None:
    result = _run(command, "--out", str(tmp_path), "--format", "json")
    assert result.exit_code == Exit.UNREACHABLE
    assert why in result.stderr
    assert json.loads((tmp_path / "report.json").read_text())["exit"] == Exit.UNREACHABLE


def test_a_requirement_that_binds_nodes_alone_is_judged_elsewhere() -> None:
    result = _run(_RIGHT, "--only", "ASK-ANS-001")
    assert result.exit_code == Exit.TOO_LITTLE
    assert "consilience-conformance run" in result.stderr


def test_the_adapter_of_the_guide_is_the_one_that_is_tested() -> None:
    (block,) = (
        block for block in blocks_of(ROOT / "docs" / "guides" / "test-your-client.md") if block.language == "python"
    )
    assert block.text == (ROOT / "examples/clients/python/client_under_test.py").read_text(encoding="utf-8")


def test_the_guide_names_every_capability() -> None:
    guide = (ROOT / "docs" / "guides" / "test-your-client.md").read_text(encoding="utf-8")
    for need in {need for check in all_client_checks() for need in check.needs}:
        assert f"| `{need}` |" in guide
