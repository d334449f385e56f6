"""What differs between two texts is marked."""

import pytest

from consilience_conformance.report.differences import Marked, marked


@pytest.mark.parametrize(
    ("expected", "got", "first", "second"),
    [
        ("event 4", "event 5", Marked("event ", "4", ""), Marked("event ", "5", "")),
        ("refused A_B", "refused C_B", Marked("refused ", "A", "_B"), Marked("refused ", "C", "_B")),
        ("aa", "aaa", Marked("aa", "", ""), Marked("aa", "a", "")),
        ("same", "same", Marked("same", "", ""), Marked("same", "", "")),
        ("x", "", Marked("x", "", ""), Marked("", "", "")),
    ],
)
def test_the_middle_is_marked(*, expected: str, got: str, first: Marked, second: Marked) -> None:
    assert marked(expected, got) == (first, second)


def test_nothing_is_marked_where_nothing_is_alike() -> None:
    assert marked("abc", "xyz") == (Marked("abc", "", ""), Marked("xyz", "", ""))
