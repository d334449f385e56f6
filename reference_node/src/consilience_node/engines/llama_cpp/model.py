"""A GGUF model in memory, and what its file says about it."""

from __future__ import annotations

import ctypes
from pathlib import Path

from consilience_node.engines.errors import ModelUnusable
from consilience_node.engines.llama_cpp.native import llama
from consilience_node.engines.llama_cpp.vocabulary import Vocabulary

_MAGIC = b"GGUF"


class Model:
    """The weights and the vocabulary of one model.

    Args:
        path: a GGUF file; the first one of a model that is split.

    Raises:
        ModelUnusable: llama.cpp cannot load it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        _require_gguf(path)
        parameters = llama.llama_model_default_params()
        self.pointer = llama.llama_model_load_from_file(str(path).encode(), parameters)
        if not self.pointer:
            raise ModelUnusable(path=path, reason="llama.cpp cannot load it; is it a whole GGUF file?")
        if llama.llama_model_has_encoder(self.pointer) or not llama.llama_model_has_decoder(self.pointer):
            self.close()
            raise ModelUnusable(path=path, reason="it does not continue text (an embedding or translation model)")
        self.vocabulary = Vocabulary(llama.llama_model_get_vocab(self.pointer))

    @property
    def trained_context_tokens(self) -> int:
        """Longest sequence the model was trained for."""
        return int(llama.llama_model_n_ctx_train(self.pointer))

    @property
    def parameter_count(self) -> int:
        """Number of weights."""
        return int(llama.llama_model_n_params(self.pointer))

    @property
    def family(self) -> str:
        """The model's base name, or its architecture where the file has no name."""
        return self.metadata("general.basename") or self.architecture

    @property
    def architecture(self) -> str:
        """What llama.cpp calls the model's design, for instance "gemma3"."""
        return self.metadata("general.architecture") or ""

    @property
    def quantization(self) -> str:
        """How the weights are stored, for instance "Q4_K - Medium"."""
        name: bytes = llama.llama_ftype_name(llama.llama_model_ftype(self.pointer))
        return name.decode()

    @property
    def shares_prefixes(self) -> bool:
        """Whether a part of one sequence's memory can serve another; a recurrent state cannot."""
        return not (llama.llama_model_is_recurrent(self.pointer) or llama.llama_model_is_hybrid(self.pointer))

    def metadata(self, key: str) -> str | None:
        """Returns one value of the file's metadata as text, or None if the file has no such key."""
        room = 256
        while True:
            buffer = ctypes.create_string_buffer(room)
            length = llama.llama_model_meta_val_str(self.pointer, key.encode(), buffer, room)
            if length < 0:
                return None
            if length < room:
                return buffer.value.decode("utf-8", errors="replace")
            room = length + 1

    def close(self) -> None:
        """Frees the weights; nothing made from them may be used afterwards."""
        llama.llama_model_free(self.pointer)


def _require_gguf(path: Path) -> None:
    """Refuses what is no model at all, of which llama.cpp would say so in several lines of its own.

    Raises:
        ModelUnusable: The file does not begin as a GGUF file does, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            beginning = file.read(len(_MAGIC))
    except OSError as error:
        raise ModelUnusable(path=path, reason=f"it cannot be read: {error.strerror}") from error
    if beginning != _MAGIC:
        raise ModelUnusable(path=path, reason="it does not begin with GGUF; is it a whole GGUF file?")
