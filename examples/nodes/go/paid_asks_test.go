// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
	"consilience.dev/examples/units/internal/wire"
)

func TestSkillThatCostsSomethingIsRefusedWithAPriceThatHolds(t *testing.T) {
	who := startPaidNode(t, 1000)
	priced := func() *v1.Ask {
		ask := who.question("How many feet are 12 inches?")
		ask.SkillId = "units.table"
		return ask
	}
	_, err := who.ask(who.ctx, priced()).next()
	expectReason(t, err, "PAYMENT_REQUIRED")
	asked := &v1.GetQuoteCall{Header: who.head("GetQuote"), SkillId: "units.table"}
	quote, _, err := who.quoteIn(detailOf[*v1.PaymentRequired](err).GetQuote(), asked)
	if err != nil {
		t.Fatal(err)
	}
	ask := priced()
	log, _, receipt := who.settled(quote, ask, nil, who.follow(who.pay(quote, ask, 20)))
	if receipt.GetCharge() <= 20 || !strings.HasPrefix(log.Text, "12 inches are 1 foot. That is ") {
		t.Errorf("%q for %d", log.Text, receipt.GetCharge())
	}
}

func TestWhatIsFreeHasNoReceipt(t *testing.T) {
	who := startPaidNode(t, 1000)
	quote, _ := who.scriptQuote()
	for name, ask := range map[string]*v1.Ask{
		"a free skill":               who.question("1 m in feet"),
		"a free skill, with payment": who.under(quote, who.question("1 m in feet")),
		"a script without payment":   who.scripted(token("word")),
	} {
		if log, answer := who.exchange(ask); log.Final.GetReceipt() != nil || answer.GetCharged() || len(log.Meters) > 0 {
			t.Errorf("%s: %v", name, log.Final)
		}
	}
}

func TestAnswerHasOneReceiptWhicheverCallBringsIt(t *testing.T) {
	who := startPaidNode(t, 1000)
	envelope, quote := who.scriptQuote()
	ask := who.scripted(token("word"))
	log, _, _ := who.settled(envelope, ask, nil, rest(t, who.pay(envelope, ask, quote.GetWindow())))
	shown, err := who.get(ask)
	if err != nil {
		t.Fatal(err)
	}
	again, err := who.pay(envelope, ask, 0).next()
	if err != nil {
		t.Fatal(err)
	}
	resumed := rest(t, who.resume(ask, 0))
	for _, final := range []*v1.Final{shown.GetFinal(), again[len(again)-1].GetFinal(), resumed[len(resumed)-1].GetFinal()} {
		if !proto.Equal(final, log.Final) {
			t.Errorf("another Final: %v", final)
		}
	}
	if state := who.state(); state.GetReceiptCount() != 1 {
		t.Errorf("there are %d receipts", state.GetReceiptCount())
	}
}

func TestQuoteThatDoesNotHoldForAnAskIsRefused(t *testing.T) {
	who := startPaidNode(t, 1000)
	envelope, quote := who.scriptQuote()
	other := newPayer(who.another(), 100)
	changed := func(change func(*v1.Quote)) *v1.SignedEnvelope {
		copied := proto.CloneOf(quote)
		change(copied)
		return who.signed(who.root, copied)
	}
	forged := proto.CloneOf(quote)
	forged.SigningKey = publicOf(who.key)
	for name, bad := range map[string]*v1.SignedEnvelope{
		"none":                  nil,
		"of another type":       who.terms,
		"of another node's key": who.signed(who.key, forged),
		"for another node":      changed(func(q *v1.Quote) { q.NodeId = publicOf(who.key) }),
		"for another payer":     changed(func(q *v1.Quote) { q.Payer = publicOf(other.key) }),
		"for another skill":     changed(func(q *v1.Quote) { q.SkillId = "units.table" }),
		"for another model":     changed(func(q *v1.Quote) { q.ModelId = "conformance/script" }),
		"of another card":       changed(func(q *v1.Quote) { q.CardDigest = random(32) }),
		"without a tariff":      changed(func(q *v1.Quote) { q.Tariff = nil }),
		"in another asset":      changed(func(q *v1.Quote) { q.Tariff.Asset = "TEST/3" }),
		"for another rail":      changed(func(q *v1.Quote) { q.RailIds = []string{"ln.l402"} }),
		"that has expired":      changed(func(q *v1.Quote) { q.IssueTime, q.ExpireTime = after(-time.Hour), after(-time.Second) }),
		"without asks":          changed(func(q *v1.Quote) { q.MaxAsks = 0 }),
		"for less in all":       changed(func(q *v1.Quote) { q.TotalMaxCharge = q.MaxCharge - 1 }),
	} {
		_, err := who.pay(bad, who.scripted(token("word")), quote.GetWindow()).next()
		t.Log(name)
		expectReason(t, err, "QUOTE_INVALID")
	}
	request := &v1.AskRequest{Ask: who.signed(who.key, who.under(envelope, who.scripted(token("word"))))}
	request.Quote = changed(func(q *v1.Quote) { q.MaxCharge++ }) // it is not the one that the ask names
	_, err := who.request(request).next()
	expectReason(t, err, "QUOTE_INVALID")
	state := who.state()
	if state.GetReserved() != 0 || state.GetReceiptCount() != 0 {
		t.Errorf("refusals left something behind: %v", state)
	}
}

