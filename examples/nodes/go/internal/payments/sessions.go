// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package payments

import (
	"bytes"
	"crypto/sha256"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
	"consilience.dev/examples/units/internal/wire"
)

// session is the account of one payer in one asset (3.3).
type session struct {
	terms       *v1.SessionTerms
	state       *v1.SessionState // its counters, its status and the highest voucher, as they are reported
	running     int              // how many asks it pays for now
	receipts    []receipt
	deposits    map[string]*deposit
	withdrawals map[string]*withdrawal
	commitment  [sha256.Size]byte // to the deposits that were credited (3.4)
	changed     chan struct{}     // closed, and replaced, when there may be more to reserve
}

// receipt is one that was issued, with what an acknowledgement repeats of it.
type receipt struct {
	envelope *v1.SignedEnvelope
	digest   wire.Digest
	spent    int64
}

func (p *Payments) newSession(terms *v1.SessionTerms, id wire.Digest) *session {
	return &session{
		terms: terms,
		state: &v1.SessionState{
			NodeId: p.id(), SigningKey: p.id(), SessionId: id[:],
			Status: v1.SessionStatus_SESSION_STATUS_OPEN, CreditLimit: terms.GetCreditLimit(),
		},
		deposits: map[string]*deposit{}, withdrawals: map[string]*withdrawal{}, changed: make(chan struct{}),
	}
}

// find returns a session of a payer (PAY-SES-003). Needs the mutex.
func (p *Payments) find(payer, id []byte) (*session, error) {
	found := p.sessions[wire.Digest(id)]
	if found == nil || !bytes.Equal(found.terms.GetPayer(), payer) {
		return nil, wire.Refuse(v1.ErrorReason_ERROR_REASON_SESSION_UNKNOWN, "there is no such session")
	}
	return found, nil
}

// available is up to what a voucher can go.
func (s *session) available() int64 {
	return s.state.GetDeposited() + s.state.GetRefunded() - s.state.GetWithdrawn() + s.state.GetCreditLimit()
}

// free is what is authorized, and neither spent nor set aside.
func (s *session) free() int64 {
	return s.state.GetAuthorized() - s.state.GetSpent() - s.state.GetReserved()
}

// withdrawable is what can be paid out (PAY-WDR-001).
func (s *session) withdrawable() int64 {
	promised := s.state.GetAuthorized()
	if s.state.GetStatus() == v1.SessionStatus_SESSION_STATUS_CLOSED {
		promised = s.state.GetSpent()
	}
	return s.available() - s.state.GetCreditLimit() - promised
}

// checkOpen refuses what a session does not take any more once it is closed (PAY-CLS-001).
func (s *session) checkOpen(required int64) error {
	if s.state.GetStatus() == v1.SessionStatus_SESSION_STATUS_OPEN {
		return nil
	}
	return s.refuse(v1.ErrorReason_ERROR_REASON_SESSION_CLOSED, "the session is closed", required)
}

// refuse tells how the session stands, and what would have been required of it.
func (s *session) refuse(reason v1.ErrorReason, message string, required int64) error {
	return wire.Refuse(reason, message, &v1.SessionBalance{
		Available: s.available(), RequiredCumulative: required, Voucher: s.state.GetVoucher(),
	})
}

// openVoucher is step 1 of the way to take a voucher (3.5).
func openVoucher(envelope *v1.SignedEnvelope) (*v1.Voucher, error) {
	voucher := &v1.Voucher{}
	if envelope == nil {
		return nil, wire.Refuse(v1.ErrorReason_ERROR_REASON_ENVELOPE_MALFORMED, "the request carries no voucher")
	}
	if err := wire.Open(envelope, voucher, (*v1.Voucher).GetPayer); err != nil {
		return nil, err
	}
	return voucher, wire.CheckFields(voucher)
}

// take goes on with steps 3 to 5.
func (s *session) take(voucher *v1.Voucher, envelope *v1.SignedEnvelope) error {
	if err := s.checkOpen(voucher.GetCumulative()); err != nil {
		return err
	}
	if voucher.GetCumulative() > s.available() {
		return s.refuse(v1.ErrorReason_ERROR_REASON_BALANCE_TOO_LOW, "there is not so much in the session",
			voucher.GetCumulative())
	}
	if voucher.GetCumulative() > s.state.GetAuthorized() {
		s.state.Authorized, s.state.Voucher = voucher.GetCumulative(), envelope
		s.wake()
	}
	return nil
}

// wake lets answers that stand still look again.
func (s *session) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// closeIfIdle ends a session that takes nothing any more, once nothing runs on it.
func (s *session) closeIfIdle() {
	if s.state.GetStatus() == v1.SessionStatus_SESSION_STATUS_CLOSING && s.running == 0 {
		s.state.Status = v1.SessionStatus_SESSION_STATUS_CLOSED
	}
}
