from google.protobuf import descriptor_pb2 as _descriptor_pb2
from google.rpc import code_pb2 as _code_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from typing import ClassVar as _ClassVar

DESCRIPTOR: _descriptor.FileDescriptor

class ErrorReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ERROR_REASON_UNSPECIFIED: _ClassVar[ErrorReason]
    ERROR_REASON_ENVELOPE_MALFORMED: _ClassVar[ErrorReason]
    ERROR_REASON_PAYLOAD_TYPE_WRONG: _ClassVar[ErrorReason]
    ERROR_REASON_SIGNATURE_MISSING: _ClassVar[ErrorReason]
    ERROR_REASON_SIGNATURE_INVALID: _ClassVar[ErrorReason]
    ERROR_REASON_SIGNER_WRONG: _ClassVar[ErrorReason]
    ERROR_REASON_METHOD_WRONG: _ClassVar[ErrorReason]
    ERROR_REASON_AUDIENCE_WRONG: _ClassVar[ErrorReason]
    ERROR_REASON_CALL_EXPIRED: _ClassVar[ErrorReason]
    ERROR_REASON_CALL_NOT_YET_VALID: _ClassVar[ErrorReason]
    ERROR_REASON_FIELD_INVALID: _ClassVar[ErrorReason]
    ERROR_REASON_REQUEST_ID_REUSED: _ClassVar[ErrorReason]
    ERROR_REASON_EXTENSION_UNSUPPORTED: _ClassVar[ErrorReason]
    ERROR_REASON_STALE_CARD: _ClassVar[ErrorReason]
    ERROR_REASON_SKILL_UNKNOWN: _ClassVar[ErrorReason]
    ERROR_REASON_MODEL_UNKNOWN: _ClassVar[ErrorReason]
    ERROR_REASON_MEDIA_TYPE_UNSUPPORTED: _ClassVar[ErrorReason]
    ERROR_REASON_ANSWER_SCHEMA_UNSUPPORTED: _ClassVar[ErrorReason]
    ERROR_REASON_DATA_CLASS_REFUSED: _ClassVar[ErrorReason]
    ERROR_REASON_DEADLINE_PASSED: _ClassVar[ErrorReason]
    ERROR_REASON_LIMIT_EXCEEDED: _ClassVar[ErrorReason]
    ERROR_REASON_ANSWER_UNKNOWN: _ClassVar[ErrorReason]
    ERROR_REASON_SEQUENCE_UNKNOWN: _ClassVar[ErrorReason]
    ERROR_REASON_WRONG_REPLICA: _ClassVar[ErrorReason]
    ERROR_REASON_NODE_DRAINING: _ClassVar[ErrorReason]
    ERROR_REASON_NODE_FAULT: _ClassVar[ErrorReason]
ERROR_REASON_UNSPECIFIED: ErrorReason
ERROR_REASON_ENVELOPE_MALFORMED: ErrorReason
ERROR_REASON_PAYLOAD_TYPE_WRONG: ErrorReason
ERROR_REASON_SIGNATURE_MISSING: ErrorReason
ERROR_REASON_SIGNATURE_INVALID: ErrorReason
ERROR_REASON_SIGNER_WRONG: ErrorReason
ERROR_REASON_METHOD_WRONG: ErrorReason
ERROR_REASON_AUDIENCE_WRONG: ErrorReason
ERROR_REASON_CALL_EXPIRED: ErrorReason
ERROR_REASON_CALL_NOT_YET_VALID: ErrorReason
ERROR_REASON_FIELD_INVALID: ErrorReason
ERROR_REASON_REQUEST_ID_REUSED: ErrorReason
ERROR_REASON_EXTENSION_UNSUPPORTED: ErrorReason
ERROR_REASON_STALE_CARD: ErrorReason
ERROR_REASON_SKILL_UNKNOWN: ErrorReason
ERROR_REASON_MODEL_UNKNOWN: ErrorReason
ERROR_REASON_MEDIA_TYPE_UNSUPPORTED: ErrorReason
ERROR_REASON_ANSWER_SCHEMA_UNSUPPORTED: ErrorReason
ERROR_REASON_DATA_CLASS_REFUSED: ErrorReason
ERROR_REASON_DEADLINE_PASSED: ErrorReason
ERROR_REASON_LIMIT_EXCEEDED: ErrorReason
ERROR_REASON_ANSWER_UNKNOWN: ErrorReason
ERROR_REASON_SEQUENCE_UNKNOWN: ErrorReason
ERROR_REASON_WRONG_REPLICA: ErrorReason
ERROR_REASON_NODE_DRAINING: ErrorReason
ERROR_REASON_NODE_FAULT: ErrorReason
GRPC_CODE_FIELD_NUMBER: _ClassVar[int]
grpc_code: _descriptor.FieldDescriptor
DETAIL_MESSAGE_FIELD_NUMBER: _ClassVar[int]
detail_message: _descriptor.FieldDescriptor
