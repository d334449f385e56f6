"""The gate answers, quotes or abstains, and says why."""

from dataclasses import replace

import pytest

from consilience_node.knowledge.gate import Decision, Evidence, Reason, judge, worth_reading
from consilience_node.knowledge.topic import TopicRule

GOOD = Evidence(topic=TopicRule.HEADWORD, mean_logprob=-0.43, support=1.0, echo=False, finished=True)


@pytest.mark.parametrize(
    ("evidence", "decision", "reason"),
    [
        (GOOD, Decision.ANSWER, Reason.ACCEPTED),
        (replace(GOOD, topic=TopicRule.NAMED), Decision.ANSWER, Reason.ACCEPTED),
        (replace(GOOD, mean_logprob=-0.4999, support=0.9), Decision.ANSWER, Reason.ACCEPTED),
        (replace(GOOD, mean_logprob=0.0), Decision.ANSWER, Reason.ACCEPTED),
        (replace(GOOD, mean_logprob=-0.5), Decision.QUOTE, Reason.UNSURE),
        (replace(GOOD, mean_logprob=-3.0), Decision.QUOTE, Reason.UNSURE),
        (replace(GOOD, mean_logprob=float("nan")), Decision.QUOTE, Reason.UNSURE),
        (replace(GOOD, mean_logprob=float("-inf")), Decision.QUOTE, Reason.UNSURE),
        (replace(GOOD, mean_logprob=None), Decision.QUOTE, Reason.NO_LOGPROBS),
        (replace(GOOD, support=0.89), Decision.QUOTE, Reason.UNSUPPORTED),
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