func TestQuoteIsUsedUpByItsAsksAndByTheirCharges(t *testing.T) {
	who := startPaidNode(t, 1000)
	_, quote := who.scriptQuote()
	quote.MaxAsks, quote.MaxCharge, quote.TotalMaxCharge = 3, 60, 100
	envelope := who.signed(who.root, quote)
	gate := random(16)
	running := who.scripted(token("a"), wait(gate))
	stream := who.pay(envelope, running, 200)
	events := until(t, stream, "a")
	_, err := who.pay(envelope, who.scripted(token("word")), 0).next()
	expectReason(t, err, "QUOTE_INVALID") // two ceilings of 60 are above 100
	who.exchange(who.scripted(open(gate)))
	who.settled(envelope, running, nil, append(events, rest(t, stream)...))
	for range 2 {
		rest(t, who.pay(envelope, who.scripted(token("a")), 0))
	}
	_, err = who.pay(envelope, who.scripted(token("a")), 0).next()
	expectReason(t, err, "QUOTE_INVALID") // the fourth
}

func TestAskIsRefusedForTheFirstThatIsWrongWithItsPayment(t *testing.T) {
	who := startPaidNode(t, 49)
	envelope, quote := who.scriptQuote()
	own := who.session
	stranger := newPayer(who.another(), 100)
	who.session = stranger.session
	_, err := who.pay(envelope, who.scripted(token("word")), 0).next()
	expectReason(t, err, "SESSION_UNKNOWN")
	who.session = own

	request := &v1.AskRequest{Ask: who.signed(who.key, who.under(envelope, who.scripted(token("word")))), Quote: envelope}
	request.Voucher = stranger.voucher(10)
	_, err = who.request(request).next()
	expectReason(t, err, "SESSION_UNKNOWN")
	request.Voucher = who.terms
	_, err = who.request(request).next()
	expectReason(t, err, "PAYLOAD_TYPE_WRONG")

	request.Voucher = who.voucher(50)
	_, err = who.request(request).next()
	if balance := expectReason(t, err, "BALANCE_TOO_LOW"); balance.GetAvailable() != 49 {
		t.Errorf("%v", balance)
	}
	request.Voucher = who.voucher(49)
	_, err = who.request(request).next()
	balance := expectReason(t, err, "BALANCE_TOO_LOW")
	if balance.GetRequiredCumulative() != quote.GetWindow() || balance.GetVoucher() == nil {
		t.Errorf("%v", balance)
	}
	if state := who.state(); state.GetAuthorized() != 49 || state.GetReserved() != 0 {
		t.Errorf("what a refused ask has authorized stays, and nothing else: %v", state)
	}
	who.deposit(100)
	request.Voucher = who.voucher(50)
	rest(t, who.request(request)) // the same envelope, which no refusal has bound
}

