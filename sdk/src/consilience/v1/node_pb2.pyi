import datetime

from consilience.v1 import envelope_pb2 as _envelope_pb2
from google.protobuf import any_pb2 as _any_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Profile(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PROFILE_UNSPECIFIED: _ClassVar[Profile]
    PROFILE_CORE: _ClassVar[Profile]
    PROFILE_DURABLE: _ClassVar[Profile]

class TlsMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TLS_MODE_UNSPECIFIED: _ClassVar[TlsMode]
    TLS_MODE_WEBPKI: _ClassVar[TlsMode]
    TLS_MODE_PINNED: _ClassVar[TlsMode]
    TLS_MODE_LOOPBACK_PLAIN: _ClassVar[TlsMode]

class DataClass(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DATA_CLASS_UNSPECIFIED: _ClassVar[DataClass]
    DATA_CLASS_PUBLIC: _ClassVar[DataClass]
    DATA_CLASS_INTERNAL: _ClassVar[DataClass]
    DATA_CLASS_CONFIDENTIAL: _ClassVar[DataClass]
    DATA_CLASS_RESTRICTED: _ClassVar[DataClass]
PROFILE_UNSPECIFIED: Profile
PROFILE_CORE: Profile
PROFILE_DURABLE: Profile
TLS_MODE_UNSPECIFIED: TlsMode
TLS_MODE_WEBPKI: TlsMode
TLS_MODE_PINNED: TlsMode
TLS_MODE_LOOPBACK_PLAIN: TlsMode
DATA_CLASS_UNSPECIFIED: DataClass
DATA_CLASS_PUBLIC: DataClass
DATA_CLASS_INTERNAL: DataClass
DATA_CLASS_CONFIDENTIAL: DataClass
DATA_CLASS_RESTRICTED: DataClass

class NodeCard(_message.Message):
    __slots__ = ("node_id", "sequence", "expire_time", "name", "description", "next_root_digest", "signing_keys", "endpoints", "skills", "models", "limits", "data_policy", "profiles", "extensions")
    class ExtensionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _any_pb2.Any
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_any_pb2.Any, _Mapping]] = ...) -> None: ...
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    NEXT_ROOT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    SIGNING_KEYS_FIELD_NUMBER: _ClassVar[int]
    ENDPOINTS_FIELD_NUMBER: _ClassVar[int]
    SKILLS_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    DATA_POLICY_FIELD_NUMBER: _ClassVar[int]
    PROFILES_FIELD_NUMBER: _ClassVar[int]
    EXTENSIONS_FIELD_NUMBER: _ClassVar[int]
    node_id: bytes
    sequence: int
    expire_time: _timestamp_pb2.Timestamp
    name: str
    description: str
    next_root_digest: bytes
    signing_keys: _containers.RepeatedCompositeFieldContainer[SigningKey]
    endpoints: _containers.RepeatedCompositeFieldContainer[Endpoint]
    skills: _containers.RepeatedCompositeFieldContainer[Skill]
    models: _containers.RepeatedCompositeFieldContainer[Model]
    limits: Limits
    data_policy: DataPolicy
    profiles: _containers.RepeatedScalarFieldContainer[Profile]
    extensions: _containers.MessageMap[str, _any_pb2.Any]
    def __init__(self, node_id: _Optional[bytes] = ..., sequence: _Optional[int] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., name: _Optional[str] = ..., description: _Optional[str] = ..., next_root_digest: _Optional[bytes] = ..., signing_keys: _Optional[_Iterable[_Union[SigningKey, _Mapping]]] = ..., endpoints: _Optional[_Iterable[_Union[Endpoint, _Mapping]]] = ..., skills: _Optional[_Iterable[_Union[Skill, _Mapping]]] = ..., models: _Optional[_Iterable[_Union[Model, _Mapping]]] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ..., data_policy: _Optional[_Union[DataPolicy, _Mapping]] = ..., profiles: _Optional[_Iterable[_Union[Profile, str]]] = ..., extensions: _Optional[_Mapping[str, _any_pb2.Any]] = ...) -> None: ...

class KeySuccession(_message.Message):
    __slots__ = ("old_node_id", "acceptance")
    OLD_NODE_ID_FIELD_NUMBER: _ClassVar[int]
    ACCEPTANCE_FIELD_NUMBER: _ClassVar[int]
    old_node_id: bytes
    acceptance: _envelope_pb2.SignedEnvelope
    def __init__(self, old_node_id: _Optional[bytes] = ..., acceptance: _Optional[_Union[_envelope_pb2.SignedEnvelope, _Mapping]] = ...) -> None: ...

