"""Lists of thousands do not hold up the judge, whose rules take milliseconds an item."""

from __future__ import annotations

import protovalidate
import pytest

from consilience.v1 import ask_pb2, node_pb2
from consilience_conformance.rules.fields import field_findings


def test_the_rules_of_a_list_that_is_far_too_long_are_not_evaluated(monkeypatch: pytest.MonkeyPatch) -> None:
    evaluated: list[object] = []
    monkeypatch.setattr(protovalidate, "collect_violations", evaluated.append)
    card = node_pb2.NodeCard(skills=[node_pb2.Skill(id="Chat")] * 2000)
    (finding,) = field_findings(card.SerializeToString(), "consilience.v1.NodeCard", exchange="card")
    assert finding.message == "the NodeCard breaks the rule repeated.max_items"
    assert finding.expected.startswith("skills ")
    assert not evaluated


def test_a_list_that_is_far_too_long_is_found_within_another() -> None:
    model = node_pb2.Skill(id="chat", model_ids=["m"] * 2000)
    card = node_pb2.NodeCard(skills=[node_pb2.Skill(id="chat"), model])
    (finding,) = field_findings(card.SerializeToString(), "consilience.v1.NodeCard", exchange="card")
    assert finding.expected.startswith("skills.model_ids ")


def test_a_list_without_a_limit_may_be_as_long_as_it_is() -> None:
    event = ask_pb2.AnswerEvent(sequence=1, accepted=ask_pb2.Accepted(ask_digest=bytes(32)))
    assert not set(_of_events([event] * 300)) - set(_of_events([event]))


def _of_events(events: list[ask_pb2.AnswerEvent]) -> list[str]:
    message = ask_pb2.AskResponse(events=events).SerializeToString()
    found = field_findings(message, "consilience.v1.AskResponse", exchange="ask")
    return [finding.message for finding in found]
