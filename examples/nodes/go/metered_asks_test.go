// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
	"consilience.dev/examples/units/internal/payments"
	"consilience.dev/examples/units/internal/wire"
)

// costs returns what a scripted answer costs.
func costs(quote *v1.Quote, tokens, size int) int64 {
	return payments.Cost(quote.GetTariff(), &v1.Usage{OutputTokens: int64(tokens), OutputBytes: int64(size)})
}

// metersIn returns the Meters of a log.
func (p *payer) metersIn(events []*v1.AnswerEvent) (meters []*v1.Meter) {
	for _, event := range events {
		if metered := event.GetMetered(); metered != nil {
			meters = append(meters, p.meterIn(metered))
		}
	}
	return meters
}

// needsIn returns the vouchers that a log asks for.
func needsIn(events []*v1.AnswerEvent) (totals []int64) {
	for _, event := range events {
		if needed := event.GetPaymentNeeded(); needed != nil {
			totals = append(totals, needed.GetRequiredCumulative())
		}
	}
	return totals
}

// untilNeeded reads a stream until a voucher is asked for.
func untilNeeded(t *testing.T, from stream) (events []*v1.AnswerEvent, required int64) {
	t.Helper()
	for {
		more, err := from.next()
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, more...)
		if needed := needsIn(more); len(needed) > 0 {
			return events, needed[len(needed)-1]
		}
	}
}

func TestAnswerIsPaidWhileItComesAndReceiptsFormAChain(t *testing.T) {
	who := startPaidNode(t, 1000)
	envelope, quote := who.scriptQuote()
	var previous *v1.SignedEnvelope
	spent := int64(0)
	for number := int64(1); number <= 3; number++ {
		// The gate lets each voucher arrive before more is needed, however slow this machine is.
		gates := [][]byte{random(16), random(16), random(16)}
		steps := []*v1.ScriptStep{times(token("sixty bytes of text, "), 3)}
		for _, gate := range gates {
			steps = append(steps, wait(gate), times(token("sixty bytes of text, "), 3))
		}
		ask := who.scripted(steps...)
		stream := who.pay(envelope, ask, spent+quote.GetWindow())
		var events []*v1.AnswerEvent
		for i, gate := range gates {
			events = append(events, until(t, stream, strings.Repeat("sixty bytes of text, ", 3))...)
			meters := who.metersIn(events)
			if len(meters) != i+1 {
				t.Fatalf("there are %d Meters at gate %d", len(meters), i)
			}
			last := meters[i]
			if want := spent + last.GetCharge() + quote.GetWindow(); last.GetRequiredCumulative() != want {
				t.Errorf("the Meter asks for %d, expected %d", last.GetRequiredCumulative(), want)
			}
			if _, err := who.submit(last.GetRequiredCumulative()); err != nil {
				t.Fatal(err)
			}
			who.exchange(who.scripted(open(gate)))
		}
		events = append(events, rest(t, stream)...)
		log, answer, receipt := who.settled(envelope, ask, previous, events)
		expectEnd(t, answer, v1.Outcome_OUTCOME_ANSWERED, v1.StopReason_STOP_REASON_COMPLETE)
		if len(needsIn(events)) != 0 {
			t.Error("the answer stood still")
		}
		if charge := costs(quote, 12, len(log.Text)); receipt.GetCharge() != charge || !answer.GetCharged() {
			t.Errorf("charged are %d, expected %d", receipt.GetCharge(), charge)
		}
		spent += receipt.GetCharge()
		state := who.state()
		if receipt.GetNumber() != number || state.GetReserved() != 0 || state.GetSpent() != spent ||
			state.GetReceiptCount() != number || receipt.GetSessionAuthorized() != state.GetAuthorized() {
			t.Errorf("%v does not fit %v", receipt, state)
		}
		previous = log.Final.GetReceipt()
		who.acknowledge(receipt, previous)
	}
	listed := who.receipts(0, 0)
	if len(listed) != 3 || !proto.Equal(listed[2], previous) {
		t.Errorf("%d receipts are listed", len(listed))
	}
	if page := who.receipts(1, 1); len(page) != 1 || !proto.Equal(page[0], listed[1]) {
		t.Errorf("the second page has %d receipts", len(page))
	}
	if behind := who.receipts(7, 1); len(behind) != 0 {
		t.Errorf("behind the last are %d receipts", len(behind))
	}
}

