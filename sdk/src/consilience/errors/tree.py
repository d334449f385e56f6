"""The trunk of the error tree, and the details that a refusal carries."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

from consilience.errors.stakes import Stake
from consilience.units import Digest, EncodedEnvelope

ERROR_DOMAIN = "consilience.dev"
"""The domain of every ErrorInfo (ERR-STAT-001)."""


class ConsilienceError(Exception):
    """Is the root of the tree. `remedy` says in one sentence what to do next.

    Attributes:
        stake: Of an ask that is paid for and broke off: whether money moved, and how much at most. None: the ask was
            free, or nothing of it was sent, and no deposit for it.
    """

    remedy: ClassVar[str] = "See the message."
    stake: Stake | None = None

    def __str__(self) -> str:
        return super().__str__() if self.stake is None else f"{super().__str__()}; {self.stake}"


class UsageError(ConsilienceError, ValueError):
    """The caller of the library asked for what cannot be; nothing was sent."""

    remedy = "Correct what the message names."


class AddressInvalidError(UsageError):
    """A node address is none of `cn1…@host:port`, `http(s)://host:port`, `host:port`."""

    remedy = "Write the address as cn1…@host:port, https://host:port, or host:port on this machine."


class KeyFileError(UsageError):
    """A key file is missing, unreadable, readable by others, or holds no key."""

    remedy = (
        "Name a key file with mode 0600. Where there is none, make one with `consilience keys new`; a damaged one has"
        " to come back from a copy, since a new key is somebody else."
    )


class WrongKeyError(UsageError):
    """The key of the client is not the one that may sign what is to be published; nothing was sent."""

    remedy = "Give the key that the message asks for: `Client(key=…)`."


class ForkedError(UsageError):
    """A client made before a fork is used after it, where its connections and threads do not exist."""

    remedy = "Make the client in the process that uses it."


class DataClassForbiddenError(UsageError):
    """The data class of an ask may not go to this node; nothing was sent (ASK-DATA-003)."""

    remedy = "Choose a node whose policy reads this class, and allow it with `Client(trusted_nodes=…)`."


class BudgetExceededError(UsageError):
    """The ask costs more than the budget allows; nothing was sent.

    Attributes:
        sessions: Those at the node in which unspent money is in the way, the most of it first; none: it is not that.
    """

    remedy = (
        "Allow more with `Client(budget=Budget(per_ask=…, per_day=…))`, or ask a node that costs less. An ask that"
        " broke off holds the most that it may cost until it is found out: `client.payments.refresh(session_id)`."
    )

    def __init__(self, message: str, *, sessions: tuple[Digest, ...] = ()) -> None:
        super().__init__(message)
        self.sessions = sessions


class RailMissingError(UsageError):
    """No rail of the client can pay the node, whatever the budget allows; nothing was sent."""

    remedy = "Give the client a rail that the message names, on its network: Client(rails=[…])."


class PaymentsOffError(UsageError):
    """The node takes no payments any more, as its card says, and so tells of no session and pays nothing back."""

    remedy = "Ask whoever runs the node to let it take payments until you have closed your sessions and withdrawn."


class BudgetAssetError(UsageError):
    """The budget is in an asset in which the skill has no price; nothing was sent."""

    remedy = "Give a budget in an asset that the message names, `Client(budget=…)`, or ask a node that takes yours."


class DepositPendingError(UsageError):
    """A session needs money, and none has arrived yet; the ask was not sent.

    Attributes:
        session_id: The session, 32 bytes.
        deposit_id: The deposit, 16 bytes.
        asset: What is counted.
        amount: In units of the asset.
    """

    remedy = "Make the deposit that the message names, or wait for it, and ask again: the same deposit goes on."

    def __init__(self, message: str, *, session_id: Digest, deposit_id: bytes, asset: str, amount: int) -> None:
        super().__init__(message)
        self.session_id = session_id
        self.deposit_id = deposit_id
        self.asset = asset
        self.amount = amount


class TicketBookError(UsageError):
    """The file of a ticket book cannot be read or written, or a newer version of this library made it."""

    remedy = (
        "Update this library if the file is newer; else check its rights, or move it away if it is damaged:"
        " answers whose tickets are lost cannot be reviewed."
    )


class NoRegistryError(UsageError):
    """A node that was named as a registry is none: it keeps no records, and its card does not say that it does."""

    remedy = "Name the address of a registry; the card of one lists the profile registry."


class WalletFileError(UsageError):
    """The file of a wallet cannot be read or written, or a newer version of this library made it."""

    remedy = (
        "Check the file that the message names and the space on its disk, or update the library; never delete a wallet"
        " with open sessions."
    )


class AnswerShapeError(UsageError):
    """The text of an answer does not fit the model or the schema that was asked for. `text` holds it."""

    remedy = "Use the text as it is, or ask a skill whose card says accepts_answer_schema."

    def __init__(self, message: str, *, text: str) -> None:
        super().__init__(message)
        self.text = text


class AnswerTooLargeError(UsageError):
    """The answer grew beyond what the client keeps of one; the ask was cancelled."""

    remedy = "Allow more with `Client(max_answer_bytes=…)`, or ask for less with `max_output_tokens=`."


class ProtocolError(ConsilienceError):
    """The peer broke a requirement of the specification.

    Attributes:
        requirement: The id of the requirement, as in `STRM-LOG-003`.
    """

    remedy = "Do not rely on this node; report the requirement to whoever runs it."

    def __init__(self, message: str, *, requirement: str) -> None:
        super().__init__(f"{message} ({requirement})")
        self.requirement = requirement


class CardTimeError(ProtocolError):
    """A card is from the future, or has expired, by the clock of this machine: one of two clocks may be wrong."""

    remedy = (
        "Compare the clock of this machine with the right time, and set it if it is wrong. If it is right, do not rely"
        " on this node, and tell whoever runs it."
    )


class PaidElsewhereError(ProtocolError):
    """A node charges for an ask that the wallet does not know; where another copy of the wallet paid, it is right."""

    remedy = (
        "Where this wallet came back from a copy, or another machine pays out of one, the node may be right: close the"
        " session, and withdraw what is left. Else do not rely on this node; report the requirement to whoever runs it."
    )


class TransportError(ConsilienceError):
    """The peer did not answer. Whether it acted is not known; the same request id is safe to repeat."""

    remedy = "Try again: the same request id is never executed twice."


class UnreachableError(TransportError):
    """No connection to the node could be made, so nothing was sent."""

    remedy = "Check that the node runs, its address, and the network between."


class ConnectionLostError(TransportError):
    """The connection broke and did not come back in the time allowed. `request_id` resumes the answer."""

    remedy = "Resume with `client.resume(request_id)`: the node keeps the answer."


class FirstTokenTimeoutError(TransportError):
    """No text of the answer came in the time allowed for the first; the node is told to stop."""

    remedy = "Allow more time with `first_token_timeout=`, or ask a node that is less busy."


class AnswerTimeoutError(TransportError):
    """The answer did not come within the time that was waited for it; the node is told to stop."""

    remedy = "Allow more time with `timeout=`, or ask for less with `max_output_tokens=`."


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTime:
    """The node's clock, for a caller whose own differs."""

    server_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitExceeded:
    """The limit that a call would break, by its field name in `Limits`, in that field's unit (durations: ms)."""

    limit: str
    maximum: int
    requested: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Supported:
    """What would have been accepted in a field of the payload."""

    field: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect:
    """The endpoint of the same node that can serve the call."""

    uri: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentRequired:
    """The price of what was asked for: an encoded SignedEnvelope with a quote for the caller."""

    quote: EncodedEnvelope


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionBalance:
    """How a session stands, in units of its asset.

    Attributes:
        available: Up to what a voucher can go.
        required_cumulative: What a voucher would have had to reach, or the call asked for.
        voucher: The payer's highest, as an encoded SignedEnvelope; None: there is none.
    """

    available: int = 0
    required_cumulative: int = 0
    voucher: EncodedEnvelope | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldViolation:
    """One field of the payload that breaks its declared constraint."""

    field: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldViolations:
    """Every field that was found wrong."""

    violations: tuple[FieldViolation, ...]


Detail = ServerTime | LimitExceeded | Supported | Redirect | PaymentRequired | SessionBalance | FieldViolations


class RefusedError(ConsilienceError):
    """The peer said no, and why. Before `Accepted` only: what happens later stands in the answer.

    Attributes:
        reason: The name in the catalogue, without prefix. Match on this, never on the message.
        code: The name of the gRPC status code that goes with it.
        detail: What a program needs to act on it, or None.
        retry_after: How long the peer asks to wait, or None.
    """

    reason: str = ""
    code: str = "UNKNOWN"

    def __init__(self, message: str, *, detail: Detail | None = None, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.detail = detail
        self.retry_after = retry_after


class UnknownReasonError(RefusedError):
    """The peer refused for a reason that this version does not know; `reason` and `code` are as received."""

    remedy = "Update the library, or act on `code`."

    def __init__(
        self,
        message: str,
        *,
        reason: str,
        code: str,
        detail: Detail | None = None,
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(message, detail=detail, retry_after=retry_after)
        self.reason = reason
        self.code = code
