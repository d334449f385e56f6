from __future__ import annotations

import pytest

from consilience_node.engines.llama_cpp import LlamaCppOptions


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("context_tokens", 0),
        ("generations", 0),
        ("generations", 129),
        ("batch_tokens", 0),
        ("queued_generations", -1),
        ("idle_tokens", -1),
        ("threads", 0),
        ("batch_tokens", 8),
    ],
)
def test_setting_out_of_range_is_refused_and_named(field: str, value: int) -> None:
    with pytest.raises(ValueError, match=field):
        LlamaCppOptions(**{field: value})  # type: ignore[arg-type]
