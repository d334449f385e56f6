// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package readers

import (
	"bytes"
	"cmp"
	"errors"
	"time"

	"google.golang.org/protobuf/proto"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
	"consilience.dev/examples/units/internal/wire"
)

const (
	maxRecordBytes = 65536
	lifetime       = 730 * Day
	scriptSkill    = "conformance.script"
)

// Place is where a record belongs (the first table of 4.4). A succession has no End.
type Place struct {
	Type, SlotType        v1.RecordType
	Author, Subject, Slot []byte
	IssueTime, End        time.Time
	Digest                wire.Digest
}

// Quota is how many slots an author has for records of a type; a retraction counts with its target.
var Quota = map[v1.RecordType]int{
	v1.RecordType_RECORD_TYPE_NODE_CARD:      1,
	v1.RecordType_RECORD_TYPE_KEY_SUCCESSION: 1,
	v1.RecordType_RECORD_TYPE_REVIEW:         10_000,
	v1.RecordType_RECORD_TYPE_REBUTTAL:       10_000,
	v1.RecordType_RECORD_TYPE_ADVISORY:       1_000,
}

// admitted is a record on its way through the steps: its place, and what is still to be checked of its type.
type admitted struct {
	place Place
	rest  func() error
}

// CheckRecord takes steps 1 to 8 of 4.4 by the reader's clock, and returns the place of a record that passes. What is
// wanted to stand on a card stands on the one beside it.
func CheckRecord(record *v1.Record, now time.Time) (*Place, error) {
	if err := wire.CheckLimit("record_bytes", maxRecordBytes, len(record.GetObject().GetPayload())); err != nil {
		return nil, err
	}
	opened, err := openRecord(record, now)
	if err != nil {
		return nil, err
	}
	place := &opened.place
	place.Digest = wire.DigestOf(record.GetObject())
	switch {
	case place.Type == v1.RecordType_RECORD_TYPE_NODE_CARD: // whose steps 4 and 5 are those of 1.2
	case place.IssueTime.After(now.Add(wire.ClockSkew)):
		return nil, wire.RefuseAt(now, v1.ErrorReason_ERROR_REASON_RECORD_NOT_YET_VALID)
	case !place.End.IsZero() && !place.End.After(now):
		return nil, wire.RefuseAt(now, v1.ErrorReason_ERROR_REASON_RECORD_EXPIRED)
	}
	return place, opened.rest()
}

// openRecord takes steps 2 and 3.
func openRecord(record *v1.Record, now time.Time) (*admitted, error) {
	object, card := record.GetObject(), record.GetCard()
	switch object.GetPayloadType() {
	case "consilience.v1.NodeCard":
		return openCard(object, now)
	case "consilience.v1.KeySuccession":
		return openSuccession(object, card)
	case "consilience.v1.Review":
		return openReview(object, card)
	case "consilience.v1.Rebuttal":
		return openRebuttal(object, card)
	case "consilience.v1.Retraction":
		retraction := &v1.Retraction{}
		err := open(object, retraction, (*v1.Retraction).GetAuthor)
		return &admitted{Place{
			Type: v1.RecordType_RECORD_TYPE_RETRACTION, SlotType: retraction.GetTargetType(),
			Author: retraction.GetAuthor(), Subject: retraction.GetSubject(), Slot: retraction.GetTargetDigest(),
			IssueTime: retraction.GetIssueTime().AsTime(), End: retraction.GetExpireTime().AsTime(),
		}, nothing}, err
	case "consilience.v1.Advisory":
		advisory, digest := &v1.Advisory{}, wire.DigestOf(object)
		err := open(object, advisory, (*v1.Advisory).GetAuthor)
		return &admitted{Place{
			Type: v1.RecordType_RECORD_TYPE_ADVISORY, SlotType: v1.RecordType_RECORD_TYPE_ADVISORY,
			Author: advisory.GetAuthor(), Subject: append(advisory.GetNodeId(), advisory.GetWeightsDigest()...),
			Slot: digest[:], IssueTime: advisory.GetIssueTime().AsTime(), End: advisory.GetExpireTime().AsTime(),
		}, nothing}, err
	}
	return nil, wire.Refuse(v1.ErrorReason_ERROR_REASON_PAYLOAD_TYPE_WRONG, "no registry keeps a "+object.GetPayloadType())
}

