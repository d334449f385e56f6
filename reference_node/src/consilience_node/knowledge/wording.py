"""Compares the words of an answer with those of the question and the passage. Pure.

Two things a small model does are seen in its words alone: it gives the question back as its answer, and it leaves the
passage and makes something up.
"""

import re

from consilience_node.knowledge.question import terms_of

_ENDING = re.compile(r"(?:ings?|ed|es|s|ly)$")
_STEM_CHARACTERS = 7
_OPENED_LIST = re.compile(r":\s*\d+\.$")


def echoes(answer: str, *, question: str) -> bool:
    """Tells whether an answer has no word of its own, only those of the question.

    The number that opens a list ("LCL: 1.") is no word: the sentence ended before it said anything.

    >>> echoes("A heisenbug is a heisenbug.", question="What is a heisenbug?")
    True
    """
    return not _stems(_OPENED_LIST.sub("", answer.strip())) - _stems(question)


def support(answer: str, *, question: str, passage: str) -> float:
    """Returns which share of an answer's own words stands in the passage, 0 to 1.

    Words of the question do not count; an answer without a word of its own has support 0. Words are compared by a
    rough stem, so that "reproducing" supports "reproduces".
    """
    own = _stems(answer) - _stems(question)
    return len(own & _stems(passage)) / len(own) if own else 0.0


def _stems(text: str) -> frozenset[str]:
    return frozenset(_ENDING.sub("", term)[:_STEM_CHARACTERS] for term in terms_of(text))
