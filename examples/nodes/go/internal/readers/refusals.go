// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package readers

import (
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/genproto/googleapis/rpc/status"

	"consilience.dev/examples/units/internal/wire"
)

// ReadRefusal returns the reason in a status, and the full names of its other details (5.3).
func ReadRefusal(received *status.Status) (reason string, details []string, err error) {
	refused := false
	details = []string{}
	for _, detail := range received.GetDetails() {
		info := &errdetails.ErrorInfo{}
		if detail.UnmarshalTo(info) == nil && info.GetDomain() == wire.Domain {
			reason, refused = info.GetReason(), true
		} else if !detail.MessageIs(info) {
			details = append(details, string(detail.MessageName()))
		}
	}
	if !refused {
		return "", nil, broken("ERR-STAT-001", "no ErrorInfo of this protocol: a matter of the transport")
	}
	return reason, details, nil
}
