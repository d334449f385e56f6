from __future__ import annotations

from datetime import timedelta

import pytest

from consilience.errors import (
    AnswerSchemaUnsupportedError,
    LimitExceeded,
    LimitExceededError,
    NodeFaultError,
    RefusedError,
)
from consilience_node.engines import (
    ContextTooLong,
    EngineError,
    EngineOverloaded,
    EngineUnavailable,
    ModelNotFound,
    SchemaUnsupported,
)
from consilience_node.skills.refusals import failure_of, refusal_of

INTERNAL = "/srv/models/secret.gguf"


@pytest.mark.parametrize(
    ("error", "refusal"),
    [
        (ContextTooLong(limit=100, given=120), LimitExceededError),
        (EngineOverloaded(retry_after=2.0), LimitExceededError),
        (SchemaUnsupported("no such type: horse"), AnswerSchemaUnsupportedError),
        (EngineUnavailable(INTERNAL), NodeFaultError),
        (ModelNotFound(path=INTERNAL, hint="look for it"), NodeFaultError),
    ],
)
def test_each_failure_of_an_engine_has_its_refusal_without_internals(
    error: EngineError, refusal: type[RefusedError]
) -> None:
    assert type(refusal_of(error)) is refusal
    assert INTERNAL not in str(refusal_of(error))
    assert INTERNAL not in failure_of(error).detail


@pytest.mark.parametrize(("given", "requested"), [(120, 120), (None, 101)])
def test_a_context_that_is_too_long_names_the_limit(given: int | None, requested: int) -> None:
    refusal = refusal_of(ContextTooLong(limit=100, given=given))
    assert refusal.detail == LimitExceeded(limit="max_input_tokens", maximum=100, requested=requested)


def test_a_busy_engine_says_when_to_come_back() -> None:
    refusal = refusal_of(EngineOverloaded(retry_after=2.5))
    assert refusal.retry_after == timedelta(seconds=2.5)
    assert isinstance(refusal.detail, LimitExceeded)
    assert refusal.detail.limit == "max_running_asks"
