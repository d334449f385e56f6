"""What can be set about the OpenAI engine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")

SchemaFormat = Literal["json_schema", "json_object", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAIOptions:
    """Settings of one engine.

    Attributes:
        base_url: where the interface begins, usually ending in "/v1".
        model: the server's name of the model; None if it has only one.
        api_key: sent as a bearer token; never logged.
        logprobs: whether to ask for log probabilities; not every server has them.
        schema_format: how the server wants a JSON schema: as OpenAI, vLLM and llama-server do
            ("json_schema"), as llama-cpp-python does ("json_object"), or not at all.
        generations: most generations at once; one more is refused.
        connect_timeout_seconds: longest wait for a connection.
        silence_timeout_seconds: longest wait for the next bytes, the first ones included.
        extra: more fields for every request, for what only one server knows.
        family: what the node says of the model; like the following, None asks the server.
        parameter_count: number of weights.
        quantization: how they are stored.
        weights_sha256: digest of the file, in hexadecimal.
        context_length_tokens: most tokens of prompt and answer together.
    """

    base_url: str
    model: str | None = None
    api_key: str | None = field(default=None, repr=False)
    logprobs: bool = True
    schema_format: SchemaFormat = "json_schema"
    generations: int = 64
    connect_timeout_seconds: float = 5.0
    silence_timeout_seconds: float = 120.0
    extra: Mapping[str, object] = field(default_factory=dict)
    family: str | None = None
    parameter_count: int | None = None
    quantization: str | None = None
    weights_sha256: str | None = None
    context_length_tokens: int | None = None

    def __post_init__(self) -> None:
        if not self.base_url.startswith(("http://", "https://")):
            raise ValueError("base_url must begin with http:// or https://")
        if self.generations < 1:
            raise ValueError("generations must be at least 1")
        if self.connect_timeout_seconds <= 0 or self.silence_timeout_seconds <= 0:
            raise ValueError("connect_timeout_seconds and silence_timeout_seconds must be above 0")
        if self.weights_sha256 is not None and not _SHA256.fullmatch(self.weights_sha256):
            raise ValueError("weights_sha256 must be 64 hexadecimal digits")
