// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/rand"
	"io"
	"testing"
	"time"

	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
	"consilience.dev/examples/units/internal/readers"
	"consilience.dev/examples/units/internal/wire"
)

// payer is a client that has a session at a node.
type payer struct {
	*asker
	pays    v1.PaymentServiceClient
	terms   *v1.SignedEnvelope
	session []byte
}

// startPaidNode serves a node that is paid, and returns somebody with a session on which so much is deposited.
func startPaidNode(t *testing.T, deposit int64) *payer {
	t.Helper()
	return newPayer(startNodeWith(t, &prices{holdOpen: patience}), deposit)
}

func newPayer(who *asker, deposit int64) *payer {
	p := &payer{asker: who, pays: v1.NewPaymentServiceClient(who.channel)}
	p.open(p.prepaid())
	if deposit > 0 {
		p.deposit(deposit)
	}
	return p
}

func random(size int) []byte {
	bytes := make([]byte, size)
	rand.Read(bytes)
	return bytes
}

// head opens a call of PaymentService.
func (p *payer) head(method string) *v1.CallHeader {
	header := p.header(method)
	header.Method = "consilience.v1.PaymentService/" + method
	return header
}

func (p *payer) prepaid() *v1.SessionTerms {
	return &v1.SessionTerms{
		Payer: publicOf(p.key), Payee: publicOf(p.root), Asset: "TEST/0", RailId: "hold.v1", Network: "test",
		Backing: v1.Backing_BACKING_PREPAID, Issuer: publicOf(p.root), Salt: random(16),
	}
}

// open opens a session, and pays out of it from now on.
func (p *payer) open(terms *v1.SessionTerms) {
	p.t.Helper()
	p.terms = p.signed(p.key, terms)
	id := wire.DigestOf(p.terms)
	p.session = id[:]
	if _, err := p.openWith(nil, 0); err != nil {
		p.t.Fatal(err)
	}
}

func (p *payer) openWith(depositID []byte, deposit int64) (*v1.OpenSessionResponse, error) {
	call := &v1.OpenSessionCall{Header: p.head("OpenSession"), Terms: p.terms, DepositId: depositID, Deposit: deposit}
	return p.pays.OpenSession(p.ctx, &v1.OpenSessionRequest{Call: p.signed(p.key, call)})
}

func (p *payer) confirm(depositID []byte, proof *anypb.Any) (*v1.ConfirmDepositResponse, error) {
	call := &v1.ConfirmDepositCall{
		Header: p.head("ConfirmDeposit"), SessionId: p.session, DepositId: depositID, Proof: proof,
	}
	return p.pays.ConfirmDeposit(p.ctx, &v1.ConfirmDepositRequest{Call: p.signed(p.key, call)})
}

// deposit takes what the node gives.
func (p *payer) deposit(amount int64) {
	p.t.Helper()
	id := random(16)
	started, err := p.openWith(id, amount)
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := p.confirm(id, started.GetInstruction().GetDetail()); err != nil {
		p.t.Fatal(err)
	}
}

func (p *payer) voucher(cumulative int64) *v1.SignedEnvelope {
	p.t.Helper()
	return p.signed(p.key, &v1.Voucher{Payer: publicOf(p.key), SessionId: p.session, Cumulative: cumulative})
}

func (p *payer) submit(cumulative int64) (*v1.SessionState, error) {
	response, err := p.pays.SubmitVoucher(p.ctx, &v1.SubmitVoucherRequest{Voucher: p.voucher(cumulative)})
	return p.stateIn(response.GetState(), err)
}

func (p *payer) state() *v1.SessionState {
	p.t.Helper()
	call := &v1.GetSessionCall{Header: p.head("GetSession"), SessionId: p.session}
	response, err := p.pays.GetSession(p.ctx, &v1.GetSessionRequest{Call: p.signed(p.key, call)})
	state, err := p.stateIn(response.GetState(), err)
	if err != nil {
		p.t.Fatal(err)
	}
	return state
}

func (p *payer) close() (*v1.SessionState, error) {
	call := &v1.CloseSessionCall{Header: p.head("CloseSession"), SessionId: p.session}
	response, err := p.pays.CloseSession(p.ctx, &v1.CloseSessionRequest{Call: p.signed(p.key, call)})
	return p.stateIn(response.GetState(), err)
}

func (p *payer) withdraw(id []byte, amount int64) (*v1.WithdrawResponse, error) {
	call := &v1.WithdrawCall{Header: p.head("Withdraw"), SessionId: p.session, WithdrawalId: id, Amount: amount}
	return p.pays.Withdraw(p.ctx, &v1.WithdrawRequest{Call: p.signed(p.key, call)})
}

func (p *payer) receipts(after int64, size int32) []*v1.SignedEnvelope {
	p.t.Helper()
	call := &v1.ListReceiptsCall{
		Header: p.head("ListReceipts"), SessionId: p.session, AfterNumber: after, PageSize: size,
	}
	response, err := p.pays.ListReceipts(p.ctx, &v1.ListReceiptsRequest{Call: p.signed(p.key, call)})
	if err != nil {
		p.t.Fatal(err)
	}
	return response.GetReceipts()
}

