"""States: what a node tells of a session, held against the rules that its counters keep (PAY-SES-001, PAY-SES-004)."""

from __future__ import annotations

from consilience._wire.envelopes import open_envelope
from consilience.calls import MAX_CLOCK_SKEW
from consilience.client.peers import held_to_protocol
from consilience.envelopes import Signed
from consilience.errors import ProtocolError
from consilience.nodes import NodeCard
from consilience.payments import Account, CardOutdatedError, SessionState, SessionStatus, Voucher
from consilience.payments.sessions import AccountError
from consilience.units import Digest, PublicKey


def check_state(state: Signed[SessionState], *, session_id: Digest, card: NodeCard, payer: PublicKey) -> None:
    """Checks the state of a session by itself.

    Args:
        state: What the node sent, its signature verified.
        session_id: The session that was asked about.
        card: That of the node.
        payer: Whose session it is.

    Raises:
        ProtocolError: It is of another session or node, its counters do not fit, or the voucher is not the payer's.
            `CardOutdatedError`: no key of the card has signed it.
    """
    value = state.value
    if value.session_id != session_id or value.node_id != card.node_id:
        raise ProtocolError("the state is of another session or node", requirement="PAY-SES-004")
    if not card.may_sign(value.signing_key, at=value.issue_time):
        raise CardOutdatedError("the state is signed by a key that the card does not list", requirement="PAY-SES-004")
    closed = value.status is SessionStatus.CLOSED
    try:
        Account(
            deposited=value.deposited,
            credit_limit=value.credit_limit,
            authorized=value.spent if closed else value.authorized,
            spent=value.spent,
            reserved=value.reserved,
            refunded=value.refunded,
            withdrawn=value.withdrawn,
        )
    except AccountError as error:
        raise ProtocolError(f"the counters of the session do not fit: {error}", requirement="PAY-SES-001") from error
    if voucher_in(state, payer=payer) < (0 if closed else value.authorized):
        raise ProtocolError("the state tells more authority than its voucher gives", requirement="PAY-SES-004")


def is_later(state: SessionState, *, than: SessionState) -> bool:
    """Tells whether a state is of a later moment than another of its session.

    The counters that never fall say so, whatever the clock of the node does, and those of its replicas; where they are
    the same, `issue_time` does. One that has less counts as later only where no clock explains that it was issued so
    much later: its node has lost what it told before.
    """
    mine, other = _progress(state), _progress(than)
    if mine != other:
        return mine > other or state.issue_time - than.issue_time > 2 * MAX_CLOCK_SKEW
    return state.issue_time >= than.issue_time


def _progress(state: SessionState) -> tuple[int, ...]:
    """Returns what never falls while a session goes on; a session that ends gives authority back, and stays ended."""
    counters = state.deposited, state.spent, state.refunded, state.receipt_count
    return *counters, state.status, state.authorized


def voucher_in(state: Signed[SessionState], *, payer: PublicKey) -> int:
    """Returns the `cumulative` of the payer's own voucher in a state; zero: there is none.

    Raises:
        ProtocolError: It is not the payer's, or for another session.
    """
    if state.value.voucher is None:
        return 0
    with held_to_protocol():
        voucher = open_envelope(state.value.voucher, Voucher).value
    if voucher.payer != payer or voucher.session_id != state.value.session_id:
        raise ProtocolError("the voucher of the state is another payer's or session's", requirement="PAY-SES-004")
    return voucher.cumulative
