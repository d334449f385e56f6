from __future__ import annotations

import pytest

from consilience_node.engines.openai import OpenAIOptions


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("base_url", "127.0.0.1:8000"),
        ("generations", 0),
        ("silence_timeout_seconds", 0),
        ("connect_timeout_seconds", -1),
        ("weights_sha256", "abc"),
    ],
)
def test_setting_that_makes_no_sense_is_refused_and_named(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=field):
        OpenAIOptions(**{"base_url": "http://127.0.0.1:1/v1", field: value})  # type: ignore[arg-type]


def test_key_is_not_shown() -> None:
    assert "secret" not in repr(OpenAIOptions(base_url="http://127.0.0.1:1/v1", api_key="secret"))
