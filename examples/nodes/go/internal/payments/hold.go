// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package payments

import (
	"bytes"
	"crypto/sha256"
	"time"

	"google.golang.org/protobuf/types/known/anypb"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
	"consilience.dev/examples/units/internal/wire"
)

const (
	holdLife = time.Hour
	// grantedDeposits bounds what one payer is given, in deposits of the highest amount.
	grantedDeposits = 10
)

// deposit is one that was asked for.
type deposit struct {
	instruction *v1.DepositInstruction
	credited    bool
}

// withdrawal is one that was paid out.
type withdrawal struct {
	amount int64
	detail *anypb.Any
}

// start tells how to make a deposit. Prepaid, the node gives it: on a network of no value there is nothing to pay with.
func (p *Payments) start(s *session, depositID []byte, amount int64, now time.Time) (*deposit, error) {
	instruction := &v1.DepositInstruction{
		DepositId: depositID, Amount: amount, ExpireTime: wire.Instant(now.Add(holdLife)),
	}
	if s.terms.GetBacking() == v1.Backing_BACKING_PREPAID {
		payer := string(s.terms.GetPayer())
		if p.granted[payer]+amount > grantedDeposits*p.rail.GetMaxDeposit() {
			return nil, depositInvalid("this payer was given enough")
		}
		detail, err := p.signedDetail(&v1.Hold{
			Issuer: p.id(), SessionId: s.state.GetSessionId(), DepositId: depositID, Amount: amount,
			ExpireTime: instruction.GetExpireTime(),
		})
		if err != nil {
			return nil, err
		}
		instruction.Detail = detail
		p.granted[payer] += amount
	}
	return &deposit{instruction: instruction}, nil
}

// credit checks a hold, and counts its deposit once.
func (s *session) credit(made *deposit, proof *anypb.Any, now time.Time) error {
	envelope, hold := &v1.SignedEnvelope{}, &v1.Hold{}
	err := proof.UnmarshalTo(envelope)
	if err == nil {
		err = wire.Open(envelope, hold, (*v1.Hold).GetIssuer)
	}
	if err == nil {
		err = wire.CheckFields(hold)
	}
	switch {
	case err != nil:
		return depositInvalid("the proof is no hold")
	case !bytes.Equal(hold.GetIssuer(), s.terms.GetIssuer()), !bytes.Equal(hold.GetSessionId(), s.state.GetSessionId()),
		!bytes.Equal(hold.GetDepositId(), made.instruction.GetDepositId()),
		hold.GetAmount() != made.instruction.GetAmount():
		return depositInvalid("the hold is of another issuer, session, deposit or amount")
	case made.credited:
		return nil
	case now.After(hold.GetExpireTime().AsTime()):
		return depositInvalid("the hold has expired")
	}
	made.credited = true
	s.state.Deposited += hold.GetAmount()
	reference := wire.DigestOf(envelope)
	s.commitment = sha256.Sum256(append(s.commitment[:], reference[:]...))
	return nil
}

// release gives part of the promises back.
func (p *Payments) release(s *session, withdrawalID []byte, amount int64) (*withdrawal, error) {
	detail, err := p.signedDetail(&v1.HoldRelease{
		NodeId: p.id(), SigningKey: p.id(), SessionId: s.state.GetSessionId(),
		WithdrawalId: withdrawalID, Amount: amount,
	})
	if err != nil {
		return nil, err
	}
	if s.terms.GetBacking() == v1.Backing_BACKING_PREPAID {
		p.granted[string(s.terms.GetPayer())] -= amount
	}
	s.state.Withdrawn += amount
	return &withdrawal{amount: amount, detail: detail}, nil
}

func depositInvalid(why string) error {
	return wire.Refuse(v1.ErrorReason_ERROR_REASON_DEPOSIT_INVALID, why)
}
