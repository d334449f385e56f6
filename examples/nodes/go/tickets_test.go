// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"strconv"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
	"consilience.dev/examples/units/internal/wire"
)

// ticketIn opens the ticket that a log begins with, and checks that its fields keep their rules.
func (a *asker) ticketIn(events []*v1.AnswerEvent) (*v1.SignedEnvelope, *v1.ReviewTicket) {
	a.t.Helper()
	envelope, ticket := events[0].GetAccepted().GetTicket(), &v1.ReviewTicket{}
	if err := wire.Open(envelope, ticket, (*v1.ReviewTicket).GetSigningKey); err != nil {
		a.t.Fatal(err)
	}
	if err := wire.CheckFields(ticket); err != nil {
		a.t.Error(err)
	}
	return envelope, ticket
}

func TestAskThatCommitsToAReviewerGetsATicket(t *testing.T) {
	who := startNode(t)
	ask := who.question("1 m in feet")
	ask.ReviewerCommitment = random(32)
	events := rest(t, who.ask(who.ctx, ask))
	_, ticket := who.ticketIn(events)
	day := events[0].GetAccepted().GetAcceptTime().AsTime().Truncate(24 * time.Hour)
	expected := &v1.ReviewTicket{
		NodeId: publicOf(who.root), SigningKey: publicOf(who.root), SkillId: ask.GetSkillId(),
		ReviewerCommitment: ask.GetReviewerCommitment(), IssueDay: wire.Instant(day),
	}
	if !proto.Equal(ticket, expected) {
		t.Errorf("%v, expected %v", ticket, expected)
	}
}

func TestAskThatCommitsToNobodyGetsNoTicket(t *testing.T) {
	who := startNode(t)
	if events := rest(t, who.ask(who.ctx, who.question("1 m in feet"))); events[0].GetAccepted().GetTicket() != nil {
		t.Errorf("%v", events[0])
	}
}

func TestPaidAnswerWithATicketIsAttested(t *testing.T) {
	who := startPaidNode(t, 1000)
	quote, _ := who.scriptQuote()
	ask := who.scripted(token("word"))
	ask.ReviewerCommitment = random(32)
	events := who.follow(who.pay(quote, ask, 100))
	log, _, receipt := who.settled(quote, ask, nil, events)
	attestation := &v1.PaymentAttestation{}
	if err := wire.Open(log.Final.GetAttestation(), attestation, (*v1.PaymentAttestation).GetSigningKey); err != nil {
		t.Fatal(err)
	}
	if err := wire.CheckFields(attestation); err != nil {
		t.Error(err)
	}
	ticket, _ := who.ticketIn(events)
	digest := wire.DigestOf(ticket)
	if !bytes.Equal(attestation.GetTicketDigest(), digest[:]) || !bytes.Equal(attestation.GetNodeId(), publicOf(who.root)) ||
		int(attestation.GetChargeDigits()) != len(strconv.FormatInt(receipt.GetCharge(), 10)) ||
		attestation.GetAsset() != receipt.GetAsset() || attestation.GetBacking() != receipt.GetBacking() {
		t.Errorf("%v for %v", attestation, receipt)
	}
}

func TestAnswerWithoutATicketOrAChargeIsNotAttested(t *testing.T) {
	who := startPaidNode(t, 1000)
	quote, _ := who.scriptQuote()
	free := who.question("1 m in feet")
	free.ReviewerCommitment = random(32)
	for name, events := range map[string][]*v1.AnswerEvent{
		"without a ticket": who.follow(who.pay(quote, who.scripted(token("word")), 100)),
		"free":             rest(t, who.ask(who.ctx, free)),
	} {
		if final := events[len(events)-1].GetFinal(); final == nil || final.GetAttestation() != nil {
			t.Errorf("%s: %v", name, final)
		}
	}
}
