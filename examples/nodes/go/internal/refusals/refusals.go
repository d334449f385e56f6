// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

// Package refusals says no in a way that a program can act on: docs/spec/5-errors.md.
package refusals

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
)

const (
	// Domain is that of the ErrorInfo of every refusal (ERR-STAT-001).
	Domain = "consilience.dev"

	prefix         = "ERROR_REASON_"
	maxStatusBytes = 4096 // ERR-STAT-004
	maxEntries     = 64   // of a list in a detail, before it is measured
)

// Refusal is an error that becomes a gRPC status with its details.
type Refusal struct {
	Reason  v1.ErrorReason
	Message string
	Details []proto.Message
}

// New makes a refusal. The details are those that the catalogue names for the reason.
func New(reason v1.ErrorReason, message string, details ...proto.Message) error {
	return &Refusal{Reason: reason, Message: message, Details: details}
}

// Limit refuses what breaks a limit of the card, in the unit of its field.
func Limit(limit string, maximum, requested int64) error {
	return New(v1.ErrorReason_ERROR_REASON_LIMIT_EXCEEDED,
		fmt.Sprintf("%s is %d here, and the call needs %d", limit, maximum, requested),
		&v1.LimitExceeded{Limit: limit, Maximum: maximum, Requested: requested})
}

// Unsupported refuses the value of a field, and lists those that would do.
func Unsupported(reason v1.ErrorReason, field string, values ...string) error {
	message := fmt.Sprintf("%s names what is not offered here", field)
	return New(reason, message, &v1.Supported{Field: field, Values: values})
}

// AtTime refuses for what the node's clock says.
func AtTime(reason v1.ErrorReason, message string, now time.Time) error {
	return New(reason, message, &v1.ServerTime{ServerTime: timestamppb.New(now.Truncate(time.Microsecond))})
}

// After refuses for now, and tells how long to wait.
func After(reason v1.ErrorReason, message string, wait time.Duration) error {
	return New(reason, message, &errdetails.RetryInfo{RetryDelay: durationpb.New(max(wait, time.Second))})
}

// Name returns the reason as it travels.
func Name(reason v1.ErrorReason) string { return strings.TrimPrefix(reason.String(), prefix) }

// Error returns the reason and the message.
func (r *Refusal) Error() string { return Name(r.Reason) + ": " + r.Message }

// GRPCStatus returns the status that grpc-go sends for this error. Lists are shortened until it fits.
func (r *Refusal) GRPCStatus() *status.Status {
	grpcCode, _ := Catalogue(r.Reason)
	for limit := maxEntries; ; limit /= 2 {
		encoded := &rpcstatus.Status{Code: int32(grpcCode), Message: r.Message, Details: r.packed(limit)}
		if proto.Size(encoded) <= maxStatusBytes || limit == 0 {
			return status.FromProto(encoded)
		}
	}
}

// packed returns ErrorInfo and the details, with at most so many entries in a list.
func (r *Refusal) packed(limit int) []*anypb.Any {
	details := append([]proto.Message{&errdetails.ErrorInfo{Reason: Name(r.Reason), Domain: Domain}}, r.Details...)
	packed := make([]*anypb.Any, 0, len(details))
	for _, detail := range details {
		switch list := detail.(type) {
		case *errdetails.BadRequest:
			fields := list.GetFieldViolations()
			detail = &errdetails.BadRequest{FieldViolations: fields[:min(limit, len(fields))]}
		case *v1.Supported:
			values := list.GetValues()
			detail = &v1.Supported{Field: list.GetField(), Values: values[:min(limit, len(values))]}
		}
		if wrapped, err := anypb.New(detail); err == nil {
			packed = append(packed, wrapped)
		}
	}
	return packed
}

// Catalogue returns the gRPC code of a reason and the full name of its detail, as the proto states them.
func Catalogue(reason v1.ErrorReason) (codes.Code, string) {
	options := reason.Descriptor().Values().ByNumber(reason.Number()).Options()
	grpcCode, _ := proto.GetExtension(options, v1.E_GrpcCode).(code.Code)
	detail, _ := proto.GetExtension(options, v1.E_DetailMessage).(string)
	return codes.Code(grpcCode), detail
}
