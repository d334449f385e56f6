"""The engine that speaks to a server with the OpenAI chat interface.

vLLM, llama-server, Ollama, Ray Serve and many others offer it; the node streams from any of them::

    engine = OpenAIEngine(OpenAIOptions(base_url="http://127.0.0.1:8000/v1", model="qwen3-8b"))
    await engine.start()
"""

from __future__ import annotations

from consilience_node.engines.openai.engine import OpenAIEngine
from consilience_node.engines.openai.options import OpenAIOptions

__all__ = ["OpenAIEngine", "OpenAIOptions"]
