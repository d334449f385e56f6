"""What a question is about is found in its words, whatever its frame."""

import pytest

from consilience_node.knowledge.question import (
    bare_name,
    names_asked_for,
    names_within,
    normalised,
    subject_words,
    terms_of,
)


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("What is a heisenbug?", "heisenbug"),
        ("what's a HEISENBUG", "heisenbug"),
        ("What are heisenbugs?", "heisenbug"),
        ("  What  is\ta 'heisenbug' ?!", "heisenbug"),
        ("What is “a heisenbug”?", "heisenbug"),
        ("What\u2019s a heisenbug?", "heisenbug"),
        ("heisenbug", "heisenbug"),
        ("heisenbug?", "heisenbug"),
        ("Define heisenbug.", "heisenbug"),
        ("Please explain the heisenbug", "heisenbug"),
        ("Could you explain a heisenbug?", "heisenbug"),
        ("Can you tell me what a heisenbug is?", "heisenbug"),
        ("Tell me about heisenbugs", "heisenbug"),
        ("What does heisenbug mean?", "heisenbug"),
        ("What is meant by a heisenbug?", "heisenbug"),
        ("What is the meaning of heisenbug?", "heisenbug"),
        ("Definition of a heisenbug", "heisenbug"),
        ("What does SCSI stand for?", "scsi"),
        ("Who was Ada Lovelace?", "ada lovelace"),
        ("What is C++?", "c++"),
        ("What is C#?", "c#"),
        ("What is .NET?", ".net"),
        ("What is Object-Oriented Programming?", "object oriented programming"),
        ("What are proxies?", "proxy"),
        ("What are mutexes?", "mutex"),
        ("!", "!"),
        ("?", "?"),
        ("What is the Internet?", "the internet"),
    ],
)
def test_the_name_asked_for_is_found(question: str, name: str) -> None:
    assert name in names_asked_for(question)


def test_the_most_literal_name_comes_first() -> None:
    assert names_asked_for("What are the News?") == (
        "what are the news?",
        "what are the news",
        "the news",
        "news",
        "new",
    )


@pytest.mark.parametrize("question", ["What is the capital of Java?", "Who invented Perl?", "Is Perl a language?"])
def test_a_question_for_more_than_a_name_asks_for_no_part_of_it(question: str) -> None:
    assert not {"java", "perl", "capital", "language"} & set(names_asked_for(question))


@pytest.mark.parametrize("question", ["", "   ", "\0", "\ud800", "'\"` ", "x" * 10_000])
def test_nothing_that_could_be_a_name_gives_no_name(question: str) -> None:
    assert names_asked_for(question) == () or max(map(len, names_asked_for(question))) <= 256


@pytest.mark.parametrize(
    ("left", "right"),
    [("Object-oriented", "object oriented"), ("TCP/IP", "tcp ip"), ("CAFÉ", "cafe\u0301"), ("ﬁle", "file")],
)
def test_spellings_of_one_name_are_one(left: str, right: str) -> None:
    assert normalised(left) == normalised(right)


def test_signs_belong_to_a_name() -> None:
    assert len({normalised(name) for name in ("C", "C++", "C#", "*C", "--C")}) == 5


def test_a_heading_is_bared_like_a_question() -> None:
    assert bare_name("The node card") == bare_name("What is a node card?") == "node card"


def test_terms_leave_out_the_words_of_grammar() -> None:
    assert terms_of("What is the capital of the capital of C++ Land?") == ("capital", "c++", "land")


def test_subject_words_leave_out_what_is_asked_about_the_subject() -> None:
    assert subject_words("Who first invented the Perl language?") == ("perl", "language")


def test_names_within_a_question_know_the_words_they_hold() -> None:
    names = names_within("Who designed Larry's wire protocols?")
    assert names["wire protocol"] == {"wire", "protocols"}
    assert names["larry"] == {"larry"}
    assert "who" not in names
    assert "designed" not in names


def test_names_are_looked_for_in_the_first_words_only() -> None:
    assert len(names_within(" ".join(f"word{number}" for number in range(5000)))) < 1000
