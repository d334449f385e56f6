"""Keeps turn markers in the text of messages from becoming turns on the server.

Servers render a conversation to one string and parse it for markers, so a question with
``<|im_end|>`` in it takes over the conversation. We cannot encode content apart as our own engine
does; what we can do is to break every marker that a known family of models has, with a character
that nobody sees. The text stays readable for the model and for people.
"""

from __future__ import annotations

import re

_INVISIBLE = "\u200b"
_MARKER = re.compile(
    r"<[|\uff5c][^<>\s]{1,64}[|\uff5c]>"  # ChatML, Llama 3, Phi, Zephyr, DeepSeek and their relatives
    r"|<(?:bos|eos|/?s|(?:start|end)_of_turn|\|?turn\|?)>"  # Gemma, Llama 2, Mistral
    r"|\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\]"  # Mistral
    r"|<</?SYS>>"  # Llama 2
)


def break_turn_markers(content: str) -> str:
    """Puts an invisible character into each turn marker of a text."""
    return _MARKER.sub(lambda match: match[0][0] + _INVISIBLE + match[0][1:], content)