// acknowledge says that a receipt is right, and that others are refused.
func (p *payer) acknowledge(receipt *v1.Receipt, envelope *v1.SignedEnvelope) {
	p.t.Helper()
	digest := wire.DigestOf(envelope)
	send := func(digest []byte, spent int64) error {
		call := &v1.AcknowledgeReceiptCall{
			Header: p.head("AcknowledgeReceipt"), SessionId: p.session, ReceiptDigest: digest, SessionSpent: spent,
		}
		_, err := p.pays.AcknowledgeReceipt(p.ctx, &v1.AcknowledgeReceiptRequest{Call: p.signed(p.key, call)})
		return err
	}
	if err := send(digest[:], receipt.GetSessionSpent()); err != nil {
		p.t.Error(err)
	}
	expectReason(p.t, send(digest[:], receipt.GetSessionSpent()+1), "RECEIPT_UNKNOWN")
	expectReason(p.t, send(random(32), receipt.GetSessionSpent()), "RECEIPT_UNKNOWN")
}

func TestAnswerStandsStillUntilAVoucherComes(t *testing.T) {
	who := startPaidNode(t, 1000)
	envelope, quote := who.scriptQuote()
	ask := who.scripted(times(token("twenty bytes of text"), 10))
	stream := who.pay(envelope, ask, quote.GetWindow())
	events, required := untilNeeded(t, stream)
	if meters := who.metersIn(events); len(meters) == 0 || required > meters[len(meters)-1].GetCharge()+quote.GetWindow() {
		t.Errorf("a voucher over %d is needed, after %v", required, meters)
	}
	if state := who.state(); state.GetReserved() != quote.GetWindow() {
		t.Errorf("reserved are %d", state.GetReserved())
	}
	if _, err := who.submit(required - 1); err != nil {
		t.Fatal(err)
	}
	if shown, err := who.get(ask); err != nil || shown.GetLastSequence() != events[len(events)-1].GetSequence() {
		t.Errorf("it went on with too little: %v", err)
	}
	if _, err := who.submit(required); err != nil {
		t.Fatal(err)
	}
	more, _ := untilNeeded(t, stream)
	events = append(events, more...)
	if _, err := who.submit(1000); err != nil {
		t.Fatal(err)
	}
	log, answer, receipt := who.settled(envelope, ask, nil, append(events, rest(t, stream)...))
	expectEnd(t, answer, v1.Outcome_OUTCOME_ANSWERED, v1.StopReason_STOP_REASON_COMPLETE)
	if receipt.GetCharge() != costs(quote, 10, 200) || len(log.Text) != 200 {
		t.Errorf("%d bytes for %d", len(log.Text), receipt.GetCharge())
	}
}

func TestAnswerThatIsNotPaidInTimeIsCutShort(t *testing.T) {
	who := newPayer(startNodeWith(t, &prices{holdOpen: 100 * time.Millisecond}), 1000)
	envelope, quote := who.scriptQuote()
	ask := who.scripted(times(token("twenty bytes of text"), 10))
	stream := who.pay(envelope, ask, quote.GetWindow())
	events, _ := untilNeeded(t, stream)
	events = append(events, rest(t, stream)...)
	needed := events[len(events)-2].GetPaymentNeeded()
	log, answer, receipt := who.settled(envelope, ask, nil, events)
	expectEnd(t, answer, v1.Outcome_OUTCOME_TRUNCATED, v1.StopReason_STOP_REASON_UNPAID)
	if answer.GetFinishTime().AsTime().Before(needed.GetStopTime().AsTime()) {
		t.Errorf("it ended at %v, before %v", answer.GetFinishTime().AsTime(), needed.GetStopTime().AsTime())
	}
	if charge := costs(quote, len(log.Text)/20, len(log.Text)); receipt.GetCharge() != charge || charge > quote.GetWindow() {
		t.Errorf("%d bytes for %d", len(log.Text), receipt.GetCharge())
	}
	if state := who.state(); state.GetReserved() != 0 {
		t.Errorf("reserved are %d", state.GetReserved())
	}
}

