// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/sha256"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
	"consilience.dev/examples/units/internal/wire"
)

func TestSameTermsLeadToTheSameSession(t *testing.T) {
	who := startPaidNode(t, 100)
	before := who.state()
	if _, err := who.openWith(nil, 0); err != nil {
		t.Fatal(err)
	}
	after := who.state()
	before.IssueTime, after.IssueTime = nil, nil
	if !proto.Equal(before, after) || after.GetDeposited() != 100 {
		t.Errorf("%v became %v", before, after)
	}
}

func TestTermsThatTheCardDoesNotOfferAreRefused(t *testing.T) {
	who := startPaidNode(t, 0)
	onCredit := func(terms *v1.SessionTerms) {
		terms.Backing, terms.Issuer, terms.CreditLimit = v1.Backing_BACKING_CREDIT, terms.Payer, 100_001
	}
	for name, bad := range map[string]struct {
		reason string
		change func(*v1.SessionTerms)
	}{
		"another payer's":       {"SIGNER_WRONG", func(s *v1.SessionTerms) { s.Payer = publicOf(newKey(t)) }},
		"with half a salt":      {"FIELD_INVALID", func(s *v1.SessionTerms) { s.Salt = s.Salt[:8] }},
		"with an odd issuer":    {"FIELD_INVALID", func(s *v1.SessionTerms) { s.Issuer = s.Payer }},
		"for another node":      {"AUDIENCE_WRONG", func(s *v1.SessionTerms) { s.Payee = s.Payer; s.Issuer = s.Payer }},
		"on another rail":       {"TERMS_REFUSED", func(s *v1.SessionTerms) { s.RailId = "ln.l402" }},
		"on another network":    {"TERMS_REFUSED", func(s *v1.SessionTerms) { s.Network = "bitcoin" }},
		"in another asset":      {"TERMS_REFUSED", func(s *v1.SessionTerms) { s.Asset = "BTC/11" }},
		"over too much credit":  {"TERMS_REFUSED", onCredit},
		"in escrow of nobody's": {"TERMS_REFUSED", func(s *v1.SessionTerms) { s.Backing = 3; s.Issuer = publicOf(newKey(t)) }},
	} {
		terms := who.prepaid()
		bad.change(terms)
		who.terms = who.signed(who.key, terms)
		_, err := who.openWith(nil, 0)
		t.Log(name)
		expectReason(t, err, bad.reason)
	}
	who.terms.Signature = nil // its own fields are judged by the steps that open an envelope alone
	_, err := who.openWith(nil, 0)
	expectReason(t, err, "SIGNATURE_MISSING")
	who.open(who.prepaid())
}

func TestDepositIsOneHoweverOftenItIsAskedFor(t *testing.T) {
	who := startPaidNode(t, 0)
	id := random(16)
	first, err := who.openWith(id, 100)
	if err != nil {
		t.Fatal(err)
	}
	again, err := who.openWith(id, 100)
	if err != nil || !proto.Equal(first.GetInstruction(), again.GetInstruction()) {
		t.Errorf("another instruction: %v", err)
	}
	_, err = who.openWith(id, 101)
	expectReason(t, err, "DEPOSIT_INVALID")
	for range 3 {
		confirmed, err := who.confirm(id, first.GetInstruction().GetDetail())
		if err != nil || confirmed.GetStatus() != v1.TransferStatus_TRANSFER_STATUS_SUCCEEDED {
			t.Errorf("%v, %v", confirmed.GetStatus(), err)
		}
	}
	if state := who.state(); state.GetDeposited() != 100 {
		t.Errorf("credited are %d", state.GetDeposited())
	}
	if arrived, err := who.openWith(id, 100); err != nil || arrived.GetInstruction() != nil {
		t.Errorf("how to make what has arrived: %v, %v", arrived.GetInstruction(), err)
	}
}

func TestDepositOutsideItsBoundsIsRefusedAndLeavesNothing(t *testing.T) {
	who := startPaidNode(t, 0)
	for _, amount := range []int64{9, 1_000_001} {
		_, err := who.openWith(random(16), amount)
		expectReason(t, err, "DEPOSIT_INVALID")
	}
	terms := who.prepaid()
	terms.Backing, terms.Issuer, terms.CreditLimit = v1.Backing_BACKING_CREDIT, terms.Payer, 50
	who.terms = who.signed(who.key, terms)
	_, err := who.openWith(random(16), 100)
	expectReason(t, err, "DEPOSIT_INVALID")
	id := wire.DigestOf(who.terms)
	call := &v1.GetSessionCall{Header: who.head("GetSession"), SessionId: id[:]}
	_, err = who.pays.GetSession(who.ctx, &v1.GetSessionRequest{Call: who.signed(who.key, call)})
	expectReason(t, err, "SESSION_UNKNOWN")
}

