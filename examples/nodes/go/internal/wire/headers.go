// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
)

// ClockSkew is by how much two clocks may differ.
const ClockSkew = 30 * time.Second

// CheckAddress takes steps 2 to 4 of 0.4: the header is for this method, this node, and extensions that it knows.
func CheckAddress(header *v1.CallHeader, method string, node []byte, extensions []string) error {
	unknown := func(extension string) bool { return !slices.Contains(extensions, extension) }
	switch {
	case header.GetMethod() != method:
		return Refuse(v1.ErrorReason_ERROR_REASON_METHOD_WRONG, "this is "+method)
	case !bytes.Equal(header.GetAudience(), node):
		return Refuse(v1.ErrorReason_ERROR_REASON_AUDIENCE_WRONG, "the call is for another node")
	case slices.ContainsFunc(header.GetRequiredExtensions(), unknown):
		return RefuseUnsupported(v1.ErrorReason_ERROR_REASON_EXTENSION_UNSUPPORTED, "header.required_extensions", extensions)
	}
	return nil
}

// CheckFreshness takes steps 5 and 6 of 0.4: the call is of now.
func CheckFreshness(header *v1.CallHeader, now time.Time) error {
	switch {
	case now.After(header.GetExpireTime().AsTime().Add(ClockSkew)):
		return RefuseAt(now, v1.ErrorReason_ERROR_REASON_CALL_EXPIRED)
	case now.Before(header.GetIssueTime().AsTime().Add(-ClockSkew)):
		return RefuseAt(now, v1.ErrorReason_ERROR_REASON_CALL_NOT_YET_VALID)
	}
	return nil
}

// Instant cuts a time off to microseconds, which is what the protocol counts.
func Instant(at time.Time) *timestamppb.Timestamp {
	return timestamppb.New(at.Truncate(time.Microsecond))
}
