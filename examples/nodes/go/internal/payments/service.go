// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

// Package payments counts what answers cost: quotes, sessions, vouchers, meters and receipts, and the rail hold.v1.
// docs/spec, chapter 3.
package payments

import (
	"bytes"
	"crypto/ed25519"
	"slices"
	"strconv"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
	"consilience.dev/examples/units/internal/wire"
)

const (
	// maxSessions bounds the memory that sessions take, which are kept as long as the node runs.
	maxSessions = 10_000
	// maxPage is how many receipts a response may have.
	maxPage = 1000
)

// Payments prices answers, and holds the sessions out of which they are paid.
type Payments struct {
	key             ed25519.PrivateKey // of the node, which signs all that it says and the holds that it gives
	rail            *v1.Rail
	offers          map[string]*v1.Quote // what quotes say, by the id of their tariff
	quotesPerMinute int32

	mutex    sync.Mutex // guards what follows, and every session; no call is made while it is held
	sessions map[wire.Digest]*session
	granted  map[string]int64 // what is promised, by the payer
	uses     map[wire.Digest]*use
	quoted   map[string][]time.Time // when quotes were asked for, by the caller
	swept    time.Time              // when callers were last forgotten
}

// New makes what a card with this rail and these tariffs needs. An offer is a quote without what is the caller's.
func New(key ed25519.PrivateKey, rail *v1.Rail, quotesPerMinute int32, offers ...*v1.Quote) *Payments {
	p := &Payments{
		key: key, rail: rail, quotesPerMinute: quotesPerMinute, offers: map[string]*v1.Quote{},
		sessions: map[wire.Digest]*session{}, granted: map[string]int64{},
		uses: map[wire.Digest]*use{}, quoted: map[string][]time.Time{},
	}
	for _, offer := range offers {
		offer.RailIds = []string{rail.GetId()}
		p.offers[offer.GetTariff().GetId()] = offer
	}
	return p
}