func TestSessionClosesOnceItsRunningAsksHaveEnded(t *testing.T) {
	who := startPaidNode(t, 1000)
	envelope, quote := who.scriptQuote()
	gate := random(16)
	ask := who.scripted(token("a"), wait(gate), token("b"))
	stream := who.pay(envelope, ask, quote.GetWindow())
	events := until(t, stream, "a")
	if state, err := who.close(); err != nil || state.GetStatus() != v1.SessionStatus_SESSION_STATUS_CLOSING {
		t.Fatalf("%v, %v", state, err)
	}
	_, err := who.submit(1000)
	expectReason(t, err, "SESSION_CLOSED")
	_, err = who.withdraw(random(16), 951)
	expectReason(t, err, "WITHDRAWAL_INVALID")
	who.exchange(who.scripted(open(gate)))
	log, _, receipt := who.settled(envelope, ask, nil, append(events, rest(t, stream)...))
	if log.Text != "ab" || receipt.GetCharge() != costs(quote, 2, 2) {
		t.Errorf("%q for %d", log.Text, receipt.GetCharge())
	}
	state, err := who.close()
	if err != nil || state.GetStatus() != v1.SessionStatus_SESSION_STATUS_CLOSED || state.GetSpent() != receipt.GetCharge() {
		t.Errorf("%v, %v", state, err)
	}
	if _, err := who.withdraw(random(16), 1000-receipt.GetCharge()); err != nil {
		t.Error(err)
	}
}

func TestParallelAsksNeverOverdrawTheirSession(t *testing.T) {
	who := newPayer(startNodeWith(t, &prices{holdOpen: 100 * time.Millisecond}), 400)
	quote, _ := who.scriptQuote()
	if _, err := who.submit(400); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	for range 20 { // which cost some 2000 together
		ask := who.under(quote, who.scripted(times(token("twenty bytes of text"), 10)))
		ask.Limits = &v1.AskLimits{MaxCharge: proto.Int64(500)} // so that all of them fit into the quote
		request := &v1.AskRequest{Ask: who.signed(who.key, ask), Quote: quote}
		go func() { ended <- who.readPatiently(request) }()
	}
	refused := 0
	for running := 20; running > 0; {
		select {
		case err := <-ended:
			running--
			if err != nil {
				expectReason(t, err, "BALANCE_TOO_LOW")
				refused++
			}
		default:
			who.state() // which is checked against PAY-SES-001
		}
	}
	state, receipts := who.state(), who.receipts(0, 0)
	if len(receipts) != 20-refused || refused == 0 || state.GetReserved() != 0 || state.GetSpent() < 200 {
		t.Errorf("%d were refused, %d have a receipt: %v", refused, len(receipts), state)
	}
	who.expectChain(receipts, state)
}

// readPatiently reads an answer to its end, and asks again while too many others run. It may run beside the test.
func (p *payer) readPatiently(request *v1.AskRequest) error {
	for {
		opened, err := p.asks.Ask(p.ctx, request)
		for err == nil {
			_, err = opened.Recv()
		}
		if err == io.EOF {
			return nil
		}
		if status.Code(err) != codes.ResourceExhausted {
			return err
		}
	}
}

// expectChain checks that receipts follow each other, and add up to a state (PAY-RCP-002, PAY-RCP-003).
func (p *payer) expectChain(receipts []*v1.SignedEnvelope, state *v1.SessionState) {
	p.t.Helper()
	var spent int64
	var previous []byte
	for i, envelope := range receipts {
		receipt := &v1.Receipt{}
		if err := wire.Open(envelope, receipt, (*v1.Receipt).GetSigningKey); err != nil {
			p.t.Fatal(err)
		}
		spent += receipt.GetCharge()
		if receipt.GetNumber() != int64(i+1) || !bytes.Equal(receipt.GetPreviousDigest(), previous) ||
			receipt.GetSessionSpent() != spent {
			p.t.Errorf("receipt %d does not follow: %v", i+1, receipt)
		}
		digest := wire.DigestOf(envelope)
		previous = digest[:]
	}
	if state.GetSpent() != spent || !bytes.Equal(state.GetLastReceiptDigest(), previous) {
		p.t.Errorf("%d in receipts, but %v", spent, state)
	}
}
