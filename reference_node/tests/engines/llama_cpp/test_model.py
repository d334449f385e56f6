from __future__ import annotations

from pathlib import Path

import pytest

from consilience_node.engines import ModelUnusable
from consilience_node.engines.llama_cpp.model import Model


def test_facts_about_the_model_are_read_from_its_file(model: Model) -> None:
    assert (model.family, model.architecture, model.quantization) == ("smollm2", "llama", "Q4_1")
    assert model.parameter_count == 134_515_008
    assert model.trained_context_tokens == 8192
    assert model.shares_prefixes
    assert "<|im_start|>" in (model.metadata("tokenizer.chat_template") or "")
    assert model.metadata("no.such.key") is None


def test_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "letter.gguf"
    path.write_text("Dear model,")
    with pytest.raises(ModelUnusable, match=r"letter\.gguf"):
        Model(path)
