import datetime

from consilience.v1 import envelope_pb2 as _envelope_pb2
from consilience.v1 import node_pb2 as _node_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Role(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ROLE_UNSPECIFIED: _ClassVar[Role]
    ROLE_ASKER: _ClassVar[Role]
    ROLE_NODE: _ClassVar[Role]

class OnDisconnect(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ON_DISCONNECT_UNSPECIFIED: _ClassVar[OnDisconnect]
    ON_DISCONNECT_CONTINUE: _ClassVar[OnDisconnect]
    ON_DISCONNECT_CANCEL: _ClassVar[OnDisconnect]

class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OUTCOME_UNSPECIFIED: _ClassVar[Outcome]
    OUTCOME_ANSWERED: _ClassVar[Outcome]
    OUTCOME_ABSTAINED: _ClassVar[Outcome]
    OUTCOME_NEEDS_CLARIFICATION: _ClassVar[Outcome]
    OUTCOME_REFUSED: _ClassVar[Outcome]
    OUTCOME_TRUNCATED: _ClassVar[Outcome]
    OUTCOME_CANCELLED: _ClassVar[Outcome]
    OUTCOME_FAILED: _ClassVar[Outcome]

class StopReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STOP_REASON_UNSPECIFIED: _ClassVar[StopReason]
    STOP_REASON_COMPLETE: _ClassVar[StopReason]
    STOP_REASON_OUTPUT_LIMIT: _ClassVar[StopReason]
    STOP_REASON_CANCELLED: _ClassVar[StopReason]
    STOP_REASON_DEADLINE: _ClassVar[StopReason]
    STOP_REASON_DISCONNECTED: _ClassVar[StopReason]
    STOP_REASON_ENGINE_FAILURE: _ClassVar[StopReason]
    STOP_REASON_INTERRUPTED: _ClassVar[StopReason]
    STOP_REASON_POLICY: _ClassVar[StopReason]
    STOP_REASON_NO_KNOWLEDGE: _ClassVar[StopReason]
    STOP_REASON_LOW_CONFIDENCE: _ClassVar[StopReason]

class DroppedSide(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DROPPED_SIDE_UNSPECIFIED: _ClassVar[DroppedSide]
    DROPPED_SIDE_START: _ClassVar[DroppedSide]
    DROPPED_SIDE_MIDDLE: _ClassVar[DroppedSide]
    DROPPED_SIDE_END: _ClassVar[DroppedSide]
ROLE_UNSPECIFIED: Role
ROLE_ASKER: Role
ROLE_NODE: Role
ON_DISCONNECT_UNSPECIFIED: OnDisconnect
ON_DISCONNECT_CONTINUE: OnDisconnect
ON_DISCONNECT_CANCEL: OnDisconnect
OUTCOME_UNSPECIFIED: Outcome
OUTCOME_ANSWERED: Outcome
OUTCOME_ABSTAINED: Outcome
OUTCOME_NEEDS_CLARIFICATION: Outcome
OUTCOME_REFUSED: Outcome
OUTCOME_TRUNCATED: Outcome
OUTCOME_CANCELLED: Outcome
OUTCOME_FAILED: Outcome
STOP_REASON_UNSPECIFIED: StopReason
STOP_REASON_COMPLETE: StopReason
STOP_REASON_OUTPUT_LIMIT: StopReason
STOP_REASON_CANCELLED: StopReason
STOP_REASON_DEADLINE: StopReason
STOP_REASON_DISCONNECTED: StopReason
STOP_REASON_ENGINE_FAILURE: StopReason
STOP_REASON_INTERRUPTED: StopReason
STOP_REASON_POLICY: StopReason
STOP_REASON_NO_KNOWLEDGE: StopReason
STOP_REASON_LOW_CONFIDENCE: StopReason
DROPPED_SIDE_UNSPECIFIED: DroppedSide
DROPPED_SIDE_START: DroppedSide
DROPPED_SIDE_MIDDLE: DroppedSide
DROPPED_SIDE_END: DroppedSide

class Ask(_message.Message):
    __slots__ = ("header", "skill_id", "card_digest", "turns", "data_class", "limits", "answer_schema", "on_disconnect", "allow_truncation", "model_id")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    SKILL_ID_FIELD_NUMBER: _ClassVar[int]
    CARD_DIGEST_FIELD_NUMBER: _ClassVar[int]
    TURNS_FIELD_NUMBER: _ClassVar[int]
    DATA_CLASS_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    ANSWER_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    ON_DISCONNECT_FIELD_NUMBER: _ClassVar[int]
    ALLOW_TRUNCATION_FIELD_NUMBER: _ClassVar[int]
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    header: _envelope_pb2.CallHeader
    skill_id: str
    card_digest: bytes
    turns: _containers.RepeatedCompositeFieldContainer[Turn]
    data_class: _node_pb2.DataClass
    limits: AskLimits
    answer_schema: str
    on_disconnect: OnDisconnect
    allow_truncation: bool
    model_id: str
    def __init__(self, header: _Optional[_Union[_envelope_pb2.CallHeader, _Mapping]] = ..., skill_id: _Optional[str] = ..., card_digest: _Optional[bytes] = ..., turns: _Optional[_Iterable[_Union[Turn, _Mapping]]] = ..., data_class: _Optional[_Union[_node_pb2.DataClass, str]] = ..., limits: _Optional[_Union[AskLimits, _Mapping]] = ..., answer_schema: _Optional[str] = ..., on_disconnect: _Optional[_Union[OnDisconnect, str]] = ..., allow_truncation: bool = ..., model_id: _Optional[str] = ...) -> None: ...

class Turn(_message.Message):
    __slots__ = ("role", "parts")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    role: Role
    parts: _containers.RepeatedCompositeFieldContainer[Part]
    def __init__(self, role: _Optional[_Union[Role, str]] = ..., parts: _Optional[_Iterable[_Union[Part, _Mapping]]] = ...) -> None: ...

class Part(_message.Message):
    __slots__ = ("text", "blob")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    BLOB_FIELD_NUMBER: _ClassVar[int]
    text: str
    blob: Blob
    def __init__(self, text: _Optional[str] = ..., blob: _Optional[_Union[Blob, _Mapping]] = ...) -> None: ...

class Blob(_message.Message):
    __slots__ = ("media_type", "data")
    MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    media_type: str
    data: bytes
    def __init__(self, media_type: _Optional[str] = ..., data: _Optional[bytes] = ...) -> None: ...

class AskLimits(_message.Message):
    __slots__ = ("max_output_tokens", "max_hidden_tokens", "deadline")
    MAX_OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    MAX_HIDDEN_TOKENS_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_FIELD_NUMBER: _ClassVar[int]
    max_output_tokens: int
    max_hidden_tokens: int
    deadline: _timestamp_pb2.Timestamp
    def __init__(self, max_output_tokens: _Optional[int] = ..., max_hidden_tokens: _Optional[int] = ..., deadline: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class AskRequest(_message.Message):
    __slots__ = ("ask",)
    ASK_FIELD_NUMBER: _ClassVar[int]
    ask: _envelope_pb2.SignedEnvelope
    def __init__(self, ask: _Optional[_Union[_envelope_pb2.SignedEnvelope, _Mapping]] = ...) -> None: ...

class AskResponse(_message.Message):
    __slots__ = ("event",)
    EVENT_FIELD_NUMBER: _ClassVar[int]
    event: AnswerEvent
    def __init__(self, event: _Optional[_Union[AnswerEvent, _Mapping]] = ...) -> None: ...

class ResumeAnswerRequest(_message.Message):
    __slots__ = ("call",)
    CALL_FIELD_NUMBER: _ClassVar[int]
    call: _envelope_pb2.SignedEnvelope
    def __init__(self, call: _Optional[_Union[_envelope_pb2.SignedEnvelope, _Mapping]] = ...) -> None: ...

class ResumeAnswerCall(_message.Message):
    __slots__ = ("header", "ask_request_id", "after_sequence")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    ASK_REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    header: _envelope_pb2.CallHeader
    ask_request_id: bytes
    after_sequence: int
    def __init__(self, header: _Optional[_Union[_envelope_pb2.CallHeader, _Mapping]] = ..., ask_request_id: _Optional[bytes] = ..., after_sequence: _Optional[int] = ...) -> None: ...

class ResumeAnswerResponse(_message.Message):
    __slots__ = ("event",)
    EVENT_FIELD_NUMBER: _ClassVar[int]
    event: AnswerEvent
    def __init__(self, event: _Optional[_Union[AnswerEvent, _Mapping]] = ...) -> None: ...

class GetAnswerRequest(_message.Message):
    __slots__ = ("call",)
    CALL_FIELD_NUMBER: _ClassVar[int]
    call: _envelope_pb2.SignedEnvelope
    def __init__(self, call: _Optional[_Union[_envelope_pb2.SignedEnvelope, _Mapping]] = ...) -> None: ...

class GetAnswerCall(_message.Message):
    __slots__ = ("header", "ask_request_id")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    ASK_REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    header: _envelope_pb2.CallHeader
    ask_request_id: bytes
    def __init__(self, header: _Optional[_Union[_envelope_pb2.CallHeader, _Mapping]] = ..., ask_request_id: _Optional[bytes] = ...) -> None: ...

class GetAnswerResponse(_message.Message):
    __slots__ = ("last_sequence", "text", "final", "keep_until_time")
    LAST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    FINAL_FIELD_NUMBER: _ClassVar[int]
    KEEP_UNTIL_TIME_FIELD_NUMBER: _ClassVar[int]
    last_sequence: int
    text: str
    final: Final
    keep_until_time: _timestamp_pb2.Timestamp
    def __init__(self, last_sequence: _Optional[int] = ..., text: _Optional[str] = ..., final: _Optional[_Union[Final, _Mapping]] = ..., keep_until_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CancelAnswerRequest(_message.Message):
    __slots__ = ("call",)
    CALL_FIELD_NUMBER: _ClassVar[int]
    call: _envelope_pb2.SignedEnvelope
    def __init__(self, call: _Optional[_Union[_envelope_pb2.SignedEnvelope, _Mapping]] = ...) -> None: ...

class CancelAnswerCall(_message.Message):
    __slots__ = ("header", "ask_request_id")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    ASK_REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    header: _envelope_pb2.CallHeader
    ask_request_id: bytes
    def __init__(self, header: _Optional[_Union[_envelope_pb2.CallHeader, _Mapping]] = ..., ask_request_id: _Optional[bytes] = ...) -> None: ...

class CancelAnswerResponse(_message.Message):
    __slots__ = ("final",)
    FINAL_FIELD_NUMBER: _ClassVar[int]
    final: Final
    def __init__(self, final: _Optional[_Union[Final, _Mapping]] = ...) -> None: ...

class AnswerEvent(_message.Message):
    __slots__ = ("sequence", "accepted", "text_delta", "citation", "progress", "gap", "final")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    TEXT_DELTA_FIELD_NUMBER: _ClassVar[int]
    CITATION_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    GAP_FIELD_NUMBER: _ClassVar[int]
    FINAL_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    accepted: Accepted
    text_delta: TextDelta
    citation: Citation
    progress: Progress
    gap: Gap
    final: Final
    def __init__(self, sequence: _Optional[int] = ..., accepted: _Optional[_Union[Accepted, _Mapping]] = ..., text_delta: _Optional[_Union[TextDelta, _Mapping]] = ..., citation: _Optional[_Union[Citation, _Mapping]] = ..., progress: _Optional[_Union[Progress, _Mapping]] = ..., gap: _Optional[_Union[Gap, _Mapping]] = ..., final: _Optional[_Union[Final, _Mapping]] = ...) -> None: ...

class Accepted(_message.Message):
    __slots__ = ("ask_digest", "accept_time")
    ASK_DIGEST_FIELD_NUMBER: _ClassVar[int]
    ACCEPT_TIME_FIELD_NUMBER: _ClassVar[int]
    ask_digest: bytes
    accept_time: _timestamp_pb2.Timestamp
    def __init__(self, ask_digest: _Optional[bytes] = ..., accept_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class TextDelta(_message.Message):
    __slots__ = ("first_sequence", "text")
    FIRST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    first_sequence: int
    text: str
    def __init__(self, first_sequence: _Optional[int] = ..., text: _Optional[str] = ...) -> None: ...

class Citation(_message.Message):
    __slots__ = ("answer_span", "document", "answer_digest")
    ANSWER_SPAN_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    ANSWER_DIGEST_FIELD_NUMBER: _ClassVar[int]
    answer_span: ByteSpan
    document: DocumentSource
    answer_digest: bytes
    def __init__(self, answer_span: _Optional[_Union[ByteSpan, _Mapping]] = ..., document: _Optional[_Union[DocumentSource, _Mapping]] = ..., answer_digest: _Optional[bytes] = ...) -> None: ...

class DocumentSource(_message.Message):
    __slots__ = ("uri", "title", "digest", "place", "retrieval_time", "quote")
    URI_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    PLACE_FIELD_NUMBER: _ClassVar[int]
    RETRIEVAL_TIME_FIELD_NUMBER: _ClassVar[int]
    QUOTE_FIELD_NUMBER: _ClassVar[int]
    uri: str
    title: str
    digest: bytes
    place: ByteSpan
    retrieval_time: _timestamp_pb2.Timestamp
    quote: str
    def __init__(self, uri: _Optional[str] = ..., title: _Optional[str] = ..., digest: _Optional[bytes] = ..., place: _Optional[_Union[ByteSpan, _Mapping]] = ..., retrieval_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., quote: _Optional[str] = ...) -> None: ...

class ByteSpan(_message.Message):
    __slots__ = ("start_byte", "end_byte")
    START_BYTE_FIELD_NUMBER: _ClassVar[int]
    END_BYTE_FIELD_NUMBER: _ClassVar[int]
    start_byte: int
    end_byte: int
    def __init__(self, start_byte: _Optional[int] = ..., end_byte: _Optional[int] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("message", "done_milli")
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    DONE_MILLI_FIELD_NUMBER: _ClassVar[int]
    message: str
    done_milli: int
    def __init__(self, message: _Optional[str] = ..., done_milli: _Optional[int] = ...) -> None: ...

class Gap(_message.Message):
    __slots__ = ("first_sequence", "detail")
    FIRST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    first_sequence: int
    detail: str
    def __init__(self, first_sequence: _Optional[int] = ..., detail: _Optional[str] = ...) -> None: ...

class Final(_message.Message):
    __slots__ = ("answer",)
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    answer: _envelope_pb2.SignedEnvelope
    def __init__(self, answer: _Optional[_Union[_envelope_pb2.SignedEnvelope, _Mapping]] = ...) -> None: ...

class Answer(_message.Message):
    __slots__ = ("node_id", "signing_key", "card_digest", "ask_digest", "outcome", "stop_reason", "charged", "detail", "transcript_digest", "transcript_bytes", "final_sequence", "confidence", "citations", "model", "intake", "usage", "accept_time", "finish_time")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    SIGNING_KEY_FIELD_NUMBER: _ClassVar[int]
    CARD_DIGEST_FIELD_NUMBER: _ClassVar[int]
    ASK_DIGEST_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    STOP_REASON_FIELD_NUMBER: _ClassVar[int]
    CHARGED_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    TRANSCRIPT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    TRANSCRIPT_BYTES_FIELD_NUMBER: _ClassVar[int]
    FINAL_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    CITATIONS_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    INTAKE_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    ACCEPT_TIME_FIELD_NUMBER: _ClassVar[int]
    FINISH_TIME_FIELD_NUMBER: _ClassVar[int]
    node_id: bytes
    signing_key: bytes
    card_digest: bytes
    ask_digest: bytes
    outcome: Outcome
    stop_reason: StopReason
    charged: bool
    detail: str
    transcript_digest: bytes
    transcript_bytes: int
    final_sequence: int
    confidence: Confidence
    citations: _containers.RepeatedCompositeFieldContainer[Citation]
    model: _node_pb2.Model
    intake: Intake
    usage: Usage
    accept_time: _timestamp_pb2.Timestamp
    finish_time: _timestamp_pb2.Timestamp
    def __init__(self, node_id: _Optional[bytes] = ..., signing_key: _Optional[bytes] = ..., card_digest: _Optional[bytes] = ..., ask_digest: _Optional[bytes] = ..., outcome: _Optional[_Union[Outcome, str]] = ..., stop_reason: _Optional[_Union[StopReason, str]] = ..., charged: bool = ..., detail: _Optional[str] = ..., transcript_digest: _Optional[bytes] = ..., transcript_bytes: _Optional[int] = ..., final_sequence: _Optional[int] = ..., confidence: _Optional[_Union[Confidence, _Mapping]] = ..., citations: _Optional[_Iterable[_Union[Citation, _Mapping]]] = ..., model: _Optional[_Union[_node_pb2.Model, _Mapping]] = ..., intake: _Optional[_Union[Intake, _Mapping]] = ..., usage: _Optional[_Union[Usage, _Mapping]] = ..., accept_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., finish_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Confidence(_message.Message):
    __slots__ = ("p_correct", "lower", "upper", "method", "sample_count", "calibration_digest")
    P_CORRECT_FIELD_NUMBER: _ClassVar[int]
    LOWER_FIELD_NUMBER: _ClassVar[int]
    UPPER_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_COUNT_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_DIGEST_FIELD_NUMBER: _ClassVar[int]
    p_correct: float
    lower: float
    upper: float
    method: str
    sample_count: int
    calibration_digest: bytes
    def __init__(self, p_correct: _Optional[float] = ..., lower: _Optional[float] = ..., upper: _Optional[float] = ..., method: _Optional[str] = ..., sample_count: _Optional[int] = ..., calibration_digest: _Optional[bytes] = ...) -> None: ...

class Intake(_message.Message):
    __slots__ = ("prompt_tokens_received", "prompt_tokens_used", "prompt_tokens_dropped", "dropped_side", "retrieval_strategy", "chunks")
    PROMPT_TOKENS_RECEIVED_FIELD_NUMBER: _ClassVar[int]
    PROMPT_TOKENS_USED_FIELD_NUMBER: _ClassVar[int]
    PROMPT_TOKENS_DROPPED_FIELD_NUMBER: _ClassVar[int]
    DROPPED_SIDE_FIELD_NUMBER: _ClassVar[int]
    RETRIEVAL_STRATEGY_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    prompt_tokens_received: int
    prompt_tokens_used: int
    prompt_tokens_dropped: int
    dropped_side: DroppedSide
    retrieval_strategy: str
    chunks: _containers.RepeatedCompositeFieldContainer[RetrievedChunk]
    def __init__(self, prompt_tokens_received: _Optional[int] = ..., prompt_tokens_used: _Optional[int] = ..., prompt_tokens_dropped: _Optional[int] = ..., dropped_side: _Optional[_Union[DroppedSide, str]] = ..., retrieval_strategy: _Optional[str] = ..., chunks: _Optional[_Iterable[_Union[RetrievedChunk, _Mapping]]] = ...) -> None: ...

class RetrievedChunk(_message.Message):
    __slots__ = ("document", "score", "used")
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    USED_FIELD_NUMBER: _ClassVar[int]
    document: DocumentSource
    score: float
    used: bool
    def __init__(self, document: _Optional[_Union[DocumentSource, _Mapping]] = ..., score: _Optional[float] = ..., used: bool = ...) -> None: ...

class Usage(_message.Message):
    __slots__ = ("input_tokens", "cached_input_tokens", "output_tokens", "hidden_tokens", "output_bytes", "duration")
    INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    CACHED_INPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_TOKENS_FIELD_NUMBER: _ClassVar[int]
    HIDDEN_TOKENS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_BYTES_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    input_tokens: int
    cached_input_tokens: int
    output_tokens: int
    hidden_tokens: int
    output_bytes: int
    duration: _duration_pb2.Duration
    def __init__(self, input_tokens: _Optional[int] = ..., cached_input_tokens: _Optional[int] = ..., output_tokens: _Optional[int] = ..., hidden_tokens: _Optional[int] = ..., output_bytes: _Optional[int] = ..., duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...
