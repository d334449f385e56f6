"""What a node writes commands nothing."""

from consilience_conformance.report.printable import printable


def test_what_a_terminal_would_obey_is_written_out() -> None:
    assert printable("a\x1b[31mb\r\n") == "a\\u001b[31mb\\u000d\\u000a"


def test_what_turns_a_line_around_or_hides_is_written_out() -> None:
    assert printable("\u202ea\u200b\u2028") == "\\u202ea\\u200b\\u2028"


def test_words_of_every_language_stay() -> None:
    assert printable("Über 問 é") == "Über 問 é"


def test_lines_stay_where_they_are_wanted() -> None:
    assert printable("a\nb\x07", keep=" \n") == "a\nb\\u0007"