class KeyAcceptance(_message.Message):
    __slots__ = ("old_node_id", "new_node_id", "issue_time")
    OLD_NODE_ID_FIELD_NUMBER: _ClassVar[int]
    NEW_NODE_ID_FIELD_NUMBER: _ClassVar[int]
    ISSUE_TIME_FIELD_NUMBER: _ClassVar[int]
    old_node_id: bytes
    new_node_id: bytes
    issue_time: _timestamp_pb2.Timestamp
    def __init__(self, old_node_id: _Optional[bytes] = ..., new_node_id: _Optional[bytes] = ..., issue_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class GetNodeCardRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetNodeCardResponse(_message.Message):
    __slots__ = ("card", "successions")
    CARD_FIELD_NUMBER: _ClassVar[int]
    SUCCESSIONS_FIELD_NUMBER: _ClassVar[int]
    card: _envelope_pb2.SignedEnvelope
    successions: _containers.RepeatedCompositeFieldContainer[_envelope_pb2.SignedEnvelope]
    def __init__(self, card: _Optional[_Union[_envelope_pb2.SignedEnvelope, _Mapping]] = ..., successions: _Optional[_Iterable[_Union[_envelope_pb2.SignedEnvelope, _Mapping]]] = ...) -> None: ...

class SigningKey(_message.Message):
    __slots__ = ("public_key", "expire_time")
    PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    public_key: bytes
    expire_time: _timestamp_pb2.Timestamp
    def __init__(self, public_key: _Optional[bytes] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Endpoint(_message.Message):
    __slots__ = ("uri", "tls_mode", "spki_sha256", "next_spki_sha256")
    URI_FIELD_NUMBER: _ClassVar[int]
    TLS_MODE_FIELD_NUMBER: _ClassVar[int]
    SPKI_SHA256_FIELD_NUMBER: _ClassVar[int]
    NEXT_SPKI_SHA256_FIELD_NUMBER: _ClassVar[int]
    uri: str
    tls_mode: TlsMode
    spki_sha256: bytes
    next_spki_sha256: bytes
    def __init__(self, uri: _Optional[str] = ..., tls_mode: _Optional[_Union[TlsMode, str]] = ..., spki_sha256: _Optional[bytes] = ..., next_spki_sha256: _Optional[bytes] = ...) -> None: ...

class Skill(_message.Message):
    __slots__ = ("id", "description", "domains", "languages", "input_media_types", "output_media_type", "input_schema", "output_schema", "accepts_answer_schema", "gives_citations", "gives_confidence", "gives_intake", "model_ids", "limits", "max_data_class", "measured_quality", "knowledge_time")
    ID_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    DOMAINS_FIELD_NUMBER: _ClassVar[int]
    LANGUAGES_FIELD_NUMBER: _ClassVar[int]
    INPUT_MEDIA_TYPES_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    INPUT_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    ACCEPTS_ANSWER_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    GIVES_CITATIONS_FIELD_NUMBER: _ClassVar[int]
    GIVES_CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    GIVES_INTAKE_FIELD_NUMBER: _ClassVar[int]
    MODEL_IDS_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    MAX_DATA_CLASS_FIELD_NUMBER: _ClassVar[int]
    MEASURED_QUALITY_FIELD_NUMBER: _ClassVar[int]
    KNOWLEDGE_TIME_FIELD_NUMBER: _ClassVar[int]
    id: str
    description: str
    domains: _containers.RepeatedScalarFieldContainer[str]
    languages: _containers.RepeatedScalarFieldContainer[str]
    input_media_types: _containers.RepeatedScalarFieldContainer[str]
    output_media_type: str
    input_schema: str
    output_schema: str
    accepts_answer_schema: bool
    gives_citations: bool
    gives_confidence: bool
    gives_intake: bool
    model_ids: _containers.RepeatedScalarFieldContainer[str]
    limits: Limits
    max_data_class: DataClass
    measured_quality: _containers.RepeatedCompositeFieldContainer[MeasuredQuality]
    knowledge_time: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., description: _Optional[str] = ..., domains: _Optional[_Iterable[str]] = ..., languages: _Optional[_Iterable[str]] = ..., input_media_types: _Optional[_Iterable[str]] = ..., output_media_type: _Optional[str] = ..., input_schema: _Optional[str] = ..., output_schema: _Optional[str] = ..., accepts_answer_schema: bool = ..., gives_citations: bool = ..., gives_confidence: bool = ..., gives_intake: bool = ..., model_ids: _Optional[_Iterable[str]] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ..., max_data_class: _Optional[_Union[DataClass, str]] = ..., measured_quality: _Optional[_Iterable[_Union[MeasuredQuality, _Mapping]]] = ..., knowledge_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Model(_message.Message):
    __slots__ = ("id", "family", "parameter_count", "quantization", "weights_digest", "context_length_tokens", "adapters", "engine")
    ID_FIELD_NUMBER: _ClassVar[int]
    FAMILY_FIELD_NUMBER: _ClassVar[int]
    PARAMETER_COUNT_FIELD_NUMBER: _ClassVar[int]
    QUANTIZATION_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_DIGEST_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_LENGTH_TOKENS_FIELD_NUMBER: _ClassVar[int]
    ADAPTERS_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    id: str
    family: str
    parameter_count: int
    quantization: str
    weights_digest: bytes
    context_length_tokens: int
    adapters: _containers.RepeatedScalarFieldContainer[str]
    engine: str
    def __init__(self, id: _Optional[str] = ..., family: _Optional[str] = ..., parameter_count: _Optional[int] = ..., quantization: _Optional[str] = ..., weights_digest: _Optional[bytes] = ..., context_length_tokens: _Optional[int] = ..., adapters: _Optional[_Iterable[str]] = ..., engine: _Optional[str] = ...) -> None: ...

class Limits(_message.Message):
    __slots__ = ("max_message_bytes", "max_turns", "max_input_bytes", "max_input_tokens", "max_output_tokens", "max_running_asks", "max_running_asks_per_caller", "max_run_time", "answer_retention", "max_readers_per_answer")
    MAX_MESSAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_TURNS_FIELD_NUMBER: _ClassVar[int]
    MAX_INPUT_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    MAX_OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    MAX_RUNNING_ASKS_FIELD_NUMBER: _ClassVar[int]
    MAX_RUNNING_ASKS_PER_CALLER_FIELD_NUMBER: _ClassVar[int]
    MAX_RUN_TIME_FIELD_NUMBER: _ClassVar[int]
    ANSWER_RETENTION_FIELD_NUMBER: _ClassVar[int]
    MAX_READERS_PER_ANSWER_FIELD_NUMBER: _ClassVar[int]
    max_message_bytes: int
    max_turns: int
    max_input_bytes: int
    max_input_tokens: int
    max_output_tokens: int
    max_running_asks: int
    max_running_asks_per_caller: int
    max_run_time: _duration_pb2.Duration
    answer_retention: _duration_pb2.Duration
    max_readers_per_answer: int
    def __init__(self, max_message_bytes: _Optional[int] = ..., max_turns: _Optional[int] = ..., max_input_bytes: _Optional[int] = ..., max_input_tokens: _Optional[int] = ..., max_output_tokens: _Optional[int] = ..., max_running_asks: _Optional[int] = ..., max_running_asks_per_caller: _Optional[int] = ..., max_run_time: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., answer_retention: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., max_readers_per_answer: _Optional[int] = ...) -> None: ...

class DataPolicy(_message.Message):
    __slots__ = ("max_data_class", "stores_asks", "trains_on_asks", "forwards_asks", "jurisdictions")
    MAX_DATA_CLASS_FIELD_NUMBER: _ClassVar[int]
    STORES_ASKS_FIELD_NUMBER: _ClassVar[int]
    TRAINS_ON_ASKS_FIELD_NUMBER: _ClassVar[int]
    FORWARDS_ASKS_FIELD_NUMBER: _ClassVar[int]
    JURISDICTIONS_FIELD_NUMBER: _ClassVar[int]
    max_data_class: DataClass
    stores_asks: bool
    trains_on_asks: bool
    forwards_asks: bool
    jurisdictions: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, max_data_class: _Optional[_Union[DataClass, str]] = ..., stores_asks: bool = ..., trains_on_asks: bool = ..., forwards_asks: bool = ..., jurisdictions: _Optional[_Iterable[str]] = ...) -> None: ...

class MeasuredQuality(_message.Message):
    __slots__ = ("dataset_name", "dataset_digest", "sample_count", "score_milli", "calibration_digest")
    DATASET_NAME_FIELD_NUMBER: _ClassVar[int]
    DATASET_DIGEST_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_COUNT_FIELD_NUMBER: _ClassVar[int]
    SCORE_MILLI_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_DIGEST_FIELD_NUMBER: _ClassVar[int]
    dataset_name: str
    dataset_digest: bytes
    sample_count: int
    score_milli: int
    calibration_digest: bytes
    def __init__(self, dataset_name: _Optional[str] = ..., dataset_digest: _Optional[bytes] = ..., sample_count: _Optional[int] = ..., score_milli: _Optional[int] = ..., calibration_digest: _Optional[bytes] = ...) -> None: ...
