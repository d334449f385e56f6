"""The gate answers, quotes or abstains, and says why."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from consilience_node.knowledge.gate import Decision, Evidence, Reason, evidence_of, judge, worth_reading
from consilience_node.knowledge.retrieval import Match, Passage
from consilience_node.knowledge.topic import TopicRule

GOOD = Evidence(topic=TopicRule.HEADWORD, mean_logprob=-0.43, support=1.0, echo=False, finished=True)


@pytest.mark.parametrize(
    ("evidence", "decision", "reason"),
    [
        (GOOD, Decision.ANSWER, Reason.ACCEPTED),
        (replace(GOOD, topic=TopicRule.NAMED), Decision.ANSWER, Reason.ACCEPTED),
        (replace(GOOD, mean_logprob=-0.4999, support=0.85), Decision.ANSWER, Reason.ACCEPTED),
        (replace(GOOD, mean_logprob=0.0), Decision.ANSWER, Reason.ACCEPTED),
        (replace(GOOD, mean_logprob=-0.5), Decision.QUOTE, Reason.UNSURE),
        (replace(GOOD, mean_logprob=-3.0), Decision.QUOTE, Reason.UNSURE),
        (replace(GOOD, mean_logprob=float("nan")), Decision.QUOTE, Reason.UNSURE),
        (replace(GOOD, mean_logprob=float("-inf")), Decision.QUOTE, Reason.UNSURE),
        (replace(GOOD, mean_logprob=None), Decision.QUOTE, Reason.NO_LOGPROBS),
        (replace(GOOD, support=0.84), Decision.QUOTE, Reason.UNSUPPORTED),
        (replace(GOOD, support=float("nan")), Decision.QUOTE, Reason.UNSUPPORTED),
        (replace(GOOD, echo=True), Decision.QUOTE, Reason.EMPTY),
        (replace(GOOD, finished=False), Decision.QUOTE, Reason.UNFINISHED),
        (replace(GOOD, topic=TopicRule.NONE), Decision.ABSTAIN, Reason.OFF_TOPIC),
        (replace(GOOD, topic=TopicRule.NONE, mean_logprob=-9.0, echo=True), Decision.ABSTAIN, Reason.OFF_TOPIC),
    ],
)
def test_the_table_of_the_gate(evidence: Evidence, decision: Decision, reason: Reason) -> None:
    verdict = judge(evidence)
    assert (verdict.decision, verdict.reason) == (decision, reason)


def test_a_model_is_asked_only_about_a_passage_on_the_topic() -> None:
    assert [rule for rule in TopicRule if worth_reading(rule)] == [TopicRule.HEADWORD, TopicRule.NAMED]


def test_evidence_is_collected_from_the_answer_and_all_passages_that_were_read() -> None:
    bug, insect = (
        Passage(
            text=text,
            title=title,
            uri="a.md",
            source_digest=bytes(32),
            start_byte=0,
            end_byte=len(text),
            score=0.0,
            match=Match.BM25,
            retrieval_time=datetime(2026, 1, 2, tzinfo=UTC),
        )
        for title, text in (("bug", "An error in a program."), ("insect", "An animal with six legs."))
    )
    evidence = evidence_of(
        "A bug is an error, or an animal.",
        question="What is a bug?",
        passages=[bug, insect],
        topic=TopicRule.HEADWORD,
        logprobs=[-0.25, -0.75],
        finished=True,
    )
    assert evidence == Evidence(topic=TopicRule.HEADWORD, mean_logprob=-0.5, support=1.0, echo=False, finished=True)


def test_without_log_probabilities_the_evidence_has_no_mean() -> None:
    evidence = evidence_of(
        "A bug is a bug.", question="What is a bug?", passages=[], topic=TopicRule.NONE, logprobs=(), finished=False
    )
    assert evidence == Evidence(topic=TopicRule.NONE, mean_logprob=None, support=0.0, echo=True, finished=False)
