"""Engines: what computes the words of an answer.

Three stand behind one interface: `llama_cpp` runs a GGUF model in this process, `openai` speaks to
any server with the OpenAI chat interface, and `scripted` plays a written program for tests. Import
the one you need from its own module; importing this package loads none of them.
"""

from __future__ import annotations

from consilience_node.engines.errors import (
    ContextTooLong,
    EngineError,
    EngineOverloaded,
    EngineUnavailable,
    ModelNotFound,
    ModelUnusable,
    RequestRejected,
    SchemaUnsupported,
)
from consilience_node.engines.interface import (
    Completion,
    Engine,
    Message,
    ModelInfo,
    Piece,
    Prompt,
    Role,
    Sampling,
    StopCause,
)

__all__ = [
    "Completion",
    "ContextTooLong",
    "Engine",
    "EngineError",
    "EngineOverloaded",
    "EngineUnavailable",
    "Message",
    "ModelInfo",
    "ModelNotFound",
    "ModelUnusable",
    "Piece",
    "Prompt",
    "RequestRejected",
    "Role",
    "Sampling",
    "SchemaUnsupported",
    "StopCause",
]
