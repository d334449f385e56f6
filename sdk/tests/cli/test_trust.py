import json
import subprocess
import sys
from pathlib import Path

import pytest

from consilience.identity import KeyPair, format_node_id
from consilience.units import utc_now
from sdk.tests.cli.conftest import Run

ANN, BOB, NODE = (format_node_id(KeyPair(letter * 32).public_key) for letter in (b"a", b"b", b"n"))


def outcome(score_milli: int, **other: object) -> dict[str, object]:
    moment = utc_now().isoformat()
    words = {"subject": NODE, "domain": "units", "score_milli": score_milli, "verification": "TOOL", "time": moment}
    return words | other


@pytest.fixture
def evidence(tmp_path: Path) -> str:
    """A file of own outcomes, of a review by Bob, of one by a stranger, and of Ann's trust in Bob."""
    lines = [
        *(outcome(1000) for _ in range(6)),
        outcome(0),
        outcome(500, judge=BOB),
        outcome(0, judge=NODE[:-2] + "aa"),
        {"truster": ANN, "trusted": BOB},
    ]
    file = tmp_path / "outcomes.jsonl"
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return str(file)


def test_who_is_added_is_listed_until_removed(consilience: Run) -> None:
    assert (
        consilience("trust", "add", f"{ANN}@ann.example:7341", "--note", "Ann", "--weight", "0.5").stdout == f"{ANN}\n"
    )
    (entry,) = json.loads(consilience("trust", "list", "--json").stdout)
    assert (entry["node_id"], entry["weight"], entry["note"]) == (ANN, 0.5, "Ann")
    shown = consilience("trust", "list").stdout
    assert ANN in shown
    assert "Ann" in shown
    assert consilience("trust", "remove", ANN).stdout == f"{ANN}\n"
    assert json.loads(consilience("trust", "list", "--json").stdout) == []


def test_who_is_added_again_keeps_note_and_weight_until_others_are_given(consilience: Run) -> None:
    def entry(*words: str) -> tuple[float, str]:
        added = json.loads(consilience("trust", "add", ANN, *words, "--json").stdout)
        return added["weight"], added["note"]

    assert entry("--note", "Ann", "--weight", "0.5") == (0.5, "Ann")
    assert entry() == (0.5, "Ann")
    assert entry("--weight", "0.2") == (0.2, "Ann")
    assert entry("--note", "") == (0.2, "")


def test_an_empty_book_says_how_to_begin(consilience: Run) -> None:
    done = consilience("trust", "list")
    assert (done.returncode, done.stdout) == (0, "")
    assert "consilience trust add" in done.stderr


def test_the_book_may_lie_elsewhere(consilience: Run, tmp_path: Path) -> None:
    consilience("trust", "add", ANN, "--file", str(tmp_path / "book"))
    assert ANN in (tmp_path / "book").read_text()
    assert json.loads(consilience("trust", "list", "--json").stdout) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("add", "ann"), "not a node id"),
        (("add", ANN, "--weight", "0"), "range"),
        (("add", ANN, "--weight", "1e-310"), "range"),
        (("remove", ANN), "not in the trust book"),
        (("explain", NODE, "--domain", "units"), "name --evidence, --registry or both"),
    ],
)
def test_what_cannot_be_is_a_usage_error(consilience: Run, words: tuple[str, ...], said: str) -> None:
    done = consilience("trust", *words)
    assert done.returncode == 2
    assert said in done.stderr


def test_an_explanation_shows_whose_word_counts_and_through_whom(consilience: Run, evidence: str) -> None:
    consilience("keys", "new")
    consilience("trust", "add", ANN, "--note", "Ann")
    shown = consilience("trust", "explain", NODE, "--domain", "units", "--evidence", evidence)
    assert shown.returncode == 0, shown.stderr
    assert "answers: 7, counting 7.00" in shown.stdout
    assert f"you > Ann > {BOB[:11]}…" in shown.stdout
    assert "reviews: 1, counting nothing" in shown.stdout


def test_an_explanation_for_machines_has_every_number(consilience: Run, evidence: str) -> None:
    own_key = json.loads(consilience("keys", "new", "--json").stdout)["public_key"]
    consilience("trust", "add", ANN)
    done = consilience("trust", "explain", NODE, "--domain", "units", "--evidence", evidence, "--json")
    facts = json.loads(done.stdout)
    assert facts["score"]["node_id"] == NODE
    assert facts["score"]["own"]["items"] == 7
    assert facts["score"]["mean"] == pytest.approx(7.25 / 9.5, abs=1e-5)
    mine, bobs, strange = facts["contributions"]
    assert (mine["judge"], mine["evidence_class"], mine["path"]) == (own_key, "OWN", [])
    assert (bobs["judge"], bobs["path"], bobs["limits"]) == (BOB, [own_key, ANN, BOB], [])
    assert (strange["evidence_class"], strange["weight"]) == ("STRANGER", 0)


def test_of_a_node_that_nobody_judged_nothing_is_known(consilience: Run, evidence: str) -> None:
    consilience("keys", "new")
    shown = consilience("trust", "explain", ANN, "--domain", "units", "--evidence", evidence).stdout
    assert "0.500" in shown
    assert "nothing is known" in shown


def test_a_line_that_is_no_evidence_is_told_by_its_number(consilience: Run, tmp_path: Path) -> None:
    consilience("keys", "new")
    (tmp_path / "wrong").write_text("{}\n")
    done = consilience("trust", "explain", NODE, "--domain", "units", "--evidence", str(tmp_path / "wrong"))
    assert done.returncode == 2
    assert "line 1" in done.stderr


def test_who_has_no_key_is_told_how_to_make_one(consilience: Run, evidence: str) -> None:
    done = consilience("trust", "explain", NODE, "--domain", "units", "--evidence", evidence)
    assert done.returncode == 2
    assert "consilience keys new" in done.stderr


def test_a_note_is_shown_as_text_and_as_nothing_else(consilience: Run) -> None:
    consilience("trust", "add", ANN, "--note", "[bold]\x1b[2JAnn")
    shown = consilience("trust", "list").stdout
    assert "[bold]" in shown
    assert "\x1b" not in shown


def test_without_its_extra_explain_says_what_to_install_and_the_rest_works(
    environment: dict[str, str], evidence: str
) -> None:
    for words, code in (["list"], 0), (["explain", NODE, "--domain", "units", "--evidence", evidence], 2):
        program = (
            "import sys\nsys.modules['scipy'] = None\n"
            f"sys.argv[1:] = {['trust', *words]!r}\nfrom consilience.cli import main\nmain()\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stderr
        assert ('pip install "consilience[network]"' in done.stderr) == (code == 2)