func TestPayerIsGivenSoMuchAndNoMore(t *testing.T) {
	who := startPaidNode(t, 0)
	for range 5 {
		who.deposit(1_000_000)
	}
	who.open(who.prepaid())
	for range 5 {
		who.deposit(1_000_000)
	}
	_, err := who.openWith(random(16), 10)
	expectReason(t, err, "DEPOSIT_INVALID")
	if _, err := who.withdraw(random(16), 10); err != nil {
		t.Fatal(err)
	}
	who.deposit(10) // what was released can be given again
	newPayer(who.another(), 1_000_000)
}

func TestHoldThatIsForSomethingElseIsNotCredited(t *testing.T) {
	who := startPaidNode(t, 0)
	id := random(16)
	started, err := who.openWith(id, 100)
	if err != nil {
		t.Fatal(err)
	}
	held := func(change func(*v1.Hold)) *v1.Hold {
		hold := &v1.Hold{
			Issuer: publicOf(who.root), SessionId: who.session, DepositId: id, Amount: 100, ExpireTime: after(time.Minute),
		}
		change(hold)
		return hold
	}
	wrap := func(message proto.Message) *anypb.Any {
		wrapped, err := anypb.New(message)
		if err != nil {
			t.Fatal(err)
		}
		return wrapped
	}
	byIssuer := func(change func(*v1.Hold)) *anypb.Any { return wrap(who.signed(who.root, held(change))) }
	unchanged := held(func(*v1.Hold) {})
	for name, proof := range map[string]*anypb.Any{
		"nothing":                  nil,
		"no envelope":              wrap(unchanged),
		"signed by the payer":      wrap(who.signed(who.key, unchanged)),
		"the payer's own":          wrap(who.signed(who.key, held(func(h *v1.Hold) { h.Issuer = publicOf(who.key) }))),
		"of another type":          wrap(who.terms),
		"for another session":      byIssuer(func(h *v1.Hold) { h.SessionId = random(32) }),
		"for another deposit":      byIssuer(func(h *v1.Hold) { h.DepositId = random(16) }),
		"over another amount":      byIssuer(func(h *v1.Hold) { h.Amount = 101 }),
		"of a time that has ended": byIssuer(func(h *v1.Hold) { h.ExpireTime = after(-time.Second) }),
		"of half an id":            byIssuer(func(h *v1.Hold) { h.DepositId = h.DepositId[:8] }),
	} {
		_, err := who.confirm(id, proof)
		t.Log(name)
		expectReason(t, err, "DEPOSIT_INVALID")
	}
	_, err = who.confirm(random(16), started.GetInstruction().GetDetail())
	expectReason(t, err, "DEPOSIT_INVALID")
	if state := who.state(); state.GetDeposited() != 0 {
		t.Errorf("credited are %d", state.GetDeposited())
	}
	if _, err := who.confirm(id, byIssuer(func(*v1.Hold) {})); err != nil { // handed over by the operator
		t.Error(err)
	}
}

func TestEscrowIsBackedByTheHoldsOfItsIssuer(t *testing.T) {
	issuer := newKey(t)
	who := newPayer(startNodeWith(t, &prices{issuers: []string{wire.IDText(publicOf(issuer))}}), 0)
	terms := who.prepaid()
	terms.Backing, terms.Issuer = v1.Backing_BACKING_ESCROW, publicOf(issuer)
	who.open(terms)
	id := random(16)
	started, err := who.openWith(id, 60)
	if err != nil || started.GetInstruction().GetDetail() != nil {
		t.Fatalf("%v, %v", started, err)
	}
	hold := who.signed(issuer, &v1.Hold{
		Issuer: publicOf(issuer), SessionId: who.session, DepositId: id, Amount: 60, ExpireTime: after(time.Minute),
	})
	proof, err := anypb.New(hold)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := who.confirm(id, proof); err != nil {
		t.Fatal(err)
	}
	quote, _ := who.scriptQuote()
	ask := who.scripted(token("word"))
	_, _, receipt := who.settled(quote, ask, nil, who.follow(who.pay(quote, ask, 50)))
	reference := wire.DigestOf(hold)
	commitment := sha256.Sum256(append(make([]byte, 32), reference[:]...))
	if string(receipt.GetFundingCommitment()) != string(commitment[:]) || receipt.GetCharge() == 0 {
		t.Errorf("the receipt commits to something else: %v", receipt)
	}
}

