"""A key that no grant can name is judged by scripts, too: a refusal by the grant shows that the signature was taken."""

from __future__ import annotations

from dataclasses import replace

import pytest

from conformance.tests.made_transcripts import Found, ask, found, log, refusal, stream
from consilience.v1 import ask_pb2
from consilience_conformance.subjects import SCRIPT_SKILL

CHECK = "key-of-mixed-order-is-accepted"
NOT_FOR_THIS_REASON = [("SIG-ENV-001", "mixed-order was not refused for this reason")]


@pytest.mark.parametrize(
    ("skill", "reason", "expected"),
    [
        (SCRIPT_SKILL, "GRANT_INVALID", []),
        (SCRIPT_SKILL, "SIGNATURE_INVALID", NOT_FOR_THIS_REASON),
        ("say", "GRANT_INVALID", [("SIG-ENV-001", "mixed-order was not accepted")]),
        ("say", "SIGNATURE_INVALID", [("SIG-ENV-001", "mixed-order was not accepted")]),
    ],
)
def test_a_refusal_of_a_key_of_mixed_order_is_in_order_only_by_a_grant(
    skill: str, reason: str, expected: Found
) -> None:
    request = ask_pb2.AskRequest(ask=ask(skill_id=skill)).SerializeToString()
    assert found(CHECK, [replace(refusal("mixed-order", reason), request=request)]) == expected


@pytest.mark.parametrize(
    ("skill", "expected"), [("say", []), (SCRIPT_SKILL, [("SIG-ENV-001", "mixed-order was accepted")])]
)
def test_a_key_of_mixed_order_is_answered_by_a_skill_that_is_open(skill: str, expected: Found) -> None:
    asked = ask(skill_id=skill)
    assert found(CHECK, [stream("mixed-order", log("hello", asked=asked), asked=asked)]) == expected
