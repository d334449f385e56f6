"""What differs between two texts is marked."""

import pytest

from consilience_conformance.report.differences import Marked, marked


@pytest.mark.parametrize(
    ("expected", "got", "first", "second"),
    [
        ("event 4", "event 5", Marked("event ", "4", ""), Marked("event ", "5", "")),
        ("refused A_B", "refused C_B", Marked("refused ", "A_B", ""), Marked("refused ", "C_B", "")),
        ("at most 4 bytes", "5 bytes", Marked("", "at most 4", " bytes"), Marked("", "5", " bytes")),
        ("a a", "a a a", Marked("a a", "", ""), Marked("a a", " a", "")),
        ("same", "same", Marked("same", "", ""), Marked("same", "", "")),
        ("x", "", Marked("x", "", ""), Marked("", "", "")),
    ],
)
def test_the_words_that_differ_are_marked(*, expected: str, got: str, first: Marked, second: Marked) -> None:
    assert marked(expected, got) == (first, second)


def test_nothing_is_marked_where_nothing_is_alike() -> None:
    assert marked("abc", "xyz") == (Marked("abc", "", ""), Marked("xyz", "", ""))
