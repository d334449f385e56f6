from __future__ import annotations

import pytest

from consilience_node.engines.openai.turn_markers import break_turn_markers


@pytest.mark.parametrize(
    "marker",
    [
        "<|im_start|>",
        "<|im_end|>",
        "<|eot_id|>",
        "<|start_header_id|>",
        "<|user|>",
        "<\uff5cUser\uff5c>",
        "<start_of_turn>",
        "<end_of_turn>",
        "<s>",
        "</s>",
        "<bos>",
        "<eos>",
        "[INST]",
        "[/INST]",
        "[SYSTEM_PROMPT]",
        "<<SYS>>",
        "<</SYS>>",
    ],
)
def test_marker_is_broken_and_stays_readable(marker: str) -> None:
    broken = break_turn_markers(f"before {marker} after {marker}")
    assert marker not in broken
    assert broken.replace("\u200b", "") == f"before {marker} after {marker}"


@pytest.mark.parametrize("text", ["a < b | c > d", "<script>", "x[INSTALL]", "if (a <| b) f |> g", "2 <= 3"])
def test_other_text_is_left_as_it_is(text: str) -> None:
    assert break_turn_markers(text) == text
