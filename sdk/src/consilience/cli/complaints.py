"""Complaints: an error in the words of the command line, for people and for machines."""

from typing import Any

from consilience.cli.jsonable import jsonable
from consilience.errors import (
    AnswerTimeoutError,
    AnswerTooLargeError,
    AnswerUnknownError,
    BudgetAssetError,
    BudgetExceededError,
    ConnectionLostError,
    ConsilienceError,
    DataClassForbiddenError,
    Detail,
    FieldViolations,
    FirstTokenTimeoutError,
    LimitExceeded,
    PaymentRequired,
    ProtocolError,
    RailMissingError,
    Redirect,
    RefusedError,
    ServerTime,
    SessionBalance,
    SessionClosedError,
    SessionUnknownError,
    Supported,
    WithdrawalInvalidError,
    WrongKeyError,
)

_REMEDIES: dict[type[ConsilienceError], str] = {
    DataClassForbiddenError: "Choose a node whose policy reads this class, and allow it with --trust.",
    WrongKeyError: "Name the file of the key that the message asks for: --key.",
    SessionUnknownError: "A node without a database forgets its sessions when it restarts: the next ask opens another.",
    SessionClosedError: (
        "The next ask opens another session; what is left in this one comes back with `consilience sessions withdraw`."
    ),
    BudgetAssetError: "Give --budget in an asset that the message names, or ask a node that takes yours.",
    RailMissingError: "Agree to pay on the network that the message names, with --network, or ask another node.",
    BudgetExceededError: (
        "Allow more with --budget (for the day: --day-budget), or ask a node that costs less. An ask that broke off"
        " holds the most that it may cost until it is found out: `consilience sessions state`."
    ),
    AnswerTooLargeError: "Ask for less with --max-output-tokens.",
    ConnectionLostError: "See whether the node still runs, and ask again.",
    FirstTokenTimeoutError: "Allow more time with --first-token-timeout, or ask a node that is less busy.",
    AnswerTimeoutError: "Allow more time with --timeout, or ask for less with --max-output-tokens.",
    AnswerUnknownError: "Ask again: the node no longer has the answer.",
}
"""Where the remedy of the library is a line of Python."""


def remedy_of(error: type[ConsilienceError]) -> str:
    """Returns what to do next, in the options of the command line."""
    return _REMEDIES.get(error, error.remedy)


def complaint(error: ConsilienceError) -> str:
    """Returns an error as a person reads it: what happened, what to do, and what would be accepted."""
    name = error.reason if isinstance(error, RefusedError) else type(error).__name__.removesuffix("Error")
    lines = [f"{name}: {error}", remedy_of(type(error))]
    if isinstance(error, RefusedError) and error.detail is not None and not isinstance(error, WithdrawalInvalidError):
        lines += _words(error.detail)  # that of a withdrawal has said its amounts already
    return "\n".join(lines)


def complaint_facts(error: ConsilienceError) -> dict[str, Any]:
    """Returns an error as an object of JSON."""
    facts: dict[str, Any] = {"type": type(error).__name__, "message": str(error), "remedy": remedy_of(type(error))}
    if isinstance(error, RefusedError):
        detail = error.detail
        kind = {"type": type(detail).__name__}
        facts |= {"reason": error.reason, "code": error.code, "detail": detail and kind | jsonable(detail)}
    if isinstance(error, ProtocolError):
        facts["requirement"] = error.requirement
    if isinstance(error, BudgetExceededError):
        facts["sessions"] = [session_id.hex() for session_id in error.sessions]
    if error.stake is not None:
        facts["stake"] = jsonable(error.stake) | {"money_moved": error.stake.money_moved}
    return facts


def _words(detail: Detail) -> list[str]:
    match detail:
        case Supported(field=field, values=values):
            return [f"{field}: {', '.join(values) or 'none is accepted'}"]
        case LimitExceeded(limit=limit, maximum=maximum, requested=requested):
            return [f"{limit}: {maximum} at most, {requested} asked for"]
        case ServerTime(server_time=moment):
            return [f"the clock of the node: {moment:%F %T} UTC"]
        case Redirect(uri=uri):
            return [f"the endpoint to call: {uri}"]
        case PaymentRequired():
            return ["the node sent its price along"]
        case SessionBalance(required_cumulative=0):
            return []  # no voucher was wanted
        case SessionBalance(available=available, required_cumulative=required):
            return [f"a voucher can go up to {available}, and {required} was wanted, in units of the session's asset"]
        case FieldViolations(violations=violations):
            return [f"{violation.field}: {violation.description}" for violation in violations]