// OpenSession opens the session of some terms, or finds it, and starts a deposit where one is wanted (3.3).
func (p *Payments) OpenSession(call *v1.OpenSessionCall, now time.Time) (*v1.OpenSessionResponse, error) {
	terms := &v1.SessionTerms{}
	if err := wire.Open(call.GetTerms(), terms, (*v1.SessionTerms).GetPayer); err != nil {
		return nil, err
	}
	if err := wire.CheckFields(terms); err != nil {
		return nil, err
	}
	switch {
	case !bytes.Equal(terms.GetPayer(), call.GetHeader().GetCaller()):
		return nil, wire.Refuse(v1.ErrorReason_ERROR_REASON_SIGNER_WRONG, "the terms are another payer's")
	case !bytes.Equal(terms.GetPayee(), p.id()):
		return nil, wire.Refuse(v1.ErrorReason_ERROR_REASON_AUDIENCE_WRONG, "the terms are for another node")
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	id := wire.DigestOf(call.GetTerms())
	s := p.sessions[id]
	if s == nil {
		if err := p.checkTerms(terms); err != nil {
			return nil, err
		}
		if len(p.sessions) >= maxSessions {
			return nil, wire.Refuse(v1.ErrorReason_ERROR_REASON_NODE_FAULT, "there is no room for more sessions")
		}
		s = p.newSession(terms, id)
	}
	instruction, err := p.deposit(s, call, now)
	if err != nil {
		return nil, err
	}
	p.sessions[id] = s // not before: what was refused leaves nothing behind
	state, err := p.report(s, now)
	return &v1.OpenSessionResponse{State: state, Instruction: instruction}, err
}

// checkTerms takes steps 5 and 6 of the way to open a session: the card offers the terms.
func (p *Payments) checkTerms(terms *v1.SessionTerms) error {
	var backings, issuers []string
	for _, backing := range p.rail.GetBackings() {
		backings = append(backings, backing.String())
	}
	for _, issuer := range p.rail.GetIssuers() {
		issuers = append(issuers, wire.IDText(issuer))
	}
	refuse := func(field string, offered ...string) error {
		return wire.RefuseUnsupported(v1.ErrorReason_ERROR_REASON_TERMS_REFUSED, field, offered)
	}
	switch {
	case terms.GetRailId() != p.rail.GetId():
		return refuse("rail_id", p.rail.GetId())
	case terms.GetNetwork() != p.rail.GetNetwork():
		return refuse("network", p.rail.GetNetwork())
	case !slices.Contains(p.rail.GetAssets(), terms.GetAsset()):
		return refuse("asset", p.rail.GetAssets()...)
	case !slices.Contains(p.rail.GetBackings(), terms.GetBacking()):
		return refuse("backing", backings...)
	case terms.GetBacking() == v1.Backing_BACKING_ESCROW &&
		!slices.Contains(issuers, wire.IDText(terms.GetIssuer())):
		return refuse("issuer", issuers...)
	case terms.GetCreditLimit() > p.rail.GetMaxCredit():
		return refuse("credit_limit", strconv.FormatInt(p.rail.GetMaxCredit(), 10))
	}
	return nil
}

// deposit takes steps 7 to 10, and tells how to make the deposit that is asked for.
func (p *Payments) deposit(s *session, call *v1.OpenSessionCall, now time.Time) (*v1.DepositInstruction, error) {
	id, amount := call.GetDepositId(), call.GetDeposit()
	if len(id) == 0 {
		return nil, nil
	}
	if err := s.checkOpen(0); err != nil {
		return nil, err
	}
	made := s.deposits[string(id)]
	switch {
	case made != nil && made.instruction.GetAmount() != amount:
		return nil, depositInvalid("the deposit has another amount")
	case made != nil && made.credited:
		return nil, nil
	case made != nil:
		return made.instruction, nil
	case s.terms.GetBacking() == v1.Backing_BACKING_CREDIT:
		return nil, depositInvalid("nothing is deposited on credit")
	case amount < p.rail.GetMinDeposit(), amount > p.rail.GetMaxDeposit():
		return nil, depositInvalid("the amount is not within min_deposit and max_deposit")
	}
	made, err := p.start(s, id, amount, now)
	if err != nil {
		return nil, err
	}
	s.deposits[string(id)] = made
	return made.instruction, nil
}

// ConfirmDeposit credits a deposit that has arrived, once.
func (p *Payments) ConfirmDeposit(call *v1.ConfirmDepositCall, now time.Time) (*v1.ConfirmDepositResponse, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	s, err := p.find(call.GetHeader().GetCaller(), call.GetSessionId())
	if err != nil {
		return nil, err
	}
	if err := s.checkOpen(0); err != nil {
		return nil, err
	}
	made := s.deposits[string(call.GetDepositId())]
	if made == nil {
		return nil, depositInvalid("there is no such deposit")
	}
	if err := s.credit(made, call.GetProof(), now); err != nil {
		return nil, err
	}
	state, err := p.report(s, now)
	return &v1.ConfirmDepositResponse{State: state, Status: v1.TransferStatus_TRANSFER_STATUS_SUCCEEDED}, err
}

// SubmitVoucher raises what the node may spend of a session (3.5).
func (p *Payments) SubmitVoucher(envelope *v1.SignedEnvelope, now time.Time) (*v1.SubmitVoucherResponse, error) {
	voucher, err := openVoucher(envelope)
	if err != nil {
		return nil, err
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	s, err := p.find(voucher.GetPayer(), voucher.GetSessionId())
	if err != nil {
		return nil, err
	}
	if err := s.take(voucher, envelope); err != nil {
		return nil, err
	}
	state, err := p.report(s, now)
	return &v1.SubmitVoucherResponse{State: state}, err
}

// GetSession returns the state of a session.
func (p *Payments) GetSession(call *v1.GetSessionCall, now time.Time) (*v1.GetSessionResponse, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	s, err := p.find(call.GetHeader().GetCaller(), call.GetSessionId())
	if err != nil {
		return nil, err
	}
	state, err := p.report(s, now)
	return &v1.GetSessionResponse{State: state}, err
}

// AcknowledgeReceipt takes the payer's word that a receipt is right. It is not kept: on a network of no value nobody is
// shown it.
func (p *Payments) AcknowledgeReceipt(
	call *v1.AcknowledgeReceiptCall, now time.Time,
) (*v1.AcknowledgeReceiptResponse, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	s, err := p.find(call.GetHeader().GetCaller(), call.GetSessionId())
	if err != nil {
		return nil, err
	}
	isMeant := func(issued receipt) bool {
		return issued.digest == wire.Digest(call.GetReceiptDigest()) && issued.spent == call.GetSessionSpent()
	}
	if !slices.ContainsFunc(s.receipts, isMeant) {
		return nil, wire.Refuse(v1.ErrorReason_ERROR_REASON_RECEIPT_UNKNOWN, "the session has no such receipt")
	}
	state, err := p.report(s, now)
	return &v1.AcknowledgeReceiptResponse{State: state}, err
}

// ListReceipts returns receipts of a session in their order.
func (p *Payments) ListReceipts(call *v1.ListReceiptsCall, _ time.Time) (*v1.ListReceiptsResponse, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	s, err := p.find(call.GetHeader().GetCaller(), call.GetSessionId())
	if err != nil {
		return nil, err
	}
	page := int64(maxPage)
	if size := int64(call.GetPageSize()); size > 0 {
		page = min(page, size)
	}
	all := int64(len(s.receipts))
	first := min(call.GetAfterNumber(), all)
	response := &v1.ListReceiptsResponse{}
	for _, issued := range s.receipts[first:min(first+page, all)] {
		response.Receipts = append(response.Receipts, issued.envelope)
	}
	return response, nil
}

// Withdraw pays back what was deposited and is not promised to the node (3.7).
func (p *Payments) Withdraw(call *v1.WithdrawCall, now time.Time) (*v1.WithdrawResponse, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	s, err := p.find(call.GetHeader().GetCaller(), call.GetSessionId())
	if err != nil {
		return nil, err
	}
	id, amount := string(call.GetWithdrawalId()), call.GetAmount()
	paid := s.withdrawals[id]
	if paid != nil && paid.amount != amount || paid == nil && amount > s.withdrawable() {
		return nil, s.refuse(v1.ErrorReason_ERROR_REASON_WITHDRAWAL_INVALID,
			"there is not so much to pay out, or the withdrawal is another one", amount)
	}
	if paid == nil {
		if paid, err = p.release(s, call.GetWithdrawalId(), amount); err != nil {
			return nil, err
		}
		s.withdrawals[id] = paid
	}
	state, err := p.report(s, now)
	return &v1.WithdrawResponse{
		State: state, Status: v1.TransferStatus_TRANSFER_STATUS_SUCCEEDED, Detail: paid.detail,
	}, err
}

// CloseSession takes no more asks and vouchers, and ends the session once its running asks have ended.
func (p *Payments) CloseSession(call *v1.CloseSessionCall, now time.Time) (*v1.CloseSessionResponse, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	s, err := p.find(call.GetHeader().GetCaller(), call.GetSessionId())
	if err != nil {
		return nil, err
	}
	if s.state.GetStatus() == v1.SessionStatus_SESSION_STATUS_OPEN {
		s.state.Status = v1.SessionStatus_SESSION_STATUS_CLOSING
	}
	s.closeIfIdle()
	state, err := p.report(s, now)
	return &v1.CloseSessionResponse{State: state}, err
}

// report signs the state of a session. Needs the mutex.
func (p *Payments) report(s *session, now time.Time) (*v1.SignedEnvelope, error) {
	s.state.IssueTime = wire.Instant(now)
	return wire.Sign(p.key, s.state)
}

// signedDetail signs what the rail has to say.
func (p *Payments) signedDetail(message proto.Message) (*anypb.Any, error) {
	envelope, err := wire.Sign(p.key, message)
	if err != nil {
		return nil, err
	}
	return anypb.New(envelope)
}
