"""The words of an answer tell whether it says something, and whether it stays with the passage."""

import pytest

from consilience_node.knowledge.wording import echoes, support


@pytest.mark.parametrize(
    ("answer", "question"),
    [
        ("A heisenbug is a heisenbug.", "What is a heisenbug?"),
        ("HEISENBUGS!", "What is a heisenbug?"),
        ("The capital of France is the capital.", "What is the capital of France?"),
        ("LCL: 1.", "What is LCL?"),
        ("", "What is LCL?"),
        ("It is what it is.", "What is LCL?"),
    ],
)
def test_an_answer_without_a_word_of_its_own_echoes(answer: str, question: str) -> None:
    assert echoes(answer, question=question)


@pytest.mark.parametrize(
    ("answer", "question"),
    [
        ("A heisenbug is a bug.", "What is a heisenbug?"),
        ("8", "How many legs does a spider have?"),
        ("The ENIAC was built in 1946.", "What year was the ENIAC built?"),
    ],
)
def test_one_word_of_its_own_is_enough(answer: str, question: str) -> None:
    assert not echoes(answer, question=question)


def test_support_is_the_share_of_own_words_that_stand_in_the_passage() -> None:
    passage = "A program that propagates itself over a network, reproducing itself as it goes."
    assert support("A worm reproduces programs.", question="What is a worm?", passage=passage) == 1.0
    assert support("A worm is a program or an animal.", question="What is a worm?", passage=passage) == 0.5
    assert support("Leonardo da Vinci.", question="What is a worm?", passage=passage) == 0.0


def test_words_of_the_question_support_nothing() -> None:
    assert support("A worm is a worm.", question="What is a worm?", passage="A worm is a worm.") == 0.0


def test_a_number_is_supported_only_by_itself() -> None:
    assert support("1969", question="When?", passage="It was in 1969.") == 1.0
    assert support("1968", question="When?", passage="It was in 1969.") == 0.0
