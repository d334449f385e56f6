import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from consilience.errors import UsageError
from consilience.identity import format_node_id
from consilience.network.trust_book import Reviewer, TrustBook, default_trust_file
from consilience.network.trust_edges import TrustEdge
from sdk.tests.network.reputation.scenes import ME, key

ANN, BOB = key("ann"), key("bob")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "trust.txt"


def book_of(file: Path) -> TrustBook:
    return TrustBook(file, clock=lambda: datetime(2026, 5, 1, 23, 59, tzinfo=UTC))


def test_a_book_that_nobody_wrote_is_empty(file: Path) -> None:
    assert book_of(file).reviewers() == ()
    assert not file.parent.exists()


def test_what_is_added_is_there_for_the_next_process(file: Path) -> None:
    book_of(file).add(ANN, weight=0.3, note="  Ann,\truns the\nlibrary ")
    book_of(file).add(BOB)
    expected = {
        Reviewer(node_id=ANN, weight=0.3, since=date(2026, 5, 1), note="Ann, runs the library"),
        Reviewer(node_id=BOB, weight=1.0, since=date(2026, 5, 1)),
    }
    assert set(TrustBook(file).reviewers()) == expected
    assert book_of(file).edges(viewer=ME) == tuple(
        TrustEdge(truster=ME, trusted=one.node_id, weight=one.weight) for one in TrustBook(file).reviewers()
    )


def test_who_is_added_again_stands_there_once(file: Path) -> None:
    book = book_of(file)
    book.add(ANN, note="old")
    book.add(ANN, weight=0.5, note="new")
    assert [(one.weight, one.note) for one in book.reviewers()] == [(0.5, "new")]


def test_who_is_added_again_keeps_what_is_not_said_anew(file: Path) -> None:
    book = book_of(file)
    book.add(ANN, weight=0.5, note="Ann")
    later = TrustBook(file, clock=lambda: datetime(2026, 6, 1, tzinfo=UTC))
    since = date(2026, 5, 1)
    assert later.add(ANN) == Reviewer(node_id=ANN, weight=0.5, since=since, note="Ann")
    assert later.add(ANN, weight=0.2) == Reviewer(node_id=ANN, weight=0.2, since=since, note="Ann")
    assert later.add(ANN, note="") == Reviewer(node_id=ANN, weight=0.2, since=since)
    assert book.reviewers() == (Reviewer(node_id=ANN, weight=0.2, since=since),)


def test_who_is_removed_is_gone_and_the_others_stay(file: Path) -> None:
    book = book_of(file)
    book.add(ANN)
    book.add(BOB)
    assert book.remove(ANN).node_id == ANN
    assert [one.node_id for one in book.reviewers()] == [BOB]
    with pytest.raises(UsageError, match="not in the trust book"):
        book.remove(ANN)


def test_the_file_is_for_people_and_for_its_owner_alone(file: Path) -> None:
    book_of(file).add(ANN, weight=0.5, note="Ann")
    assert file.read_text() == f"consilience-trust-v1\n{format_node_id(ANN)} 0.5 2026-05-01 Ann\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_person_may_edit_the_file(file: Path) -> None:
    file.parent.mkdir()
    file.write_text(f"consilience-trust-v1\n\n  {format_node_id(ANN)}   1   2025-12-31   Ann   of  the library\n")
    assert book_of(file).reviewers() == (
        Reviewer(node_id=ANN, weight=1.0, since=date(2025, 12, 31), note="Ann of the library"),
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no trust book"),
        ("something else\n", "no trust book"),
        ("consilience-trust-v1\nann 1 2026-05-01\n", "line 2 of .* not a node id"),
        (f"consilience-trust-v1\n{format_node_id(ANN)}\n", "line 2 of"),
        (f"consilience-trust-v1\n{format_node_id(ANN)} much 2026-05-01\n", "line 2 of"),
        (f"consilience-trust-v1\n{format_node_id(ANN)} 2 2026-05-01\n", "from 0.000001 to 1"),
        (f"consilience-trust-v1\n{format_node_id(ANN)} nan 2026-05-01\n", "from 0.000001 to 1"),
        (f"consilience-trust-v1\n{format_node_id(ANN)} 1 May\n", "line 2 of"),
        (f"consilience-trust-v1\n{2 * (format_node_id(ANN) + ' 1 2026-05-01' + chr(10))}", "line 3 .* second time"),
    ],
)
def test_a_file_that_is_wrong_is_refused_and_left_as_it_is(file: Path, text: str, said: str) -> None:
    file.parent.mkdir()
    file.write_text(text)
    with pytest.raises(UsageError, match=said):
        book_of(file).reviewers()
    with pytest.raises(UsageError, match=said):
        book_of(file).add(BOB)
    assert file.read_text() == text


@pytest.mark.parametrize("weight", [0.0, 1e-310, 1.1, float("nan"), 10**400])
def test_a_weight_that_is_none_is_refused(file: Path, weight: float) -> None:
    with pytest.raises(UsageError, match="weight of a trust edge"):
        book_of(file).add(ANN, weight=weight)
    assert not file.exists()


def test_writers_that_come_at_once_lose_nothing(file: Path) -> None:
    people = [key(f"reviewer {number}") for number in range(24)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda each: book_of(file).add(each), people))
    assert {one.node_id for one in book_of(file).reviewers()} == set(people)
    assert sorted(left.name for left in file.parent.iterdir()) == [".trust.txt.lock", "trust.txt"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be written"):
        book_of(tmp_path / "file" / "trust.txt").add(ANN)
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match="cannot be read"):
        book_of(tmp_path / "folder").reviewers()


def test_the_book_is_kept_in_the_state_folder_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert default_trust_file() == tmp_path / "consilience" / "trust.txt"
