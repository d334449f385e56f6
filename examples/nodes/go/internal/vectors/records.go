// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package vectors

import (
	"errors"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
	"consilience.dev/examples/units/internal/payments"
	"consilience.dev/examples/units/internal/readers"
)

func reviewerCommitment(in Input) (Values, error) {
	commitment := readers.ReviewerCommitment(in.Reviewer, in.Salt)
	return Values{"reviewerCommitment": Bytes(commitment[:])}, nil
}

func ticketCheck(in Input) (Values, error) {
	card, ask, event := &v1.SignedEnvelope{}, &v1.SignedEnvelope{}, &v1.AnswerEvent{}
	if err := parse(map[*v1.SignedEnvelope]Bytes{card: in.Card, ask: in.Ask}); err != nil {
		return nil, err
	}
	if err := proto.Unmarshal(in.Accepted, event); err != nil {
		return nil, err
	}
	return Values{}, readers.CheckTicket(card, ask, event.GetAccepted())
}

func chargeDigits(in Input) (Values, error) {
	return Values{"chargeDigits": payments.Digits(in.Charge)}, nil
}

func recordCheck(in Input) (Values, error) {
	place, err := placeOf(in.Record, in.Now)
	if err != nil {
		return nil, err
	}
	end := ""
	if !place.End.IsZero() {
		end = shown(place.End)
	}
	return Values{
		"author": Bytes(place.Author), "subject": Bytes(place.Subject), "slot": Bytes(place.Slot),
		"issueTime": shown(place.IssueTime), "end": end, "quota": readers.Quota[place.SlotType],
	}, nil
}

func slotDecision(in Input) (Values, error) {
	held, errOfHeld := placeOf(in.Held, in.Now)
	newcomer, errOfNewcomer := placeOf(in.Newcomer, in.Now)
	if err := errors.Join(errOfHeld, errOfNewcomer); err != nil {
		return nil, err
	}
	outcome, err := readers.DecideSlot(held, newcomer)
	return Values{"outcome": strings.TrimPrefix(outcome.String(), "PUBLISH_OUTCOME_")}, err
}

func placeOf(encoded Bytes, now time.Time) (*readers.Place, error) {
	record := &v1.Record{}
	if err := proto.Unmarshal(encoded, record); err != nil {
		return nil, err
	}
	return readers.CheckRecord(record, now)
}

func shown(at time.Time) string { return at.UTC().Format(time.RFC3339Nano) }
