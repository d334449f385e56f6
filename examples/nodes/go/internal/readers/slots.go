// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package readers

import (
	"bytes"
	"cmp"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
	"consilience.dev/examples/units/internal/wire"
)

// DecideSlot tells what a registry says to a record whose slot another one holds (4.4).
func DecideSlot(held, newcomer *Place) (v1.PublishOutcome, error) {
	if wins(newcomer, held) {
		return v1.PublishOutcome_PUBLISH_OUTCOME_STORED, nil
	}
	retracted := held.Type == v1.RecordType_RECORD_TYPE_RETRACTION
	switch newcomer.Type {
	case v1.RecordType_RECORD_TYPE_KEY_SUCCESSION:
		return 0, wire.Refuse(v1.ErrorReason_ERROR_REASON_SUCCESSION_INVALID, "another succession was there before")
	case v1.RecordType_RECORD_TYPE_REVIEW, v1.RecordType_RECORD_TYPE_ADVISORY:
		if retracted {
			return 0, wire.Refuse(v1.ErrorReason_ERROR_REASON_RECORD_RETRACTED, "its author has taken it back")
		}
		if newcomer.Type == v1.RecordType_RECORD_TYPE_REVIEW {
			return 0, wire.Refuse(v1.ErrorReason_ERROR_REASON_TICKET_USED, "there is another review of this ticket")
		}
	}
	return v1.PublishOutcome_PUBLISH_OUTCOME_SUPERSEDED, nil
}

func wins(newcomer, held *Place) bool {
	later := newcomer.IssueTime.Compare(held.IssueTime)
	switch newcomes, holds := isRetraction(newcomer), isRetraction(held); {
	case newcomes && holds:
		later = newcomer.End.Compare(held.End)
	case newcomes:
		return !newcomer.End.Before(held.End)
	case holds:
		return held.End.Before(newcomer.End)
	case newcomer.Type == v1.RecordType_RECORD_TYPE_KEY_SUCCESSION:
		return false
	case newcomer.Type == v1.RecordType_RECORD_TYPE_REVIEW:
		later = -later
	}
	return cmp.Or(later, bytes.Compare(held.Digest[:], newcomer.Digest[:])) > 0
}

func isRetraction(place *Place) bool { return place.Type == v1.RecordType_RECORD_TYPE_RETRACTION }
