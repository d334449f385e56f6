"""What can be set in `node.toml`: one class per table, one attribute per key.

Units stand in the names. A path is relative to the folder of the file that names it. Every key has a default but the
names: an empty file is a valid configuration of a node that serves the packaged model.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, Field

from consilience.nodes import DataClass, Limits
from consilience.server.payments.offers import MAX_TARIFFS_OF_A_SKILL
from consilience_node.config.payments import PaymentsTable
from consilience_node.config.prices import PriceTable
from consilience_node.config.registries import CardRegistries, RegistryTable
from consilience_node.config.tables import (
    Address,
    Count,
    DataClassName,
    FilePath,
    Language,
    ModelId,
    NameOrPath,
    Seconds,
    Table,
    Tag,
)

DEFAULT_ADDRESS = "127.0.0.1:7341"
DEFAULT_MODEL_ID = "smollm2-135m-instruct"
DEFAULT_SKILL_ID = "chat.general"

MAX_MESSAGE_BYTES = 4 * 1024 * 1024

Prices: TypeAlias = Annotated[tuple[PriceTable, ...], Field(strict=False, max_length=MAX_TARIFFS_OF_A_SKILL)]


class NodeTable(Table):
    """`[node]`: who the node is, where it listens, where it keeps its things.

    Attributes:
        name, description: For people; they stand in the card.
        address: `host:port` to listen on.
        advertise: `host:port` under which others reach it, the preferred one first; `address` when empty.
        state_folder: Holds the key, the answers and the indexes; the user's state folder when absent.
        key_file: Holds the root key; `key` in the state folder when absent.
        store: Where answers are kept: a database in the state folder, or memory, gone with the process.
        replica: Names this process among those that share the state folder; each has a name of its own, and keeps it.
        drain_seconds: How long running asks may take to finish after SIGTERM.
        registries: Addresses of registries, cn1…@host:port; they stand in the card, and each card is brought to them.
    """

    name: Annotated[str, Field(max_length=128)] = ""
    description: Annotated[str, Field(max_length=2048)] = ""
    address: Address = DEFAULT_ADDRESS
    advertise: Annotated[tuple[Address, ...], Field(strict=False, max_length=16)] = ()
    state_folder: FilePath | None = None
    key_file: FilePath | None = None
    store: Literal["sqlite", "memory"] = "sqlite"
    replica: Annotated[str, Field(min_length=1, max_length=64)] = "node"
    drain_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 30.0
    registries: CardRegistries = ()


class TlsTable(Table):
    """`[tls]`: how others can trust the transport; needed wherever they call from another machine.

    Without this table a node that listens on another address than loopback makes itself a pinned certificate.

    Attributes:
        mode: A certificate of the node's own, pinned in the card, or one of a public authority.
        certificate: A PEM file; with "pinned" it is made where there is none, in the state folder when absent.
        key: The PEM file of the private key, with "webpki".
    """

    mode: Literal["pinned", "webpki"] = "pinned"
    certificate: FilePath | None = None
    key: FilePath | None = None


class DataPolicyTable(Table):
    """`[data_policy]`: what the node reads, and where it does so.

    That questions are not stored and not trained on is how this node is built; whether they are forwarded follows
    from its models.

    Attributes:
        max_data_class: public, internal, confidential or restricted.
        jurisdictions: ISO 3166-1 alpha-2 codes.
    """

    max_data_class: DataClassName = DataClass.PUBLIC
    jurisdictions: tuple[Annotated[str, Field(pattern=r"^[A-Z]{2}$")], ...] = Field(default=(), strict=False)


class LimitsTable(Table):
    """`[limits]`: the bounds that the card states; see `Limits` in node.proto for each.

    The bounds on tokens follow from the models where they are absent.
    """

    max_message_bytes: Annotated[int, Field(ge=1, le=MAX_MESSAGE_BYTES)] = 1024 * 1024
    max_turns: Count = 32
    max_input_bytes: Count = 256 * 1024
    max_input_tokens: Count | None = None
    max_output_tokens: Count = 512
    max_running_asks: Count = 32
    max_running_asks_per_caller: Count = 16
    max_run_seconds: Seconds = 300.0
    answer_retention_seconds: Seconds = 24 * 3600.0
    max_readers_per_answer: Count = 64

    def limits(self) -> Limits:
        """Returns them as the card states them."""
        return Limits(
            max_message_bytes=self.max_message_bytes,
            max_turns=self.max_turns,
            max_input_bytes=self.max_input_bytes,
            max_input_tokens=self.max_input_tokens or 0,
            max_output_tokens=self.max_output_tokens,
            max_running_asks=self.max_running_asks,
            max_running_asks_per_caller=self.max_running_asks_per_caller,
            max_run_time=timedelta(seconds=self.max_run_seconds),
            answer_retention=timedelta(seconds=self.answer_retention_seconds),
            max_readers_per_answer=self.max_readers_per_answer,
        )


class LlamaCppModel(Table):
    """`[[models]]` with `engine = "llama_cpp"`: a GGUF model in this process.

    Attributes:
        id: Its name in the card, and what skills call it by.
        weights: Name of a packaged model, or path of a GGUF file; the id when absent.
        chat_template: Template family in place of the one in the file: chatml, gemma and so on.
        context_tokens: What all answers that are made at one time can hold together.
        generations: Answers made at one time; the others wait.
        threads: Threads that compute; one per processor when absent.
        prices: What the skills on it cost that state no price of their own.
    """

    engine: Literal["llama_cpp"]
    id: ModelId
    weights: NameOrPath | None = None
    chat_template: str | None = None
    context_tokens: Count = 8192
    generations: Annotated[int, Field(ge=1, le=64)] = 8
    threads: Count | None = None
    prices: Prices = ()


class OpenAIModel(Table):
    """`[[models]]` with `engine = "openai"`: a model behind a server with the OpenAI chat interface.

    Attributes:
        id: Its name in the card, and what skills call it by.
        base_url: As far as the version: `http://127.0.0.1:8080/v1`.
        name: What the server calls the model; the id when absent.
        api_key_variable: Environment variable that holds the server's key; none is sent when absent.
        context_tokens: Tokens that prompt and answer may have together; absent: what the server says, if it does.
        generations: Answers made at one time; more are refused.
        logprobs: Whether to ask for log probabilities, without which the node cannot tell how sure the model was.
        schema_format: How the server wants a JSON schema: as vLLM and llama-server do, as llama-cpp-python does, or
            not at all.
        prices: What the skills on it cost that state no price of their own.
    """

    engine: Literal["openai"]
    id: ModelId
    base_url: Annotated[str, Field(pattern=r"^https?://[^\s/]+")]
    name: str | None = None
    api_key_variable: str | None = None
    context_tokens: Count | None = None
    generations: Count = 64
    logprobs: bool = True
    schema_format: Literal["json_schema", "json_object", "none"] = "json_schema"
    prices: Prices = ()


class ScriptedModel(Table):
    """`[[models]]` with `engine = "scripted"`: plays a written program; for tests and demonstrations.

    Attributes:
        id: Its name in the card, and what skills call it by.
        script: The programs, a TOML or JSON file.
        prices: What the skills on it cost that state no price of their own.
    """

    engine: Literal["scripted"]
    id: ModelId
    script: FilePath
    prices: Prices = ()


MODEL_TABLES: dict[str, type[BaseModel]] = {
    "llama_cpp": LlamaCppModel,
    "openai": OpenAIModel,
    "scripted": ScriptedModel,
}
"""The table of each engine, by the name of the engine."""

ModelTable: TypeAlias = Annotated[LlamaCppModel | OpenAIModel | ScriptedModel, Field(discriminator="engine")]


class SkillLimitsTable(Table):
    """`[skills.limits]`: bounds of one skill that are tighter than the node's."""

    max_turns: Count | None = None
    max_input_bytes: Count | None = None
    max_input_tokens: Count | None = None
    max_output_tokens: Count | None = None

    def limits(self) -> Limits:
        """Returns them as the card states them."""
        return Limits(
            max_turns=self.max_turns or 0,
            max_input_bytes=self.max_input_bytes or 0,
            max_input_tokens=self.max_input_tokens or 0,
            max_output_tokens=self.max_output_tokens or 0,
        )


