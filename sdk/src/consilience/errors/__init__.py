"""Errors: everything that this library raises on purpose (spec chapter 5).

    ConsilienceError
    ├── UsageError              you asked for what cannot be; nothing was sent
    │   ├── AddressInvalidError, KeyFileError, ForkedError
    │   ├── DataClassForbiddenError     your own allow-list keeps the data here
    │   ├── AnswerShapeError            the answer does not fit your model or schema
    │   └── AnswerTooLargeError         the answer is larger than your client keeps
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
    CODES,
    REFUSALS,
    AnswerSchemaUnsupportedError,
    AnswerUnknownError,
    AudienceWrongError,
    CallExpiredError,
    CallNotYetValidError,
    DataClassRefusedError,
    DeadlinePassedError,
    EnvelopeMalformedError,
    ExtensionUnsupportedError,
    FieldInvalidError,
    GrantInvalidError,
    LimitExceededError,
    MediaTypeUnsupportedError,
    MethodWrongError,
    ModelUnknownError,
    NodeDrainingError,
    NodeFaultError,
    PayloadTypeWrongError,
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
    ERROR_DOMAIN,
    AddressInvalidError,
    AnswerShapeError,
    AnswerTimeoutError,
    AnswerTooLargeError,
    ConnectionLostError,
    ConsilienceError,
    DataClassForbiddenError,
    Detail,
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
    "CODES",
    "ERROR_DOMAIN",
    "REFUSALS",
    "AddressInvalidError",
    "AnswerSchemaUnsupportedError",
    "AnswerShapeError",
    "AnswerTimeoutError",
    "AnswerTooLargeError",
    "AnswerUnknownError",
    "AudienceWrongError",
    "CallExpiredError",
    "CallNotYetValidError",
    "ConnectionLostError",
    "ConsilienceError",
    "DataClassForbiddenError",
    "DataClassRefusedError",
    "DeadlinePassedError",
    "Detail",
    "EnvelopeMalformedError",
    "ExtensionUnsupportedError",
    "FieldInvalidError",
    "FieldViolation",
    "FieldViolations",
    "FirstTokenTimeoutError",
    "ForkedError",
    "GrantInvalidError",
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