func nothing() error { return nil }

// open checks an envelope by 0.3, and the rules of the fields that it carries.
func open[M proto.Message](envelope *v1.SignedEnvelope, message M, signer func(M) []byte) error {
	if err := wire.Open(envelope, message, signer); err != nil {
		return err
	}
	return wire.CheckFields(message)
}

func openCard(object *v1.SignedEnvelope, now time.Time) (*admitted, error) {
	card := &v1.NodeCard{}
	if err := open(object, card, (*v1.NodeCard).GetNodeId); err != nil {
		return nil, err
	}
	place := placeOfNode(v1.RecordType_RECORD_TYPE_NODE_CARD, card.GetNodeId(), time.UnixMicro(card.GetSequence()))
	place.End = card.GetExpireTime().AsTime()
	var unkept *Broken
	if err := CheckCard(object, now); !errors.As(err, &unkept) {
		return &admitted{place, nothing}, err
	}
	switch unkept.Requirement {
	case "NODE-CARD-003":
		return nil, wire.RefuseAt(now, v1.ErrorReason_ERROR_REASON_RECORD_NOT_YET_VALID)
	case "NODE-CARD-005":
		return nil, wire.RefuseAt(now, v1.ErrorReason_ERROR_REASON_RECORD_EXPIRED)
	}
	return nil, wire.Refuse(v1.ErrorReason_ERROR_REASON_FIELD_INVALID, unkept.Error())
}

func openSuccession(object, card *v1.SignedEnvelope) (*admitted, error) {
	handedOn, accepted := &v1.KeySuccession{}, &v1.KeyAcceptance{}
	err := open(object, handedOn, (*v1.KeySuccession).GetOldNodeId)
	if err == nil {
		err = open(handedOn.GetAcceptance(), accepted, (*v1.KeyAcceptance).GetNewNodeId)
	}
	issued := accepted.GetIssueTime().AsTime()
	place := placeOfNode(v1.RecordType_RECORD_TYPE_KEY_SUCCESSION, handedOn.GetOldNodeId(), issued)
	return &admitted{place, func() error {
		shown := &v1.NodeCard{}
		if wire.Open(card, shown, (*v1.NodeCard).GetNodeId) != nil || time.UnixMicro(shown.GetSequence()).After(issued) ||
			CheckSuccession(card, object) != nil {
			return wire.Refuse(v1.ErrorReason_ERROR_REASON_SUCCESSION_INVALID, "no earlier card commits to the new key")
		}
		return nil
	}}, err
}