class SkillTable(Table):
    """`[[skills]]`: one thing that the node can be asked.

    Attributes:
        id: Its name in the card.
        model: Id of the model that answers.
        knowledge: What it answers from: a folder of Markdown and text files, the `.index` file of a dictionary, or
            the name of an installed dictionary. When absent the model answers from its memory.
        knowledge_uri: What stands before the path of a document where it is cited.
        passages: The most passages that are put before the model.
        system_prompt: What the model is told first, where the skill has no knowledge.
        description, domains, languages: For those who look for a skill; they stand in the card.
        max_data_class: The highest class that it reads, where it is lower than the node's.
        prices: What it costs, the preferred tariff first; when absent, what its model costs; none in the list: nothing.
    """

    id: Tag
    model: ModelId
    knowledge: NameOrPath | None = None
    knowledge_uri: str | None = None
    passages: Annotated[int, Field(ge=1, le=16)] = 3
    system_prompt: str | None = None
    description: Annotated[str, Field(max_length=1024)] = ""
    domains: Annotated[tuple[Tag, ...], Field(strict=False, max_length=32)] = ()
    languages: Annotated[tuple[Language, ...], Field(strict=False, max_length=64)] = ("en",)
    max_data_class: DataClassName | None = None
    limits: SkillLimitsTable = SkillLimitsTable()
    prices: Prices | None = None


