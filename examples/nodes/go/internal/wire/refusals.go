// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
)

const (
	// Domain is that of the ErrorInfo of every refusal (ERR-STAT-001).
	Domain = "consilience.dev"

	maxStatusBytes = 4096 // ERR-STAT-004
	maxEntries     = 64   // of a list in a detail, before it is measured
)

// Refuse returns a refusal as it travels (5.1). The details are those that the catalogue names for the reason; their
// lists are shortened until they fit.
func Refuse(reason v1.ErrorReason, message string, details ...protoadapt.MessageV1) error {
	grpcCode, _ := Catalogue(reason)
	all := append([]protoadapt.MessageV1{&errdetails.ErrorInfo{Reason: Name(reason), Domain: Domain}}, details...)
	for longest := maxEntries; ; longest /= 2 {
		for _, detail := range details {
			switch list := detail.(type) {
			case *errdetails.BadRequest:
				list.FieldViolations = list.FieldViolations[:min(longest, len(list.FieldViolations))]
			case *v1.Supported:
				list.Values = list.Values[:min(longest, len(list.Values))]
			}
		}
		refusal, err := status.New(grpcCode, message).WithDetails(all...)
		if err != nil {
			return err
		}
		if longest == 0 || proto.Size(refusal.Proto()) <= maxStatusBytes {
			return refusal.Err()
		}
	}
}

// Catalogue returns the gRPC code of a reason and the full name of its detail, as the proto states them.
func Catalogue(reason v1.ErrorReason) (codes.Code, string) {
	options := reason.Descriptor().Values().ByNumber(reason.Number()).Options()
	grpcCode, _ := proto.GetExtension(options, v1.E_GrpcCode).(code.Code)
	detail, _ := proto.GetExtension(options, v1.E_DetailMessage).(string)
	return codes.Code(grpcCode), detail
}

// Name returns a reason as it travels.
func Name(reason v1.ErrorReason) string { return strings.TrimPrefix(reason.String(), "ERROR_REASON_") }

// RefuseUnsupported refuses the value of a field, and lists those that would do.
func RefuseUnsupported(reason v1.ErrorReason, field string, values []string) error {
	return Refuse(reason, field+" names what is not offered here", &v1.Supported{Field: field, Values: values})
}

// RefuseAt refuses for what the node's clock says.
func RefuseAt(now time.Time, reason v1.ErrorReason) error {
	return Refuse(reason, "by this clock it is another time", &v1.ServerTime{ServerTime: Instant(now)})
}

// RefuseFor refuses for now, and tells how long to wait.
func RefuseFor(wait time.Duration, reason v1.ErrorReason, message string) error {
	return Refuse(reason, message, &errdetails.RetryInfo{RetryDelay: durationpb.New(wait)})
}

// CheckLimit refuses what breaks a limit of the card.
func CheckLimit[M, R int | int32 | int64](limit string, maximum M, requested R) error {
	if int64(requested) <= int64(maximum) {
		return nil
	}
	return Refuse(v1.ErrorReason_ERROR_REASON_LIMIT_EXCEEDED,
		fmt.Sprintf("%s is %d here, and the call needs %d", limit, maximum, requested),
		&v1.LimitExceeded{Limit: limit, Maximum: int64(maximum), Requested: int64(requested)})
}
