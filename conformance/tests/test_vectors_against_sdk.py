"""The Python SDK passes every vector: what is valid it accepts, and what is not it refuses for the reason named."""

import json

import pytest

from consilience_conformance.vectors.judging import Outcome, judge
from consilience_conformance.vectors.questions import Question, fields_by_type, questions
from consilience_conformance.vectors.replies import Refused, parse_reply
from examples.executors.python.executor import FUNCTIONS, answer

_EVERY = [
    pytest.param(question, id=f"{question.file}-{question.number}-{question.comment}".replace(" ", "_"))
    for question in questions()
]


@pytest.mark.parametrize("question", _EVERY)
def test_the_sdk_passes(question: Question) -> None:
    answered = answer({"id": question.number, "type": question.type, "input": question.input})
    reply = parse_reply(json.dumps(answered).encode(), question_id=question.number, line=1)
    result = judge(question, reply)
    assert result.outcome is Outcome.PASS, result
    # More than the suite asks of others: a reader of ours names the very requirement where there is no reason.
    if isinstance(reply, Refused):
        assert reply.reason == question.reason or (reply.reason == question.requirement != "")


def test_every_type_of_vector_is_checked() -> None:
    assert fields_by_type().keys() == FUNCTIONS.keys() == {question.type for question in questions()}
