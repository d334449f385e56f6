import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from consilience.server import RunningNode
from sdk.tests.cli.conftest import Run


def test_an_answer_is_streamed_to_stdout_and_what_is_known_about_it_to_stderr(
    consilience: Run, running_node: RunningNode
) -> None:
    done = consilience("ask", "What is a heisenbug?", "--node", running_node.address)
    assert done.returncode == 0
    assert done.stdout == "a bug that disappears\n"
    for told in ("ANSWERED", "glossary", "Tiny, Q4_1, abacus 1.0", "75%, 95 % between 50% and 90%", "glossary:terms"):
        assert told in done.stderr


def test_json_is_one_object_with_the_signed_answer(consilience: Run, running_node: RunningNode) -> None:
    done = consilience("ask", "What is a heisenbug?", "--node", running_node.address, "--json")
    facts = json.loads(done.stdout)
    assert facts["text"] == "a bug that disappears"
    assert facts["answer"]["outcome"] == "ANSWERED"
    assert facts["answer"]["confidence"]["p_correct"] == 0.75
    assert facts["answer"]["citations"][0]["origin"]["uri"] == "glossary:terms"
    assert facts["node"]["id"].startswith("cn1")


def test_an_outcome_other_than_answered_has_an_exit_code_of_its_own(
    consilience: Run, running_node: RunningNode
) -> None:
    done = consilience("ask", "Why?", "--node", running_node.address, "--skill", "glossary.abstain")
    assert done.returncode == 6
    assert done.stdout == "I do not know.\n"
    assert "ABSTAINED (no_knowledge)" in done.stderr


def test_a_question_may_come_from_standard_input(consilience: Run, running_node: RunningNode) -> None:
    node = running_node.address
    done = consilience("ask", "-", "--node", node, "--skill", "glossary.echo", stdin="from a pipe")
    assert done.stdout == "from a pipe\n"


def test_an_empty_question_is_a_usage_error(consilience: Run, running_node: RunningNode) -> None:
    done = consilience("ask", "  ", "--node", running_node.address)
    assert done.returncode == 2
    assert "the question is empty" in done.stderr


def test_a_refusal_names_its_reason_and_what_would_be_accepted(consilience: Run, running_node: RunningNode) -> None:
    done = consilience("ask", "x", "--node", running_node.address, "--skill", "cooking")
    assert done.returncode == 3
    assert "SKILL_UNKNOWN" in done.stderr
    assert "skill_id: glossary.define, glossary.abstain" in done.stderr
    assert "Supported(" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_refusal_in_json_is_an_object_too(consilience: Run, running_node: RunningNode) -> None:
    done = consilience("ask", "x", "--node", running_node.address, "--skill", "cooking", "--json")
    assert done.returncode == 3
    error = json.loads(done.stdout)["error"]
    assert error["reason"] == "SKILL_UNKNOWN"
    assert error["detail"]["type"] == "Supported"
    assert "glossary.define" in error["detail"]["values"]


def test_a_node_that_is_not_there_is_no_answer(consilience: Run) -> None:
    done = consilience("ask", "x", "--node", "127.0.0.1:1", "--timeout", "5")
    assert done.returncode == 4
    assert "127.0.0.1:1" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_time_out_is_no_answer(consilience: Run, running_node: RunningNode) -> None:
    node = running_node.address
    done = consilience("ask", "x", "--node", node, "--skill", "glossary.slow", "--timeout", "1.5")
    assert done.returncode == 4
    assert done.stdout == "one moment \n"
    assert "AnswerTimeout" in done.stderr
    assert "--timeout" in done.stderr


@pytest.mark.parametrize(
    "options",
    [
        ("--timeout", "inf"),
        ("--timeout", "nan"),
        ("--timeout", "-1"),
        ("--timeout", "0"),
        ("--timeout", "1e300"),
        ("--first-token-timeout", "inf"),
        ("--max-output-tokens", "9999999999999999999999"),
        ("--max-output-tokens", "-1"),
    ],
)
def test_a_number_that_bounds_nothing_is_a_usage_error(
    consilience: Run, running_node: RunningNode, options: tuple[str, str]
) -> None:
    done = consilience("ask", "x", "--node", running_node.address, *options)
    assert done.returncode == 2
    assert f"Invalid value for '{options[0]}'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("option", ["question", "--skill", "--model", "--trust"])
def test_an_argument_that_is_no_text_is_a_usage_error(consilience: Run, running_node: RunningNode, option: str) -> None:
    words = [b"\xff\xfe"] if option == "question" else ["x", option, b"\xff\xfe"]
    done = consilience("ask", *words, "--node", running_node.address)
    assert done.returncode == 2
    assert "no text in UTF-8" in done.stderr


def test_what_is_trusted_is_a_node_id(consilience: Run, running_node: RunningNode) -> None:
    done = consilience("ask", "x", "--node", running_node.address, "--trust", "foo")
    assert done.returncode == 2
    assert "Invalid value for '--trust': 'foo' is not a node id" in done.stderr


def test_a_question_that_is_not_in_quotes_is_not_repeated(consilience: Run, running_node: RunningNode) -> None:
    done = consilience("ask", "my", "secret", "--node", running_node.address)
    assert done.returncode == 2
    assert "put it in quotes" in done.stderr
    assert "secret" not in done.stderr


@pytest.mark.parametrize("schema", [b"\xff", b"[" * 100_000, b'{"not":' * 50_000])
def test_a_schema_that_cannot_be_read_is_a_usage_error(
    consilience: Run, running_node: RunningNode, tmp_path: Path, schema: bytes
) -> None:
    (tmp_path / "schema.json").write_bytes(schema)
    done = consilience("ask", "x", "--node", running_node.address, "--schema", str(tmp_path / "schema.json"))
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("node", ["nonsense", "cn1abc@127.0.0.1:1", "example.org:7341", "ftp://127.0.0.1:1"])
def test_an_address_that_is_none_is_a_usage_error(consilience: Run, node: str) -> None:
    done = consilience("ask", "x", "--node", node)
    assert done.returncode == 2
    assert "Write the address as" in done.stderr


def test_data_that_the_node_may_not_read_is_not_sent(consilience: Run, running_node: RunningNode) -> None:
    done = consilience("ask", "x", "--node", running_node.address, "--data-class", "restricted")
    assert done.returncode == 2
    assert "nothing was sent" in done.stderr


def test_a_schema_that_the_answer_fits_gives_parsed_json(
    consilience: Run, running_node: RunningNode, tmp_path: Path
) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text('{"type": "object", "required": ["term"]}')
    options = ["--node", running_node.address, "--skill", "glossary.echo", "--schema", str(schema)]
    assert json.loads(consilience("ask", '{"term": "x"}', *options, "--json").stdout)["parsed"] == {"term": "x"}
    unfit = consilience("ask", '{"word": "x"}', *options)
    assert unfit.returncode == 2
    assert "AnswerShape" in unfit.stderr


HEEDING = """
import os, signal, sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""The tests may run where a closed terminal is nothing to end for, and whatever they start would ignore it as well."""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_ends_the_command_cancels_and_says_so(
    environment: dict[str, str], running_node: RunningNode, tmp_path: Path, number: signal.Signals
) -> None:
    command = [str(Path(sys.executable).parent / "consilience"), "ask", "x", "--node", running_node.address]
    process = subprocess.Popen(
        [sys.executable, "-c", HEEDING, *command, "--skill", "glossary.slow"],
        env=environment | {"PYTHONUNBUFFERED": "1"},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.read(4) == "one "
    os.kill(process.pid, number)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert stderr.strip().endswith("interrupted")
    assert running_node.running_asks == 0
