"""Refusals: one subclass of `RefusedError` per reason of the catalogue (error_reason.proto), in its order."""

from __future__ import annotations

from consilience.errors.tree import RefusedError


class EnvelopeMalformedError(RefusedError):
    """The envelope cannot be read."""

    reason = "ENVELOPE_MALFORMED"
    code = "INVALID_ARGUMENT"
    remedy = "Send a SignedEnvelope whose payload parses as its payload_type."


class PayloadTypeWrongError(RefusedError):
    """The envelope carries another type than the call takes."""

    reason = "PAYLOAD_TYPE_WRONG"
    code = "INVALID_ARGUMENT"
    remedy = "Sign the message that the method takes."


class SignatureMissingError(RefusedError):
    """The signature is absent."""

    reason = "SIGNATURE_MISSING"
    code = "UNAUTHENTICATED"
    remedy = "Sign the envelope."


class SignatureInvalidError(RefusedError):
    """The signature does not verify under the strict rules."""

    reason = "SIGNATURE_INVALID"
    code = "UNAUTHENTICATED"
    remedy = "Sign PAE(payload_type, payload) with the key in public_key."


class SignerWrongError(RefusedError):
    """The signer is not the key that the payload names."""

    reason = "SIGNER_WRONG"
    code = "UNAUTHENTICATED"
    remedy = "Sign with the key that the payload names."


class MethodWrongError(RefusedError):
    """The header names another method."""

    reason = "METHOD_WRONG"
    code = "INVALID_ARGUMENT"
    remedy = "Put the full name of the method called into header.method."


class AudienceWrongError(RefusedError):
    """The header names another node."""

    reason = "AUDIENCE_WRONG"
    code = "INVALID_ARGUMENT"
    remedy = "Fetch the card of the node and sign for its node id."


class CallExpiredError(RefusedError):
    """The header has expired by the node's clock."""

    reason = "CALL_EXPIRED"
    code = "FAILED_PRECONDITION"
    remedy = "Sign a fresh header; compare your clock with the server time."


class CallNotYetValidError(RefusedError):
    """The header was issued in the future by the node's clock."""

    reason = "CALL_NOT_YET_VALID"
    code = "FAILED_PRECONDITION"
    remedy = "Set your clock; compare it with the server time."


class FieldInvalidError(RefusedError):
    """A field breaks its declared constraint."""

    reason = "FIELD_INVALID"
    code = "INVALID_ARGUMENT"
    remedy = "Correct the fields that the detail lists."


class RequestIdReusedError(RefusedError):
    """The request id is bound to another payload."""

    reason = "REQUEST_ID_REUSED"
    code = "ALREADY_EXISTS"
    remedy = "Use a new request id for a new question."


class ExtensionUnsupportedError(RefusedError):
    """A required extension is not known to the node."""

    reason = "EXTENSION_UNSUPPORTED"
    code = "FAILED_PRECONDITION"
    remedy = "Leave the extension out, or choose a node whose card lists it."


class StaleCardError(RefusedError):
    """The node does not honour the card that the ask relies on."""

    reason = "STALE_CARD"
    code = "FAILED_PRECONDITION"
    remedy = "Fetch the card again and sign the ask anew."


class SkillUnknownError(RefusedError):
    """The node has no such skill."""

    reason = "SKILL_UNKNOWN"
    code = "NOT_FOUND"
    remedy = "Choose one of the skills that the detail lists."


class ModelUnknownError(RefusedError):
    """The skill has no such model."""

    reason = "MODEL_UNKNOWN"
    code = "NOT_FOUND"
    remedy = "Choose one of the models that the detail lists, or none."


class MediaTypeUnsupportedError(RefusedError):
    """The skill does not read parts of this media type."""

    reason = "MEDIA_TYPE_UNSUPPORTED"
    code = "INVALID_ARGUMENT"
    remedy = "Send one of the media types that the detail lists."


class AnswerSchemaUnsupportedError(RefusedError):
    """The skill takes no schema for the answer, or not this one."""

    reason = "ANSWER_SCHEMA_UNSUPPORTED"
    code = "INVALID_ARGUMENT"
    remedy = "Ask without a schema, or a skill whose card says accepts_answer_schema."


class DataClassRefusedError(RefusedError):
    """The data class of the ask is above what the node reads."""

    reason = "DATA_CLASS_REFUSED"
    code = "FAILED_PRECONDITION"
    remedy = "Choose a node whose data policy reads this class."


class DeadlinePassedError(RefusedError):
    """The deadline of the ask has passed."""

    reason = "DEADLINE_PASSED"
    code = "FAILED_PRECONDITION"
    remedy = "Set a deadline that lies ahead of the server time."


class LimitExceededError(RefusedError):
    """A declared limit would be broken."""

    reason = "LIMIT_EXCEEDED"
    code = "RESOURCE_EXHAUSTED"
    remedy = "Stay within the limit that the detail names, or wait where it counts running work."


class AnswerUnknownError(RefusedError):
    """The caller has no such answer."""

    reason = "ANSWER_UNKNOWN"
    code = "NOT_FOUND"
    remedy = "Check the request id and the key; answers are kept for the card's answer_retention."


class SequenceUnknownError(RefusedError):
    """The log has not reached the sequence to read on from."""

    reason = "SEQUENCE_UNKNOWN"
    code = "OUT_OF_RANGE"
    remedy = "Resume from the sequence of the last event received."


class WrongReplicaError(RefusedError):
    """Another replica of the node runs this answer."""

    reason = "WRONG_REPLICA"
    code = "UNAVAILABLE"
    remedy = "Call the endpoint that the detail names."


class NodeDrainingError(RefusedError):
    """The node is shutting down and takes no new asks."""

    reason = "NODE_DRAINING"
    code = "UNAVAILABLE"
    remedy = "Try again after retry_after, or ask another node."


