"""What a node writes commands nothing."""

import pytest

from consilience_conformance.report.printable import printable


def test_what_a_terminal_would_obey_is_written_out() -> None:
    assert printable("a\x1b[31mb\r\n") == "a\\u001b[31mb\\u000d\\u000a"


def test_what_turns_a_line_around_or_hides_is_written_out() -> None:
    assert printable("\u202ea\u200b\u2028") == "\\u202ea\\u200b\\u2028"


def test_words_of_every_language_stay() -> None:
    assert printable("Über 問 é") == "Über 問 é"


def test_lines_stay_where_they_are_wanted() -> None:
    assert printable("a\nb\x07", keep=" \n") == "a\nb\\u0007"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("::error file=a::b", "\\u003a:error file=a::b"),
        ("a ::add-mask::b", "a \\u003a:add-mask::b"),
        ("##[add-mask]b", "\\u0023#[add-mask]b"),
        ("a##[error]b", "a\\u0023#[error]b"),
    ],
)
def test_nothing_commands_a_build_server(*, text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize("text", ["[::1]:7341", "::1", "a::b", "## heading", "#[x]"])
def test_what_commands_nobody_stays(text: str) -> None:
    assert printable(text) == text
