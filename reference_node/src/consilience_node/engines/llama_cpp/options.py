"""What can be set about the llama.cpp engine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DEFAULT_MODEL = "smollm2-135m-instruct"
MAX_GENERATIONS = 128  # llama.cpp has 256 sequences, and each generation may leave one idle


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaCppOptions:
    """Settings of one engine.

    Attributes:
        model: name of a packaged model, or path of a GGUF file.
        chat_template: template family ("chatml", "gemma", ...) in place of the file's own.
        context_tokens: tokens that all generations together can hold.
        generations: most generations at once.
        queued_generations: most generations that wait; one more is refused.
        threads: threads that compute; None for one per processor.
        batch_tokens: most tokens of one step of the model.
        idle_tokens: most tokens kept after their answer, for a prompt that begins in the same way.
        cache_directory: where joined models and digests of weights are kept; None for the user's.
    """

    model: str | Path = DEFAULT_MODEL
    chat_template: str | None = None
    context_tokens: int = 8192
    generations: int = 8
    queued_generations: int = 32
    threads: int | None = None
    batch_tokens: int = 256
    idle_tokens: int = 1024
    cache_directory: Path | None = None

    def __post_init__(self) -> None:
        for name in ("context_tokens", "generations", "batch_tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")
        for name in ("queued_generations", "idle_tokens"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative")
        if self.threads is not None and self.threads < 1:
            raise ValueError("threads must be at least 1")
        if self.generations > MAX_GENERATIONS:
            raise ValueError(f"generations must be at most {MAX_GENERATIONS}")
        if self.batch_tokens <= self.generations:
            raise ValueError("batch_tokens must be more than generations")