func TestVouchersOnlyRise(t *testing.T) {
	who := startPaidNode(t, 100)
	for _, step := range []struct{ voucher, authorized int64 }{{0, 0}, {40, 40}, {40, 40}, {10, 40}, {41, 41}, {100, 100}} {
		state, err := who.submit(step.voucher)
		if err != nil || state.GetAuthorized() != step.authorized {
			t.Errorf("a voucher over %d: %v, %v", step.voucher, state, err)
		}
		highest := &v1.Voucher{}
		if state.GetVoucher() != nil {
			if err := wire.Open(state.GetVoucher(), highest, (*v1.Voucher).GetPayer); err != nil {
				t.Fatal(err)
			}
		}
		if highest.GetCumulative() != step.authorized {
			t.Errorf("the state carries a voucher over %d", highest.GetCumulative())
		}
	}
	_, err := who.submit(101)
	balance := expectReason(t, err, "BALANCE_TOO_LOW")
	if balance.GetAvailable() != 100 || balance.GetRequiredCumulative() != 101 || balance.GetVoucher() == nil {
		t.Errorf("the refusal carries %v", balance)
	}
	for reason, voucher := range map[string]*v1.SignedEnvelope{
		"ENVELOPE_MALFORMED": nil,
		"PAYLOAD_TYPE_WRONG": who.terms,
		"SIGNATURE_MISSING":  {PayloadType: "consilience.v1.Voucher", PublicKey: publicOf(who.key)},
		"SIGNER_WRONG":       who.signed(who.root, &v1.Voucher{Payer: publicOf(who.key), SessionId: who.session}),
		"FIELD_INVALID":      who.signed(who.key, &v1.Voucher{Payer: publicOf(who.key), SessionId: who.session, Cumulative: -1}),
		"SESSION_UNKNOWN":    who.signed(who.root, &v1.Voucher{Payer: publicOf(who.root), SessionId: who.session}),
	} {
		_, err := who.pays.SubmitVoucher(who.ctx, &v1.SubmitVoucherRequest{Voucher: voucher})
		expectReason(t, err, reason)
	}
	if state := who.state(); state.GetAuthorized() != 100 {
		t.Errorf("authorized are %d", state.GetAuthorized())
	}
}

func TestCreditIsSpentAndNeverPaidOut(t *testing.T) {
	who := startPaidNode(t, 0)
	terms := who.prepaid()
	terms.Backing, terms.Issuer, terms.CreditLimit = v1.Backing_BACKING_CREDIT, terms.Payer, 100
	who.open(terms)
	if _, err := who.submit(100); err != nil {
		t.Fatal(err)
	}
	_, err := who.submit(101)
	expectReason(t, err, "BALANCE_TOO_LOW")
	_, err = who.withdraw(random(16), 1)
	expectReason(t, err, "WITHDRAWAL_INVALID")
	quote, _ := who.scriptQuote()
	ask := who.scripted(token("word"))
	_, _, receipt := who.settled(quote, ask, nil, who.follow(who.pay(quote, ask, 0)))
	if receipt.GetCharge() == 0 || receipt.GetFundingCommitment() != nil {
		t.Errorf("%v", receipt)
	}
	if _, err := who.close(); err != nil {
		t.Fatal(err)
	}
	_, err = who.withdraw(random(16), 1)
	expectReason(t, err, "WITHDRAWAL_INVALID")
}

func TestWithdrawalIsPaidOnceHoweverOftenItIsAskedFor(t *testing.T) {
	who := startPaidNode(t, 100)
	if _, err := who.submit(40); err != nil {
		t.Fatal(err)
	}
	_, err := who.withdraw(random(16), 61)
	if balance := expectReason(t, err, "WITHDRAWAL_INVALID"); balance.GetVoucher() == nil {
		t.Error("the refusal does not carry the voucher")
	}
	id := random(16)
	first, err := who.withdraw(id, 60)
	if err != nil {
		t.Fatal(err)
	}
	again, err := who.withdraw(id, 60)
	if err != nil || !proto.Equal(first.GetDetail(), again.GetDetail()) {
		t.Errorf("another payout: %v", err)
	}
	envelope, release := &v1.SignedEnvelope{}, &v1.HoldRelease{}
	if err := again.GetDetail().UnmarshalTo(envelope); err != nil {
		t.Fatal(err)
	}
	if err := wire.Open(envelope, release, (*v1.HoldRelease).GetSigningKey); err != nil {
		t.Fatal(err)
	}
	if release.GetAmount() != 60 || string(release.GetSessionId()) != string(who.session) {
		t.Errorf("released is %v", release)
	}
	_, err = who.withdraw(id, 59)
	expectReason(t, err, "WITHDRAWAL_INVALID")
	_, err = who.withdraw(random(16), 1)
	expectReason(t, err, "WITHDRAWAL_INVALID")
	if state := who.state(); state.GetWithdrawn() != 60 {
		t.Errorf("withdrawn are %d", state.GetWithdrawn())
	}
}

