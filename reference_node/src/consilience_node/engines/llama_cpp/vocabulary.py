"""A model's tokens: from text to tokens, and from tokens to bytes.

Text goes in by one of two doors. *Markup* is what the chat template wrote, and its turn markers
become control tokens. *Content* is what people wrote, and nothing in it ever does.
"""

from __future__ import annotations

import ctypes

from consilience_node.engines.llama_cpp.native import llama

_PIECE_BYTES = 256
_BARE = False  # without special tokens: none added before a text, none written out in a piece


class Vocabulary:
    """Tokens of one loaded model; encoding is safe from any thread.

    Args:
        pointer: the `llama_vocab` of a model that stays loaded.
    """

    def __init__(self, pointer: llama.llama_vocab_p) -> None:
        self.pointer = pointer
        self.size: int = llama.llama_vocab_n_tokens(pointer)
        self._pieces: dict[int, bytes] = {}
        wants_start = llama.llama_vocab_get_add_bos(pointer)
        self.start: tuple[int, ...] = (llama.llama_vocab_bos(pointer),) if wants_start else ()
        """Tokens with which every prompt of this model begins."""

    def encode_markup(self, text: str) -> list[int]:
        """Encodes what a chat template wrote; turn markers become control tokens."""
        return self._encode(text, parse_special=True)

    def encode_content(self, text: str) -> list[int]:
        """Encodes what people wrote; a turn marker in it stays the characters it is.

        llama.cpp makes one exception: tokens that the model file declares "user defined" are
        always parsed. `ChatTemplate` keeps those apart.
        """
        return self._encode(text, parse_special=False)

    def piece(self, token: int) -> bytes:
        """Returns the bytes a token stands for: perhaps a part of a character, none for control."""
        found = self._pieces.get(token)
        if found is None:
            found = self._pieces[token] = self._read_piece(token)
        return found

    def ends_answer(self, token: int) -> bool:
        """Says whether the model ends its turn with this token."""
        return bool(llama.llama_vocab_is_eog(self.pointer, token))

    def is_user_defined(self, token: int) -> bool:
        """Says whether the model file lets this token be parsed even in content."""
        attributes = llama.llama_vocab_get_attr(self.pointer, token)
        return bool(attributes & llama.LLAMA_TOKEN_ATTR_USER_DEFINED)

    def written(self, token: int) -> str:
        """Returns how a marker token is written in a template."""
        raw: bytes = llama.llama_vocab_get_text(self.pointer, token)
        return raw.decode("utf-8", errors="replace")

    def _encode(self, text: str, *, parse_special: bool) -> list[int]:
        data = text.encode("utf-8", errors="replace")
        room = len(data) + 8
        while True:
            tokens = (llama.llama_token * room)()
            count: int = llama.llama_tokenize(self.pointer, data, len(data), tokens, room, _BARE, parse_special)
            if count >= 0:
                return tokens[:count]
            room = -count

    def _read_piece(self, token: int) -> bytes:
        room = _PIECE_BYTES
        while True:
            buffer = ctypes.create_string_buffer(room)
            length: int = llama.llama_token_to_piece(self.pointer, token, buffer, room, 0, _BARE)
            if length >= 0:
                return buffer.raw[:length]
            room = -length
