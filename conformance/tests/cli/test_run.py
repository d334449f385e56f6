"""`consilience-conformance run` says what to mend, and ends with the code that its words mean."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from conformance.tests.judged_nodes import talking_node, write_grant
from consilience.identity import KeyPair
from consilience.nodes import Limits
from consilience.testing.nodes import serving_in_thread
from consilience_conformance import planning
from consilience_conformance.checks import Check, Drive
from consilience_conformance.cli import main
from consilience_conformance.cli import run as cli_run
from consilience_conformance.cli.terminal import sentence
from consilience_conformance.exclusions import EXCLUSIONS
from consilience_conformance.peers.degenerate import DEGENERATE
from consilience_conformance.planning import Order
from consilience_conformance.runner import Plan
from consilience_conformance.stage import Stage

KEY = KeyPair.generate()
SHORT = ("--only", "unknown-skill-is-refused")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving_in_thread(talking_node(key=KEY, conformance=True)) as running:
        yield running.address


def _run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["run", *map(str, arguments)])


async def _judged(name: str, *arguments: str) -> tuple[int, str, str]:
    """Runs the command as a process of its own on a degenerate node, which needs this process to go on."""
    async with DEGENERATE[name].serving() as address:
        words = ("-m", "consilience_conformance", "run", address, *arguments)
        process = await asyncio.create_subprocess_exec(
            sys.executable, *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


def test_a_healthy_node_passes_and_a_report_is_written_in_every_format(address: str, tmp_path: Path) -> None:
    key_file, grant = write_grant(tmp_path, key=KEY)
    result = _run(address, "--grant", grant, "--tester-key", key_file, "--out", tmp_path / "new" / "out", *SHORT)
    assert result.exit_code == 0, result.output
    assert "live, skill say; scripted" in result.stdout
    assert result.stdout.splitlines()[-2] == "PASSED"
    files = {file.name for file in (tmp_path / "new" / "out").iterdir()}
    assert files == {"report.html", "report.json", "junit.xml", "summary.md"}


def test_a_healthy_node_passes_by_scripts_alone(address: str, tmp_path: Path) -> None:
    key_file, grant = write_grant(tmp_path, key=KEY)
    result = _run(address, "--mode", "scripted", "--grant", grant, "--tester-key", key_file)
    assert result.exit_code == 0, result.output
    assert "core, conformance · scripted · seed" in result.stdout


def test_a_node_with_little_room_passes_as_well(tmp_path: Path) -> None:
    narrow = Limits(max_input_bytes=4096, max_running_asks=2, max_running_asks_per_caller=2, max_readers_per_answer=1)
    names = "ASK-LIM-001,ASK-STOP-001,SEC-SCRIPT-002,STRM-CUR-001,vanished-connection-does-not-stop-the-work"
    key_file, grant = write_grant(tmp_path, key=KEY)
    with serving_in_thread(talking_node(key=KEY, conformance=True, limits=narrow)) as running:
        result = _run(running.address, "--grant", grant, "--tester-key", key_file, "--only", names)
    assert result.exit_code == 0, result.output


def test_what_a_grant_is_missing_for_is_told_beside_the_sum(address: str) -> None:
    result = _run(address, "--only", "cancel-stops-the-work")
    assert result.exit_code == 3
    assert "not judged though asked for: cancel-stops-the-work" in result.stdout
    assert result.stdout.splitlines()[-1].startswith("TOO LITTLE")
    assert "NOT TESTED  1 check: needs the skill conformance.script and a grant for it" in result.stdout
    assert "cancel-stops-the-work" in result.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("--only", "SEC-GRANT-001"),
        ("--only", "pinned-certificate-is-of-the-node"),
        ("--profile", "conformance", "--only", "SEC-SCRIPT-001"),
        ("--profile", "conformance", *SHORT),
    ],
)
def test_what_was_named_and_not_judged_is_no_success(*, arguments: tuple[str, ...], address: str) -> None:
    result = _run(address, *arguments)
    assert result.exit_code == 3, result.output
    assert "PASSED" not in result.stdout


def test_a_profile_that_the_run_leaves_out_is_not_said_to_be_missing_in_the_card(address: str) -> None:
    result = _run(address, "--profile", "core", "--only", "SEC-SCRIPT-001,unknown-skill-is-refused")
    assert result.exit_code == 3
    assert "NOT TESTED" in result.stdout
    assert "the run leaves the profile conformance out: see --profile" in result.stdout
    assert "does not declare" not in result.stdout
    result = _run(address, "--only", "answers-outlive-a-restart,unknown-skill-is-refused")
    assert "NOT APPLICABLE  1 check: the card does not declare durable" in result.stdout


def test_only_the_wanted_formats_are_written(address: str, tmp_path: Path) -> None:
    assert _run(address, *SHORT, "--out", tmp_path, "--format", "json,md").exit_code == 0
    assert {file.name for file in tmp_path.iterdir()} == {"report.json", "summary.md"}
    scope = json.loads((tmp_path / "report.json").read_text())["scope"]
    assert scope["only"] == ["unknown-skill-is-refused"]
    assert scope["command"][:3] == ["consilience-conformance", "run", address]


def test_a_seed_is_chosen_and_told_so_that_chance_can_be_repeated(address: str) -> None:
    assert "seed 11" in _run(address, *SHORT, "--seed", "11").stdout
    first, second = (_run(address, *SHORT).stdout.partition("seed ")[2].splitlines()[0] for _ in range(2))
    assert first != second


async def test_a_node_that_breaks_a_rule_fails_and_what_rests_on_it_is_one_line() -> None:
    code, out, _ = await _judged("accept-all", "--seed", "5")
    assert code == 1
    assert "FAIL  unknown-skill-is-refused" in out
    assert "A node MUST refuse an ask for a skill" in out
    assert "expected  refused SKILL_UNKNOWN" in out
    assert "got       accepted" in out
    assert "--seed 5 --only unknown-skill-is-refused" in out
    assert out.count("blocked by") == len({line for line in out.splitlines() if "blocked by" in line})
    assert out.splitlines()[-1] == "FAILED"


def test_a_node_that_cannot_be_reached_leaves_a_report_that_says_so(unused_tcp_port: int, tmp_path: Path) -> None:
    result = _run(f"127.0.0.1:{unused_tcp_port}", "--out", tmp_path)
    assert result.exit_code == 4
    assert "Nothing answers at" in result.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["exit"] == 4
    assert "nothing answers" in report["trouble"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--skill", "sing"), 4, "it offers say"),
        (("--mode", "scripted"), 4, "--grant FILE"),
        (("--profile", "durable"), 4, "does not declare durable"),
        (("--profile", "fast"), 64, "core"),
        (("--only", "ask-in-a-bad-envelop"), 64, "did you mean"),
        (("--only", next(iter(EXCLUSIONS["node"]))), 3, "No check of nodes tests"),
        (("--format", "html"), 64, "--out"),
        (("--out", "/dev/null/x"), 64, "cannot be made"),
        (("--grant", "/no/such/file"), 64, "does not exist"),
        (("--seed", "-1"), 64, "--seed"),
        (("--time-limit", "soon"), 64, "--time-limit"),
    ],
)
def test_what_cannot_be_done_is_said_in_words_with_a_code_of_its_own(
    *, arguments: tuple[str, ...], code: int, words: str, address: str
) -> None:
    result = _run(address, *arguments)
    assert result.exit_code == code, result.output
    assert words in result.stderr
    assert "Traceback" not in result.output


def test_an_address_that_is_none_is_a_wrong_command_line() -> None:
    result = _run("nonsense")
    assert result.exit_code == 64
    assert "write cn1…@host:port or host:port" in result.stderr


def test_a_known_failure_that_does_not_fail_makes_the_list_stale(address: str, tmp_path: Path) -> None:
    known = tmp_path / "known.toml"
    known.write_text('unknown-skill-is-refused = { message = "unknown-skill", issue = "i", expires = 2999-01-01 }\n')
    result = _run(address, *SHORT, "--known-failing", known)
    assert result.exit_code == 2
    assert "take its entry out of the list" in " ".join(result.stdout.split())
    known.write_text("ask = 1")
    assert _run(address, *SHORT, "--known-failing", known).exit_code == 64


async def test_a_known_failure_fails_no_run_by_itself(tmp_path: Path) -> None:
    known = tmp_path / "known.toml"
    entry = '{ message = ["unknown-skill was", "unknown-model was"], issue = "i", expires = 2999-01-01 }'
    known.write_text(f"unknown-skill-is-refused = {entry}\n")
    code, out, _ = await _judged("accept-all", "--known-failing", str(known), *SHORT)
    assert "KNOWN FAILING  unknown-skill-is-refused" in out
    assert "FAIL  unknown" not in out.replace("KNOWN FAIL", "")
    assert code in {0, 3}


async def test_a_run_that_is_too_slow_ends_at_its_limit() -> None:
    code, out, _ = await _judged("card-and-hang", "--time-limit", "1")
    assert code == 1
    assert "the run had reached its time limit of 1 s" in out


async def test_ctrl_c_ends_a_run_and_says_what_was_judged_so_far() -> None:
    async with DEGENERATE["card-and-hang"].serving() as address:
        words = ("-m", "consilience_conformance", "run", address)
        process = await asyncio.create_subprocess_exec(
            sys.executable, *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        for _ in range(3):
            await process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out, err = await process.communicate()
    assert process.returncode == 130
    assert "checks had not ended" in err.decode()
    assert "checks passed" in out.decode().splitlines()[-1]
    assert "Traceback" not in err.decode()


async def test_nobody_who_stops_reading_changes_the_verdict() -> None:
    with serving_in_thread(talking_node()) as running:
        command = f"{sys.executable} -m consilience_conformance run {running.address} --only unknown-skill-is-refused"
        process = await asyncio.create_subprocess_shell(
            f"bash -c 'set -o pipefail; {command} | true'", stderr=asyncio.subprocess.PIPE
        )
        _, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    assert not err


def _check(name: str, *, drive: Drive, after: tuple[str, ...] = ()) -> Check:
    return Check(
        name=name,
        title="The suite works.",
        requirements=("ASK-SKILL-001",),
        drive=drive,
        judge=lambda _: (),
        after=after,
    )


def test_a_check_that_breaks_is_a_fault_of_the_suite_and_no_verdict_on_the_node(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stumble(stage: Stage) -> None:
        await stage.send("ask", stage.ask())
        raise KeyError(stage.subject.skill.id)

    async def stand(stage: Stage) -> None:
        await stage.send("ask", stage.ask())

    checks = (_check("stumbles", drive=stumble), _check("stands", drive=stand))
    monkeypatch.setattr(planning, "all_checks", lambda: checks)
    monkeypatch.setattr(cli_run, "all_checks", lambda: checks)
    result = _run(address, "--out", tmp_path)
    assert result.exit_code == 5, result.output
    assert result.stdout.splitlines()[-2].startswith("SUITE FAULT: the suite failed, not who was judged")
    assert "KeyError: 'say'" in result.stdout
    assert "1 of 2 checks passed, 1 suite error" in result.stdout
    assert json.loads((tmp_path / "report.json").read_text())["exit"] == 5


async def _beyond_all_words(_: Order) -> Plan:
    raise RuntimeError("nobody has thought of this.")


def test_an_error_that_nobody_has_thought_of_is_told_as_a_fault_of_the_suite(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli_run, "prepare", _beyond_all_words)
    result = _run(address)
    assert result.exit_code == 5
    assert "The suite is at fault, not the node: RuntimeError in _beyond_all_words" in result.stderr
    assert "Please report this line" in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize(("variable", "styled"), [("NO_COLOR", False), ("IRRELEVANT", True)])
def test_colours_are_left_out_where_they_are_not_wanted(
    *, variable: str, styled: bool, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "1")
    result = CliRunner().invoke(main, ["run", address, *SHORT], color=True)
    assert ("\x1b[" in result.stdout) is styled


@pytest.mark.parametrize("taken_by", ["> /dev/full", ">&-"])
async def test_an_output_that_nobody_takes_is_no_fault_of_the_suite(taken_by: str) -> None:
    with serving_in_thread(talking_node()) as running:
        words = f"run {running.address} --only unknown-skill-is-refused {taken_by}"
        process = await asyncio.create_subprocess_shell(
            f"{sys.executable} -m consilience_conformance {words}", stderr=asyncio.subprocess.PIPE
        )
        _, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    assert "fault" not in err.decode()
    assert ("Standard output cannot be written" in err.decode()) is ("full" in taken_by)


def test_a_report_that_cannot_be_written_takes_neither_the_verdict_nor_the_other_formats(
    address: str, tmp_path: Path
) -> None:
    (tmp_path / "report.html").mkdir()
    result = _run(address, *SHORT, "--out", tmp_path)
    assert result.exit_code == 0
    assert "PASSED" in result.stdout
    assert f"The report cannot be written: {tmp_path / 'report.html'}: Is a directory." in result.stderr
    assert (tmp_path / "report.json").is_file()


def test_a_report_that_cannot_be_written_of_a_node_that_is_not_reached_ends_by_it(
    unused_tcp_port: int, tmp_path: Path
) -> None:
    (tmp_path / "report.html").mkdir()
    result = _run(f"127.0.0.1:{unused_tcp_port}", "--out", tmp_path)
    assert result.exit_code == 64
    assert "nothing answers at" in result.stderr
    assert "cannot be written" in result.stderr


def test_files_of_an_earlier_report_are_left_and_told(address: str, tmp_path: Path) -> None:
    assert _run(address, *SHORT, "--out", tmp_path).exit_code == 0
    result = _run(address, *SHORT, "--out", tmp_path, "--format", "json")
    assert f"Report: {tmp_path / 'report.json'}\nOf an earlier run: {tmp_path / 'report.html'}," in result.stdout


def test_a_message_that_begins_with_the_name_of_a_file_leaves_that_name_as_it_is() -> None:
    assert sentence("node.toml holds no grant") == "node.toml holds no grant."
    assert sentence("there is no check; did you mean ask?") == "There is no check; did you mean ask?"
    assert sentence("it wants a whole number...") == "It wants a whole number..."