func TestAnswerEndsAtTheBoundOnItsCharge(t *testing.T) {
	who := startPaidNode(t, 1000)
	envelope, quote := who.scriptQuote()
	for bound, tokens := range map[int64]int{0: 0, 4: 0, 15: 0, 16: 1, 25: 1, 26: 2, 1000: 10} {
		ask := who.scripted(times(token("twenty bytes of text"), 10))
		ask.Limits = &v1.AskLimits{MaxCharge: &bound}
		log, answer, receipt := who.settled(envelope, ask, lastOf(who.receipts(0, 0)), who.follow(who.pay(envelope, ask, 1000)))
		if len(log.Text) != 20*tokens || receipt.GetCharge() != min(bound, costs(quote, tokens, 20*tokens)) {
			t.Errorf("bound by %d: %d bytes for %d", bound, len(log.Text), receipt.GetCharge())
		}
		if tokens < 10 {
			expectEnd(t, answer, v1.Outcome_OUTCOME_TRUNCATED, v1.StopReason_STOP_REASON_CHARGE_LIMIT)
		}
	}
}

func lastOf(receipts []*v1.SignedEnvelope) *v1.SignedEnvelope {
	if len(receipts) == 0 {
		return nil
	}
	return receipts[len(receipts)-1]
}

func TestTokenThatCostsMoreThanAWindowComesInPieces(t *testing.T) {
	who := startPaidNode(t, 10_000)
	envelope, quote := who.scriptQuote()
	ask := who.scripted(token("a"), token(strings.Repeat("°C ", 250)))
	log, _, receipt := who.settled(envelope, ask, nil, who.follow(who.pay(envelope, ask, quote.GetWindow())))
	if receipt.GetCharge() != costs(quote, 2, 1001) || len(log.Text) != 1001 {
		t.Errorf("%d bytes for %d", len(log.Text), receipt.GetCharge())
	}
}

func TestFailureBeforeTheFirstTextCostsNothing(t *testing.T) {
	who := startPaidNode(t, 1000)
	envelope, quote := who.scriptQuote()
	fail := &v1.ScriptStep{Step: &v1.ScriptStep_Fail{Fail: "because"}}
	early, late := who.scripted(fail), who.scripted(token("some text"), fail)
	_, _, nothing := who.settled(envelope, early, nil, rest(t, who.pay(envelope, early, quote.GetWindow())))
	previous := who.receipts(0, 0)[0]
	_, _, something := who.settled(envelope, late, previous, rest(t, who.pay(envelope, late, 0)))
	if nothing.GetCharge() != 0 || something.GetCharge() != costs(quote, 1, 9) {
		t.Errorf("charged are %d and %d", nothing.GetCharge(), something.GetCharge())
	}
}

func TestCancelledAnswerIsChargedWhatItsLogHolds(t *testing.T) {
	who := startPaidNode(t, 1000)
	envelope, quote := who.scriptQuote()
	ask := who.scripted(token("some text"), wait(closed))
	stream := who.pay(envelope, ask, 1000)
	events := until(t, stream, "some text")
	if _, err := who.cancel(ask); err != nil {
		t.Fatal(err)
	}
	_, answer, receipt := who.settled(envelope, ask, nil, append(events, rest(t, stream)...))
	expectEnd(t, answer, v1.Outcome_OUTCOME_CANCELLED, v1.StopReason_STOP_REASON_CANCELLED)
	if receipt.GetCharge() != costs(quote, 1, 9) {
		t.Errorf("charged are %d", receipt.GetCharge())
	}
}

func TestCancellationEndsAnAnswerThatWaitsForAVoucher(t *testing.T) {
	who := startPaidNode(t, 1000)
	envelope, quote := who.scriptQuote()
	ask := who.scripted(times(token("twenty bytes of text"), 10))
	stream := who.pay(envelope, ask, quote.GetWindow())
	events, _ := untilNeeded(t, stream)
	if _, err := who.cancel(ask); err != nil {
		t.Fatal(err)
	}
	_, answer, _ := who.settled(envelope, ask, nil, append(events, rest(t, stream)...))
	expectEnd(t, answer, v1.Outcome_OUTCOME_CANCELLED, v1.StopReason_STOP_REASON_CANCELLED)
}
