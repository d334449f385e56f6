// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package payments

import (
	"crypto/ed25519"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
	"consilience.dev/examples/units/internal/wire"
)

func TestAdmissionThatIsTakenBackLeavesNothing(t *testing.T) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	payer, now := make([]byte, 32), time.Now()
	tariff := &v1.Tariff{Id: "t", Asset: "TEST/0", Prices: []*v1.UnitPrice{{Unit: 1, Price: 1, Per: 1}}}
	p := New(key, &v1.Rail{Id: "hold.v1"}, 1,
		&v1.Quote{Tariff: tariff, Window: 10, MaxCharge: 100, MaxAsks: 1, TotalMaxCharge: 100})
	s := p.newSession(&v1.SessionTerms{Payer: payer, Asset: "TEST/0", RailId: "hold.v1"}, wire.Digest{})
	s.state.Deposited, s.state.Authorized = 10, 10
	p.sessions[wire.Digest{}] = s
	card := wire.Digest{}
	quote, err := p.Quote(payer, &v1.Skill{Id: "s", TariffIds: []string{"t"}}, "", "", card, now)
	if err != nil {
		t.Fatal(err)
	}
	digest := wire.DigestOf(quote)
	ask := &v1.Ask{
		Header: &v1.CallHeader{Caller: payer}, SkillId: "s", CardDigest: card[:],
		Payment: &v1.AskPayment{QuoteDigest: digest[:], SessionId: s.state.GetSessionId()},
	}
	before := proto.CloneOf(s.state)
	for range 3 { // each of which would use the quote up, and all that is authorized
		bill, err := p.Admit(&v1.AskRequest{Quote: quote}, ask, wire.Digest{}, now)
		if err != nil {
			t.Fatal(err)
		}
		if s.state.GetReserved() != 10 {
			t.Errorf("reserved are %d", s.state.GetReserved())
		}
		bill.Abandon()
		if !proto.Equal(s.state, before) {
			t.Errorf("%v became %v", before, s.state)
		}
	}
}
