import json
from pathlib import Path

import pytest

from consilience.server import RunningNode
from sdk.tests.cli.conftest import Run


def _saved(consilience: Run, node: RunningNode, tmp_path: Path) -> Path:
    file = tmp_path / "exchange.json"
    assert consilience("ask", "x", "--node", node.address, "--save", str(file)).returncode == 0
    return file


def test_a_saved_exchange_is_verified_offline(consilience: Run, running_node: RunningNode, tmp_path: Path) -> None:
    done = consilience("verify", str(_saved(consilience, running_node, tmp_path)))
    assert done.returncode == 0
    assert "the text is the text that was signed (STRM-TXT-002)" in done.stdout
    assert done.stdout.endswith("Every check held.\n")


def test_an_exchange_that_was_edited_fails_by_name(consilience: Run, running_node: RunningNode, tmp_path: Path) -> None:
    file = _saved(consilience, running_node, tmp_path)
    document = json.loads(file.read_text())
    document["text"] += "?"
    file.write_text(json.dumps(document))
    done = consilience("verify", str(file), "--json")
    assert done.returncode == 1
    facts = json.loads(done.stdout)
    assert facts["passed"] is False
    assert [check["requirement"] for check in facts["checks"] if not check["passed"]] == ["STRM-TXT-002"]


def test_a_file_that_is_no_exchange_is_a_usage_error(consilience: Run, tmp_path: Path) -> None:
    file = tmp_path / "other.json"
    for text in ("{}", "[]", "not json", "\0"):
        file.write_text(text)
        done = consilience("verify", str(file))
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
        assert str(file) in done.stderr


def test_an_exchange_without_its_question_is_not_said_to_hold(
    consilience: Run, running_node: RunningNode, tmp_path: Path
) -> None:
    file = _saved(consilience, running_node, tmp_path)
    document = json.loads(file.read_text())
    document["ask"] = None
    file.write_text(json.dumps(document))
    done = consilience("verify", str(file))
    assert done.returncode == 1
    assert "FAILS  the question is there" in done.stdout
    assert "Every check held" not in done.stdout
    assert json.loads(consilience("verify", str(file), "--json").stdout)["passed"] is False


def test_an_exchange_is_read_from_standard_input(consilience: Run, running_node: RunningNode, tmp_path: Path) -> None:
    text = _saved(consilience, running_node, tmp_path).read_text()
    done = consilience("verify", "-", stdin=text)
    assert done.returncode == 0
    assert done.stdout.endswith("Every check held.\n")


@pytest.mark.parametrize("place", ["no/such/folder", "."])
def test_an_exchange_that_cannot_be_written_is_told_before_the_question_is_sent(
    consilience: Run, running_node: RunningNode, place: str
) -> None:
    done = consilience("ask", "x", "--node", running_node.address, "--save", place)
    assert done.returncode == 2
    assert "cannot be written; nothing was sent" in done.stderr
    assert done.stdout == ""
