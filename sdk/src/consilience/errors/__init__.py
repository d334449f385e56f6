"""Errors: everything that this library raises on purpose (spec chapter 5).

    ConsilienceError
    ├── UsageError              you asked for what cannot be; nothing was sent
    │   ├── AddressInvalidError, KeyFileError, ForkedError
    │   ├── DataClassForbiddenError     your own allow-list keeps the data here
    │   └── AnswerShapeError            the answer does not fit your model or schema
    ├── ProtocolError           the peer broke a MUST; `requirement` says which
    ├── TransportError          no answer from the peer; nothing is known about what it did
    │   ├── UnreachableError, ConnectionLostError
    │   └── FirstTokenTimeoutError, AnswerTimeoutError
    └── RefusedError            the peer said no; one subclass per reason of the catalogue, below

A server raises the same `RefusedError` subclasses that a client receives. Cancellation is not an error: it stays
`asyncio.CancelledError`.
"""

from __future__ import annotations

from consilience.errors.refusals import (
    AnswerSchemaUnsupportedError,
    AnswerUnknownError,
    AudienceWrongError,
    CODES,
    CallExpiredError,
    CallNotYetValidError,
    DataClassRefusedError,
    DeadlinePassedError,
    EnvelopeMalformedError,
    ExtensionUnsupportedError,
    FieldInvalidError,
    LimitExceededError,
    MediaTypeUnsupportedError,
    MethodWrongError,
    ModelUnknownError,
    NodeDrainingError,
    NodeFaultError,
    PayloadTypeWrongError,
    REFUSALS,
    RequestIdReusedError,
    SequenceUnknownError,
    SignatureInvalidError,
    SignatureMissingError,
    SignerWrongError,
    SkillUnknownError,
    StaleCardError,
    WrongReplicaError,
)
from consilience.errors.tree import (
    AddressInvalidError,
    AnswerShapeError,
    AnswerTimeoutError,
    ConnectionLostError,
    ConsilienceError,
    DataClassForbiddenError,
    Detail,
    ERROR_DOMAIN,
    FieldViolation,
    FieldViolations,
    FirstTokenTimeoutError,
    ForkedError,
    KeyFileError,
    LimitExceeded,
    ProtocolError,
    Redirect,
    RefusedError,
    ServerTime,
    Supported,
    TransportError,
    UnknownReasonError,
    UnreachableError,
    UsageError,
)

__all__ = [
    "AddressInvalidError",
    "AnswerSchemaUnsupportedError",
    "AnswerShapeError",
    "AnswerTimeoutError",
    "AnswerUnknownError",
    "AudienceWrongError",
    "CODES",
    "CallExpiredError",
    "CallNotYetValidError",
    "ConnectionLostError",
    "ConsilienceError",
    "DataClassForbiddenError",
    "DataClassRefusedError",
    "DeadlinePassedError",
    "Detail",
    "ERROR_DOMAIN",
    "EnvelopeMalformedError",
    "ExtensionUnsupportedError",
    "FieldInvalidError",
    "FieldViolation",
    "FieldViolations",
    "FirstTokenTimeoutError",
    "ForkedError",
    "KeyFileError",
    "LimitExceeded",
    "LimitExceededError",
    "MediaTypeUnsupportedError",
    "MethodWrongError",
    "ModelUnknownError",
    "NodeDrainingError",
    "NodeFaultError",
    "PayloadTypeWrongError",
    "ProtocolError",
    "REFUSALS",
    "Redirect",
    "RefusedError",
    "RequestIdReusedError",
    "SequenceUnknownError",
    "ServerTime",
    "SignatureInvalidError",
    "SignatureMissingError",
    "SignerWrongError",
    "SkillUnknownError",
    "StaleCardError",
    "Supported",
    "TransportError",
    "UnknownReasonError",
    "UnreachableError",
    "UsageError",
    "WrongReplicaError",
]