func TestClosedSessionGivesBackWhatWasAuthorizedAndNotSpent(t *testing.T) {
	who := startPaidNode(t, 100)
	if _, err := who.submit(100); err != nil {
		t.Fatal(err)
	}
	_, err := who.withdraw(random(16), 1)
	expectReason(t, err, "WITHDRAWAL_INVALID")
	for range 2 {
		if state, err := who.close(); err != nil || state.GetStatus() != v1.SessionStatus_SESSION_STATUS_CLOSED {
			t.Fatalf("%v, %v", state, err)
		}
	}
	_, err = who.submit(100)
	if balance := expectReason(t, err, "SESSION_CLOSED"); balance.GetVoucher() == nil {
		t.Error("the refusal does not carry the voucher")
	}
	_, err = who.openWith(random(16), 100)
	expectReason(t, err, "SESSION_CLOSED")
	_, err = who.confirm(random(16), nil)
	expectReason(t, err, "SESSION_CLOSED")
	quote, _ := who.scriptQuote()
	_, err = who.pay(quote, who.scripted(token("word")), 0).next()
	expectReason(t, err, "SESSION_CLOSED")
	if _, err := who.withdraw(random(16), 100); err != nil {
		t.Error(err)
	}
	if _, err := who.close(); err != nil {
		t.Error(err)
	}
}

func TestSessionIsShownToItsPayerAlone(t *testing.T) {
	who := startPaidNode(t, 100)
	stranger := newPayer(who.another(), 0)
	own := stranger.session
	for _, session := range [][]byte{who.session, random(32)} {
		stranger.session = session
		call := &v1.GetSessionCall{Header: stranger.head("GetSession"), SessionId: session}
		_, get := who.pays.GetSession(who.ctx, &v1.GetSessionRequest{Call: who.signed(stranger.key, call)})
		_, confirm := stranger.confirm(random(16), nil)
		_, submit := stranger.submit(1)
		_, withdraw := stranger.withdraw(random(16), 1)
		_, closing := stranger.close()
		for _, err := range []error{get, confirm, submit, withdraw, closing} {
			expectReason(t, err, "SESSION_UNKNOWN")
			if err.Error() != get.Error() {
				t.Errorf("%v tells more than %v", err, get)
			}
		}
	}
	stranger.session = own
	stranger.state()
}

func TestQuoteIsMadeForEverySkillModelAndAsset(t *testing.T) {
	who := startPaidNode(t, 0)
	for _, asked := range []struct{ skill, model, asset, tariff, reason string }{
		{skill: "units.convert"},
		{skill: "units.table", tariff: "table"},
		{skill: "units.table", asset: "TEST/0", tariff: "table"},
		{skill: "units.table", asset: "TEST/3", tariff: "table-by-the-byte"},
		{skill: "conformance.script", model: "conformance/script", tariff: "script"},
		{skill: "cooking", reason: "SKILL_UNKNOWN"},
		{skill: "units.table", model: "conformance/script", reason: "MODEL_UNKNOWN"},
		{skill: "units.table", asset: "BTC/11", reason: "TERMS_REFUSED"},
	} {
		_, quote, err := who.quoted(asked.skill, asked.model, asked.asset)
		if asked.reason != "" {
			expectReason(t, err, asked.reason)
		} else if err != nil || quote.GetTariff().GetId() != asked.tariff {
			t.Errorf("%v: %v, %v", asked, quote, err)
		}
	}
}

func TestCallerWhoAsksForTooManyQuotesIsRefused(t *testing.T) {
	who := startPaidNode(t, 0)
	for range quotesPerMinute {
		if _, _, err := who.quoted("units.convert", "", ""); err != nil {
			t.Fatal(err)
		}
	}
	_, _, err := who.quoted("units.convert", "", "")
	expectReason(t, err, "LIMIT_EXCEEDED")
	if over := detailOf[*v1.LimitExceeded](err); over.GetLimit() != "max_quotes_per_minute" {
		t.Errorf("the limit is %v", over)
	}
	other := &payer{asker: who.another(), pays: who.pays}
	if _, _, err := other.quoted("units.convert", "", ""); err != nil {
		t.Error(err)
	}
}
