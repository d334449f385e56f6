// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package envelopes

import (
	"bytes"
	"slices"
	"time"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
	"consilience.dev/examples/units/internal/refusals"
)

// ClockSkew is by how much two clocks may differ.
const ClockSkew = 30 * time.Second

// CheckAddress takes steps 2 to 4 of 0.4: the header is for this method, this node, and extensions that it knows.
func CheckAddress(header *v1.CallHeader, method string, node []byte, extensions []string) error {
	switch {
	case header.GetMethod() != method:
		return refusals.New(v1.ErrorReason_ERROR_REASON_METHOD_WRONG, "this is "+method)
	case !bytes.Equal(header.GetAudience(), node):
		return refusals.New(v1.ErrorReason_ERROR_REASON_AUDIENCE_WRONG, "the call is for another node")
	}
	for _, required := range header.GetRequiredExtensions() {
		if !slices.Contains(extensions, required) {
			return refusals.Unsupported(v1.ErrorReason_ERROR_REASON_EXTENSION_UNSUPPORTED,
				"header.required_extensions", extensions...)
		}
	}
	return nil
}

// CheckFreshness takes steps 5 and 6 of 0.4: the call is of now.
func CheckFreshness(header *v1.CallHeader, now time.Time) error {
	switch {
	case now.After(header.GetExpireTime().AsTime().Add(ClockSkew)):
		return refusals.AtTime(v1.ErrorReason_ERROR_REASON_CALL_EXPIRED, "the header has expired by this clock", now)
	case now.Before(header.GetIssueTime().AsTime().Add(-ClockSkew)):
		return refusals.AtTime(v1.ErrorReason_ERROR_REASON_CALL_NOT_YET_VALID,
			"the header is of the future by this clock", now)
	}
	return nil
}
