"""From a conversation to the tokens a model was trained to continue.

A chat template usually renders one string, which is then parsed for turn markers; whoever writes
``<|im_end|>`` into a question takes over the conversation. Here the template renders placeholders,
and the texts of the messages are encoded apart from it, as content. So a marker in a message is
only ever the characters it is made of.

llama.cpp recognises some fifty families of templates (`llama_chat_apply_template`). Those without
a system role, like Gemma's, get the system text at the head of the first user turn.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from consilience_node.engines.errors import ModelUnusable
from consilience_node.engines.interface import Message, Role
from consilience_node.engines.llama_cpp.model import Model
from consilience_node.engines.llama_cpp.native import llama

_PLACEHOLDER = "\x02{index}\x03"
_PLACEHOLDERS = re.compile("\x02(\\d+)\x03")
_TEMPLATE_OF_ARCHITECTURE = {"gemma": "gemma", "gemma2": "gemma", "gemma3": "gemma"}
_SAMPLE = tuple(Message(role=role, content="") for role in (Role.SYSTEM, Role.USER, Role.ASSISTANT, Role.USER))


class ChatTemplate:
    """The chat template of one model.

    Args:
        model: the model, whose file usually carries the template.
        override: name of a family ("chatml", "gemma", "llama3", ...) or source of a template, to
            use in place of the file's own.

    Raises:
        ModelUnusable: there is no template, or none that llama.cpp knows.
    """

    def __init__(self, model: Model, *, override: str | None = None) -> None:
        self._path = model.path
        self._vocabulary = model.vocabulary
        self._source = override or _source_of(model)
        self._always_parsed = self._find_always_parsed()

    def encode(self, messages: Sequence[Message]) -> list[int]:
        """Encodes a conversation up to the point where the assistant begins to speak."""
        tokens = list(self._vocabulary.start)
        turns = _merged(messages)
        for text, content in self._fragments(turns):
            if content is None:
                tokens += self._vocabulary.encode_markup(text)
            else:
                for part in self._harmless_parts(turns[content].content):
                    tokens += self._vocabulary.encode_content(part)
        return tokens

    def _fragments(self, turns: Sequence[Message]) -> Iterator[tuple[str, int | None]]:
        """Yields the template's own text, and between it the index of the turn that belongs there.

        Yields:
            `(markup, None)` or `("", index of the turn)`.
        """
        parts = _PLACEHOLDERS.split(_apply(self._source, turns, path=self._path))
        if [int(index) for index in parts[1::2]] != list(range(len(turns))):
            raise ModelUnusable(
                path=self._path,
                reason="its chat template drops or reorders turns; set `chat_template`",
            )
        for position, part in enumerate(parts):
            if position % 2:
                yield "", int(part)
            elif part:
                yield part, None

    def _find_always_parsed(self) -> re.Pattern[str] | None:
        """Finds the template's markers that llama.cpp would parse even in content."""
        markup = "".join(text for text, _ in self._fragments(_SAMPLE))
        markers = {
            self._vocabulary.written(token)
            for token in self._vocabulary.encode_markup(markup)
            if self._vocabulary.is_user_defined(token)
        }
        longest_first = sorted(filter(str.strip, markers), key=len, reverse=True)
        return re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def _harmless_parts(self, content: str) -> Iterator[str]:
        """Cuts content inside each marker that would be parsed, so that no part has a whole one."""
        start = 0
        while self._always_parsed and (match := self._always_parsed.search(content, start)):
            yield content[start : match.start() + 1]
            start = match.start() + 1
        yield content[start:]


def _source_of(model: Model) -> str:
    source = model.metadata("tokenizer.chat_template")
    source = source or _TEMPLATE_OF_ARCHITECTURE.get(model.architecture)
    if source is None:
        raise ModelUnusable(
            path=model.path,
            reason="the file has no chat template; name its family in `chat_template`",
        )
    return source


def _merged(messages: Sequence[Message]) -> list[Message]:
    """Joins neighbours of the same role: many models demand that the roles alternate."""
    return [
        Message(role=role, content="\n\n".join(message.content for message in group))
        for role, group in groupby(messages, key=lambda message: message.role)
    ]


def _apply(source: str, turns: Sequence[Message], *, path: Path) -> str:
    """Lets llama.cpp render the template around one placeholder per turn."""
    chat = (llama.llama_chat_message * len(turns))()
    for index, turn in enumerate(turns):
        chat[index].role = turn.role.value.encode()
        chat[index].content = _PLACEHOLDER.format(index=index).encode()
    room = 256 * (len(turns) + 1)
    while True:
        buffer = ctypes.create_string_buffer(room)
        begin_answer = True
        length = llama.llama_chat_apply_template(source.encode(), chat, len(turns), begin_answer, buffer, room)
        if length < 0:
            raise ModelUnusable(
                path=path,
                reason="llama.cpp does not know its chat template; name one in `chat_template`: "
                + ", ".join(known_templates()),
            )
        if length <= room:
            return buffer.raw[:length].decode()
        room = length


def known_templates() -> list[str]:
    """Returns the names of the template families that llama.cpp knows."""
    count: int = llama.llama_chat_builtin_templates(None, 0)
    names = (ctypes.c_char_p * count)()
    llama.llama_chat_builtin_templates(names, count)
    return sorted(name.decode() for name in names if name)