class NodeFaultError(RefusedError):
    """The node failed before it accepted the ask."""

    reason = "NODE_FAULT"
    code = "UNKNOWN"
    remedy = "Try again under the same request id, or ask another node."


class GrantInvalidError(RefusedError):
    """The ask needs a grant, and carries none that holds."""

    reason = "GRANT_INVALID"
    code = "PERMISSION_DENIED"
    remedy = "Ask the operator of the node for a grant for your key; one holds for an hour at most."


class PaymentRequiredError(RefusedError):
    """The ask costs something, and names no payment; the detail carries the price."""

    reason = "PAYMENT_REQUIRED"
    code = "FAILED_PRECONDITION"
    remedy = "Pay the price that the detail carries, or ask a free skill."


class QuoteInvalidError(RefusedError):
    """The quote does not hold for this ask, or not any more."""

    reason = "QUOTE_INVALID"
    code = "FAILED_PRECONDITION"
    remedy = "Get a new quote for this skill, model and card, and sign the ask anew."


class SessionUnknownError(RefusedError):
    """The payer has no such session."""

    reason = "SESSION_UNKNOWN"
    code = "NOT_FOUND"
    remedy = "Open a session with this key; a node without a database forgets its sessions when it restarts."


class SessionClosedError(RefusedError):
    """The session takes no asks, deposits or vouchers any more."""

    reason = "SESSION_CLOSED"
    code = "FAILED_PRECONDITION"
    remedy = "Open another session, with a salt of its own."


class TermsRefusedError(RefusedError):
    """The terms are none that the card offers."""

    reason = "TERMS_REFUSED"
    code = "FAILED_PRECONDITION"
    remedy = "Take rail, network, asset and backing from the card, and no more credit than it lends."


class BalanceTooLowError(RefusedError):
    """The session cannot cover what was asked of it."""

    reason = "BALANCE_TOO_LOW"
    code = "FAILED_PRECONDITION"
    remedy = "Send a higher voucher, after a deposit where `available` is too low."


class DepositInvalidError(RefusedError):
    """The session has no such deposit, or its proof does not hold."""

    reason = "DEPOSIT_INVALID"
    code = "INVALID_ARGUMENT"
    remedy = "Start the deposit with OpenSession, and prove the same one, with the amount that was agreed on."


class WithdrawalInvalidError(RefusedError):
    """The withdrawal is more than can be paid out, or its id stands for another one."""

    reason = "WITHDRAWAL_INVALID"
    code = "FAILED_PRECONDITION"
    remedy = "Ask for no more than was deposited and is not promised to the node; close the session to free the rest."


class ReceiptUnknownError(RefusedError):
    """The session has no such receipt."""

    reason = "RECEIPT_UNKNOWN"
    code = "NOT_FOUND"
    remedy = "Acknowledge a receipt that ListReceipts brings, with its session_spent."


class RecordUnknownError(RefusedError):
    """The registry has no such record."""

    reason = "RECORD_UNKNOWN"
    code = "NOT_FOUND"
    remedy = "Ask another registry; a record that was retracted or has ended is nowhere."


class RecordNotYetValidError(RefusedError):
    """The record was issued in the future by the registry's clock."""

    reason = "RECORD_NOT_YET_VALID"
    code = "FAILED_PRECONDITION"
    remedy = "Set the clock of whoever signs; compare it with the server time."


class RecordExpiredError(RefusedError):
    """The record is not kept any longer."""

    reason = "RECORD_EXPIRED"
    code = "FAILED_PRECONDITION"
    remedy = "Issue a new one; a review is made within 730 days of its answer."


class SigningKeyUnknownError(RefusedError):
    """No card shows that the key signs for the node."""

    reason = "SIGNING_KEY_UNKNOWN"
    code = "FAILED_PRECONDITION"
    remedy = "Publish the record with the card that lists the key."


class TicketInvalidError(RefusedError):
    """The ticket does not open for this reviewer, or is none that can be reviewed with."""

    reason = "TICKET_INVALID"
    code = "INVALID_ARGUMENT"
    remedy = "Review with the key and the salt that the ask committed to."


class TicketUsedError(RefusedError):
    """There is another review with this ticket."""

    reason = "TICKET_USED"
    code = "ALREADY_EXISTS"
    remedy = "A review stays as it was published; it can be retracted, once and for all."


class RecordRetractedError(RefusedError):
    """Its author has taken it back."""

    reason = "RECORD_RETRACTED"
    code = "FAILED_PRECONDITION"
    remedy = "Review another answer; what was retracted stays so."


class SuccessionInvalidError(RefusedError):
    """The new root key is not the one that was committed to, or another one has succeeded already."""

    reason = "SUCCESSION_INVALID"
    code = "FAILED_PRECONDITION"
    remedy = "Hand over to the key that the card commits to; if another one has succeeded, the old key was stolen."


class KeyRetiredError(RefusedError):
    """The node has gone over to another root key before this was signed for it."""

    reason = "KEY_RETIRED"
    code = "FAILED_PRECONDITION"
    remedy = "Sign with the root key that succeeded; what was said of the earlier one is answered by nobody any more."


class CursorInvalidError(RefusedError):
    """The page token or cursor is none of this registry."""

    reason = "CURSOR_INVALID"
    code = "INVALID_ARGUMENT"
    remedy = "Begin again without one."


REFUSALS: dict[str, type[RefusedError]] = {
    refusal.reason: refusal for refusal in RefusedError.__subclasses__() if refusal.reason
}
"""The class of each reason, derived from the tree."""

CODES: dict[str, str] = {reason: refusal.code for reason, refusal in REFUSALS.items()}
"""The gRPC code of each reason, derived from the tree."""