// stateIn opens a state, and checks what holds of every one of an open session (PAY-SES-001).
func (p *payer) stateIn(envelope *v1.SignedEnvelope, err error) (*v1.SessionState, error) {
	if err != nil {
		return nil, err
	}
	state := &v1.SessionState{}
	if err := wire.Open(envelope, state, (*v1.SessionState).GetSigningKey); err != nil {
		return nil, err
	}
	if err := wire.CheckFields(state); err != nil {
		return nil, err
	}
	available := state.Deposited + state.Refunded - state.Withdrawn + state.CreditLimit
	isOpen := state.Status != v1.SessionStatus_SESSION_STATUS_CLOSED
	if isOpen && (state.Spent+state.Reserved > state.Authorized || state.Authorized > available) || state.Spent > available {
		p.t.Errorf("the counters do not fit: %v", state)
	}
	return state, nil
}

// quoted asks for a price, and checks it.
func (p *payer) quoted(skillID, modelID, asset string) (*v1.SignedEnvelope, *v1.Quote, error) {
	p.t.Helper()
	call := &v1.GetQuoteCall{Header: p.head("GetQuote"), SkillId: skillID, ModelId: modelID, Asset: asset}
	response, err := p.pays.GetQuote(p.ctx, &v1.GetQuoteRequest{Call: p.signed(p.key, call)})
	if err != nil {
		return nil, nil, err
	}
	return p.quoteIn(response.GetQuote(), call)
}

func (p *payer) quoteIn(envelope *v1.SignedEnvelope, call *v1.GetQuoteCall) (*v1.SignedEnvelope, *v1.Quote, error) {
	p.t.Helper()
	if err := readers.CheckQuote(p.card, envelope, call, time.Now()); err != nil {
		p.t.Fatal(err)
	}
	quote := &v1.Quote{}
	return envelope, quote, wire.Open(envelope, quote, (*v1.Quote).GetSigningKey)
}

// scriptQuote is a price of scripts.
func (p *payer) scriptQuote() (*v1.SignedEnvelope, *v1.Quote) {
	p.t.Helper()
	envelope, quote, err := p.quoted("conformance.script", "", "")
	if err != nil {
		p.t.Fatal(err)
	}
	return envelope, quote
}

// under names quote and session in an ask.
func (p *payer) under(quote *v1.SignedEnvelope, ask *v1.Ask) *v1.Ask {
	digest := wire.DigestOf(quote)
	ask.Payment = &v1.AskPayment{QuoteDigest: digest[:], SessionId: p.session}
	return ask
}

// pay asks under a quote, with a voucher up to a total; zero for none.
func (p *payer) pay(quote *v1.SignedEnvelope, ask *v1.Ask, cumulative int64) askStream {
	p.t.Helper()
	request := &v1.AskRequest{Ask: p.signed(p.key, p.under(quote, ask)), Quote: quote}
	if cumulative > 0 {
		request.Voucher = p.voucher(cumulative)
	}
	return p.request(request)
}

func (p *payer) request(request *v1.AskRequest) askStream {
	p.t.Helper()
	opened, err := p.asks.Ask(p.ctx, request)
	if err != nil {
		p.t.Fatal(err)
	}
	return askStream{opened}
}

// follow reads a stream to its end, and answers every Meter with the voucher that it asks for.
func (p *payer) follow(from stream) (events []*v1.AnswerEvent) {
	p.t.Helper()
	for {
		more, err := from.next()
		if err != nil {
			if err != io.EOF {
				p.t.Fatal(err)
			}
			return events
		}
		for _, event := range more {
			if metered := event.GetMetered(); metered != nil {
				if _, err := p.submit(p.meterIn(metered).GetRequiredCumulative()); err != nil {
					p.t.Fatal(err)
				}
			}
		}
		events = append(events, more...)
	}
}

func (p *payer) meterIn(metered *v1.Metered) *v1.Meter {
	p.t.Helper()
	meter := &v1.Meter{}
	if err := wire.Open(metered.GetMeter(), meter, (*v1.Meter).GetSigningKey); err != nil {
		p.t.Fatal(err)
	}
	return meter
}

// settled checks a whole paid exchange, with the receipt before if there is one, and returns what came of it.
func (p *payer) settled(quote *v1.SignedEnvelope, ask *v1.Ask, previous *v1.SignedEnvelope, events []*v1.AnswerEvent) (
	*readers.Log, *v1.Answer, *v1.Receipt,
) {
	p.t.Helper()
	envelope := p.signed(p.key, ask)
	log, answer := p.wholeLog(envelope, events)
	held := &readers.Payment{
		Card: p.card, Quote: quote, Ask: envelope, Terms: p.terms, Answer: log.Final.GetAnswer(), Previous: previous,
	}
	if err := readers.CheckMeters(held, log); err != nil {
		p.t.Fatal(err)
	}
	receipt, err := readers.CheckReceipt(held, log.Final.GetReceipt())
	if err != nil {
		p.t.Fatal(err)
	}
	return log, answer, receipt
}

// expectReason checks how a call was refused, and returns the state of the session in the refusal, if there is one.
func expectReason(t *testing.T, err error, reason string) *v1.SessionBalance {
	t.Helper()
	if err == nil {
		t.Fatalf("not refused, expected %s", reason)
	}
	if got, _ := refusalOf(t, err); got != reason {
		t.Errorf("refused as %s, expected %s: %v", got, reason, err)
	}
	return detailOf[*v1.SessionBalance](err)
}

// detailOf returns the detail of a type in a refusal, or none.
func detailOf[M any](err error) (found M) {
	for _, detail := range status.Convert(err).Details() {
		if one, is := detail.(M); is {
			return one
		}
	}
	return found
}
