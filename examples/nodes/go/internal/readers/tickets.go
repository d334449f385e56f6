// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package readers

import (
	"bytes"
	"crypto/sha256"
	"time"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
	"consilience.dev/examples/units/internal/wire"
)

// Day is what a ticket tells of the time of an acceptance.
const Day = 24 * time.Hour

// ReviewerCommitment returns what an ask carries to get a ticket for a reviewer (4.1).
func ReviewerCommitment(reviewer, salt []byte) [sha256.Size]byte {
	return sha256.Sum256(append(bytes.Clone(reviewer), salt...))
}

// CheckTicket checks the ticket that an ask was accepted with (4.1).
func CheckTicket(cardEnvelope, askEnvelope *v1.SignedEnvelope, accepted *v1.Accepted) error {
	card, ask, ticket := &v1.NodeCard{}, &v1.Ask{}, &v1.ReviewTicket{}
	if err := wire.Open(cardEnvelope, card, (*v1.NodeCard).GetNodeId); err != nil {
		return err
	}
	caller := func(opened *v1.Ask) []byte { return opened.GetHeader().GetCaller() }
	if err := wire.Open(askEnvelope, ask, caller); err != nil {
		return err
	}
	if err := open(accepted.GetTicket(), ticket, (*v1.ReviewTicket).GetSigningKey); err != nil {
		return err
	}
	switch {
	case !bytes.Equal(ticket.GetNodeId(), card.GetNodeId()), ticket.GetSkillId() != ask.GetSkillId(),
		!bytes.Equal(ticket.GetReviewerCommitment(), ask.GetReviewerCommitment()):
		return broken("REV-TKT-001", "the ticket is of another node, skill or reviewer")
	case !signs(card, ticket.GetSigningKey(), accepted.GetAcceptTime()):
		return broken("REV-TKT-001", "the key is none of the card's, or had expired")
	case !ticket.GetIssueDay().AsTime().Equal(accepted.GetAcceptTime().AsTime().Truncate(Day)):
		return broken("REV-TKT-001", "the ticket is of another day")
	}
	return nil
}
