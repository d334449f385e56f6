import re
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from consilience.cli.complaints import complaint, remedy_of
from consilience.errors import (
    CallExpiredError,
    ConsilienceError,
    Detail,
    FieldInvalidError,
    FieldViolation,
    FieldViolations,
    LimitExceeded,
    LimitExceededError,
    Redirect,
    RefusedError,
    ServerTime,
    SkillUnknownError,
    Supported,
    WrongReplicaError,
)


def _below(root: type[ConsilienceError]) -> Iterator[type[ConsilienceError]]:
    yield root
    for branch in root.__subclasses__():
        yield from _below(branch)


@pytest.mark.parametrize(
    "error", [error for error in _below(ConsilienceError) if error.__module__.startswith("consilience.errors")]
)
def test_no_remedy_speaks_python(error: type[ConsilienceError]) -> None:
    assert not re.search(r"\w=|client\.|Client\(", remedy_of(error))


@pytest.mark.parametrize(
    ("error", "detail", "words"),
    [
        (SkillUnknownError, Supported(field="skill_id", values=("a.b", "c.d")), "skill_id: a.b, c.d"),
        (SkillUnknownError, Supported(field="skill_id"), "skill_id: none is accepted"),
        (
            LimitExceededError,
            LimitExceeded(limit="max_message_bytes", maximum=10, requested=20),
            "max_message_bytes: 10 at most, 20 asked for",
        ),
        (
            CallExpiredError,
            ServerTime(server_time=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
            "the clock of the node: 2026-01-02 03:04:05 UTC",
        ),
        (WrongReplicaError, Redirect(uri="https://b"), "the endpoint to call: https://b"),
        (
            FieldInvalidError,
            FieldViolations(violations=(FieldViolation(field="turns", description="is empty"),)),
            "turns: is empty",
        ),
    ],
)
def test_what_a_refusal_carries_is_told_in_words(error: type[RefusedError], detail: Detail, words: str) -> None:
    assert complaint(error("no", detail=detail)).splitlines()[-1] == words
