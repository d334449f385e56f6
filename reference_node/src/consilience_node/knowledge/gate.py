"""Decides what a node does with what it found and what its model made of it: answer, bare quote or abstention. Pure.

A small model reads a passage well or badly, and does not say which. Four signs together tell, and all of them must
be good (the numbers behind them stand in the calibration data, see `calibration`):

* the passage is about the question (`topic`);
* the answer is finished: it ended by itself or with its first sentence, and not in the middle of a loop;
* the model was sure of its words: their mean log probability is above -0.5;
* the answer stays with the passage: six of seven of its own words stand there, and it has words of its own.

When only the passage is good, the node quotes it and says that it could not answer from it.

Example::

    found = retriever.retrieve(question)
    if worth_reading(found.topic.rule):
        …  # generate from grounded_prompt(question, passages=found.passages[:1])
        verdict = judge(evidence_of(text, question=question, passages=found.passages[:1], topic=found.topic.rule,
                                    logprobs=completion.logprobs, finished=completion.stop is not StopCause.LENGTH))
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from consilience_node.knowledge.retrieval import Passage
from consilience_node.knowledge.topic import TopicRule
from consilience_node.knowledge.wording import echoes, support

MIN_MEAN_LOGPROB = -0.5
MIN_SUPPORT = 0.85


class Decision(StrEnum):
    """Says what the node does."""

    ANSWER = "answer"
    QUOTE = "quote"
    ABSTAIN = "abstain"


class Reason(StrEnum):
    """Says why, in words for the asker."""

    ACCEPTED = "the model was sure of its answer, and the passage supports it"
    OFF_TOPIC = "nothing in the sources is about this question"
    NO_LOGPROBS = "the engine does not tell how sure the model was"
    UNFINISHED = "the model did not come to the end of its answer"
    EMPTY = "the model only gave the question back"
    UNSURE = "the model was not sure of its answer"
    UNSUPPORTED = "the answer of the model goes beyond the passage"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Is what there is to judge a grounded answer by.

    Attributes:
        topic: The rule by which the passage is about the question, or NONE.
        mean_logprob: Mean natural log probability of the answer's tokens; None if the engine gives none.
        support: Share of the answer's own words that stand in the passage, 0 to 1 (`wording.support`).
        echo: Whether the answer has no word of its own (`wording.echoes`).
        finished: Whether it ended by itself or with its first sentence.
    """

    topic: TopicRule
    mean_logprob: float | None
    support: float
    echo: bool
    finished: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Is what to do, and why."""

    decision: Decision
    reason: Reason


def worth_reading(topic: TopicRule) -> bool:
    """Tells, before the model is asked, whether there is a passage for it to read; if not, the node abstains."""
    return topic is not TopicRule.NONE


def evidence_of(
    answer: str,
    *,
    question: str,
    passages: Sequence[Passage],
    topic: TopicRule,
    logprobs: Sequence[float],
    finished: bool,
) -> Evidence:
    """Collects the evidence on one answer.

    Args:
        answer: What the model made of the passages.
        question: What was asked.
        passages: What the model read.
        topic: The rule by which the first of them is about the question.
        logprobs: Natural log probability of each token of the answer; empty if the engine gives none.
        finished: Whether the generation ended by itself or with its first sentence.
    """
    read = " ".join(f"{passage.title} {passage.text}" for passage in passages)
    return Evidence(
        topic=topic,
        mean_logprob=sum(logprobs) / len(logprobs) if logprobs else None,
        support=support(answer, question=question, passage=read),
        echo=echoes(answer, question=question),
        finished=finished,
    )


def judge(evidence: Evidence) -> Verdict:
    """Decides on one answer; the reason is that of the first sign that is bad."""
    if not worth_reading(evidence.topic):
        return Verdict(decision=Decision.ABSTAIN, reason=Reason.OFF_TOPIC)
    reason = _fault(evidence)
    if reason is None:
        return Verdict(decision=Decision.ANSWER, reason=Reason.ACCEPTED)
    return Verdict(decision=Decision.QUOTE, reason=reason)


def _fault(evidence: Evidence) -> Reason | None:
    if not evidence.finished:
        return Reason.UNFINISHED
    if evidence.echo:
        return Reason.EMPTY
    if evidence.mean_logprob is None:
        return Reason.NO_LOGPROBS
    # Written so that a NaN, which compares as false with everything, is a fault.
    if not evidence.mean_logprob > MIN_MEAN_LOGPROB:
        return Reason.UNSURE
    if not evidence.support >= MIN_SUPPORT:
        return Reason.UNSUPPORTED
    return None