// openReview takes steps 2 and 3 of a review; what is left are those of 4.2.
func openReview(object, card *v1.SignedEnvelope) (*admitted, error) {
	review, ticket, attestation := &v1.Review{}, &v1.ReviewTicket{}, &v1.PaymentAttestation{}
	attested := func() error {
		if review.GetAttestation() == nil {
			return nil
		}
		return wire.Open(review.GetAttestation(), attestation, (*v1.PaymentAttestation).GetSigningKey)
	}
	if err := wire.Open(object, review, (*v1.Review).GetReviewer); err != nil {
		return nil, err
	}
	if err := wire.Open(review.GetTicket(), ticket, (*v1.ReviewTicket).GetSigningKey); err != nil {
		return nil, err
	}
	if err := attested(); err != nil {
		return nil, err
	}
	rules := []error{wire.CheckFields(review), wire.CheckFields(ticket)}
	if review.GetAttestation() != nil {
		rules = append(rules, wire.CheckFields(attestation))
	}
	digest, day := wire.DigestOf(review.GetTicket()), ticket.GetIssueDay().AsTime()
	place := Place{
		Type: v1.RecordType_RECORD_TYPE_REVIEW, SlotType: v1.RecordType_RECORD_TYPE_REVIEW,
		Author: review.GetReviewer(), Subject: ticket.GetNodeId(), Slot: digest[:],
		IssueTime: review.GetIssueTime().AsTime(), End: day.Add(lifetime),
	}
	return &admitted{place, func() error {
		if err := checkTicketOf(review, ticket, attestation, digest); err != nil {
			return err
		}
		if err := checkKey(ticket.GetNodeId(), ticket.GetSigningKey(), day, card); err != nil {
			return err
		}
		if review.GetAttestation() == nil {
			return nil
		}
		return checkKey(ticket.GetNodeId(), attestation.GetSigningKey(), day, card)
	}}, cmp.Or(rules...)
}

// checkTicketOf takes steps 1 to 4 of 4.2.
func checkTicketOf(
	review *v1.Review, ticket *v1.ReviewTicket, attestation *v1.PaymentAttestation, digest wire.Digest,
) error {
	commitment := ReviewerCommitment(review.GetReviewer(), review.GetTicketSalt())
	wrong := ""
	switch {
	case !bytes.Equal(ticket.GetReviewerCommitment(), commitment[:]):
		wrong = "the ticket does not open for this reviewer and salt"
	case ticket.GetSkillId() == scriptSkill:
		wrong = "answers of " + scriptSkill + " are not reviewed"
	case review.GetIssueTime().AsTime().Before(ticket.GetIssueDay().AsTime()):
		wrong = "the review is older than its ticket"
	case review.GetAttestation() != nil && (!bytes.Equal(attestation.GetTicketDigest(), digest[:]) ||
		!bytes.Equal(attestation.GetNodeId(), ticket.GetNodeId())):
		wrong = "the attestation is of another ticket, or of another node"
	}
	if wrong == "" {
		return nil
	}
	return wire.Refuse(v1.ErrorReason_ERROR_REASON_TICKET_INVALID, wrong)
}

func openRebuttal(object, card *v1.SignedEnvelope) (*admitted, error) {
	rebuttal := &v1.Rebuttal{}
	err := open(object, rebuttal, (*v1.Rebuttal).GetSigningKey)
	issued := rebuttal.GetIssueTime().AsTime()
	place := placeOfNode(v1.RecordType_RECORD_TYPE_REBUTTAL, rebuttal.GetNodeId(), issued)
	place.Slot, place.End = rebuttal.GetTargetDigest(), issued.Add(lifetime)
	return &admitted{place, func() error {
		return checkKey(rebuttal.GetNodeId(), rebuttal.GetSigningKey(), issued, card)
	}}, err
}

func placeOfNode(of v1.RecordType, node []byte, issued time.Time) Place {
	return Place{Type: of, SlotType: of, Author: node, Subject: node, Slot: node, IssueTime: issued}
}

// checkKey tells that a key signs for a node at a time, by a card or none (4.4).
func checkKey(node, key []byte, at time.Time, cardEnvelope *v1.SignedEnvelope) error {
	if bytes.Equal(key, node) {
		return nil
	}
	card := &v1.NodeCard{}
	if len(cardEnvelope.GetPayload()) > maxCardBytes ||
		wire.Open(cardEnvelope, card, (*v1.NodeCard).GetNodeId) != nil || !bytes.Equal(card.GetNodeId(), node) ||
		time.UnixMicro(card.GetSequence()).After(at.Add(Day)) || !signs(card, key, wire.Instant(at)) {
		return wire.Refuse(v1.ErrorReason_ERROR_REASON_SIGNING_KEY_UNKNOWN, "no card shows that the key signs for the node")
	}
	return nil
}
