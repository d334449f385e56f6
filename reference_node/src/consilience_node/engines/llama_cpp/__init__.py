"""The engine that runs a GGUF model in this process, on llama.cpp.

::

    engine.py      the engine, as the event loop sees it
    worker.py      the engine thread, the only one that computes
    runtime.py     what lives on it: model, context, scheduler
    scheduler.py   continuous batching
    cells.py       admission and prefix sharing in the shared context
    context.py     one step of the model
    token_choice.py, grammar.py     from logits to a token
    chat_template.py, vocabulary.py from messages to tokens, without turn-marker injection
    model.py, model_files.py, weights.py, backend.py    the model and its file

Example::

    engine = LlamaCppEngine(LlamaCppOptions(model="smollm2-135m-instruct"))
    await engine.start()
"""

from __future__ import annotations

from consilience_node.engines.llama_cpp.engine import LlamaCppEngine
from consilience_node.engines.llama_cpp.options import LlamaCppOptions

__all__ = ["LlamaCppEngine", "LlamaCppOptions"]