class LogsTable(Table):
    """`[logs]`: what is written to standard error; never a question or an answer.

    Attributes:
        format: For a person, or one JSON object per line; "auto" is for a person exactly where one watches.
        level: The least important kind of message that is written.
    """

    format: Literal["auto", "console", "json"] = "auto"
    level: Literal["debug", "info", "warning", "error"] = "info"


class MetricsTable(Table):
    """`[metrics]`: numbers for Prometheus.

    Attributes:
        address: `host:port` of an HTTP server that serves them at `/metrics`; none is started when absent.
    """

    address: Address | None = None


class ConformanceTable(Table):
    """`[conformance]`: whether testers, under a grant of the root key, may write what the node answers.

    Attributes:
        enabled: Serves the skill `conformance.script` behind all others.
    """

    enabled: bool = False


class Config(Table):
    """The whole of `node.toml`."""

    node: NodeTable = NodeTable()
    tls: TlsTable | None = None
    data_policy: DataPolicyTable = DataPolicyTable()
    limits: LimitsTable = LimitsTable()
    models: Annotated[tuple[ModelTable, ...], Field(strict=False)] = (
        LlamaCppModel(engine="llama_cpp", id=DEFAULT_MODEL_ID),
    )
    skills: Annotated[tuple[SkillTable, ...], Field(strict=False)] = (
        SkillTable(id=DEFAULT_SKILL_ID, model=DEFAULT_MODEL_ID),
    )
    payments: PaymentsTable | None = None
    registry: RegistryTable | None = None
    logs: LogsTable = LogsTable()
    metrics: MetricsTable = MetricsTable()
    conformance: ConformanceTable = ConformanceTable()

    def prices_of(self, skill: SkillTable) -> tuple[PriceTable, ...]:
        """Returns what a skill costs: its own prices, else those of its model; none: it is free."""
        if skill.prices is not None:
            return skill.prices
        return next((model.prices for model in self.models if model.id == skill.model), ())
