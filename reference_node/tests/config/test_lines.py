from __future__ import annotations

import pytest

from consilience_node.config.lines import line_of, lines_of_keys


def test_each_key_of_a_table_has_its_own_line() -> None:
    lines = lines_of_keys('# a comment\n\n[node]\nname = "a"\n\naddress = "b"\n')
    assert (lines["node",], lines["node", "name"], lines["node", "address"]) == (3, 4, 6)


def test_elements_of_an_array_of_tables_are_told_apart() -> None:
    lines = lines_of_keys('[[skills]]\nid = "a"\n[[skills]]\nid = "b"\n[skills.limits]\nmax_turns = 1\n')
    assert lines["skills", 0, "id"] == 2
    assert lines["skills", 1, "id"] == 4
    assert lines["skills", 1, "limits", "max_turns"] == 6
    assert ("skills", 0, "limits") not in lines


def test_tables_within_tables_of_an_array_are_counted_anew_in_each() -> None:
    lines = lines_of_keys("[[a]]\n[[a.b]]\nc = 1\n[[a.b]]\nc = 2\n[[a]]\n[[a.b]]\nc = 3\n")
    assert lines["a", 0, "b", 1, "c"] == 5
    assert lines["a", 1, "b", 0, "c"] == 8


@pytest.mark.parametrize(
    "value",
    [
        '[\n  "one", # a comment with "quotes" ]\n  "two",\n]',
        '"""\nid = "no key"\n[nor.a.table]\n"""',
        "{ a = [\n 1 ] }",
    ],
    ids=["array", "string", "inline table"],
)
def test_a_value_over_several_lines_is_one_statement(value: str) -> None:
    lines = lines_of_keys(f"before = 1\nlong = {value}\nafter = 2\n")
    assert lines["long",] == 2
    assert lines["after",] == 2 + value.count("\n") + 1
    assert not {("id",), ("nor",)} & set(lines)


def test_elements_within_a_value_have_the_line_of_the_value() -> None:
    lines = lines_of_keys('\nskills = [{ id = "a" }, { id = "b" }]\na.b.c = 1\n')
    assert lines["skills", 1, "id"] == 2
    assert lines["a", "b", "c"] == 3


def test_line_ends_of_windows_and_quoted_keys_are_read() -> None:
    lines = lines_of_keys('["a.b"]\r\n"c d" = 1\r\ne = 2\r\n')
    assert (lines["a.b", "c d"], lines["a.b", "e"]) == (2, 3)


def test_a_key_that_is_not_written_has_the_line_of_the_table_around_it() -> None:
    lines = lines_of_keys('x = 1\n[[models]]\nid = "a"\n')
    assert line_of(("models", 0, "engine"), lines=lines) == 2
    assert line_of(("skills",), lines=lines) is None
