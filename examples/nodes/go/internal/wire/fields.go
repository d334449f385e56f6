// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"errors"
	"strings"

	"buf.build/go/protovalidate"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protopath"
	"google.golang.org/protobuf/reflect/protorange"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
)

var envelope = (&v1.SignedEnvelope{}).ProtoReflect().Descriptor()

type violations = []*errdetails.BadRequest_FieldViolation

// CheckFields refuses a message of which fields break their rules, and lists all that do (ERR-FLD-001). Those of an
// envelope in it are left to the steps that open it (0.3).
func CheckFields(message proto.Message) error {
	broken, err := brokenRules(message, func(violation *protovalidate.Violation) bool {
		field := violation.FieldDescriptor
		return field == nil || field.ContainingMessage() != envelope
	})
	if broken = append(broken, invalidTimes(message)...); len(broken) > 0 {
		return refuseFields(broken)
	}
	return err
}

// checkPresence refuses a message that lacks a message field which is required, at any depth (step 7 of 0.3).
func checkPresence(message proto.Message) error {
	absent, err := brokenRules(message, func(violation *protovalidate.Violation) bool {
		field := violation.FieldDescriptor
		return violation.Proto.GetRuleId() == "required" && field != nil && field.Kind() == protoreflect.MessageKind
	})
	if len(absent) > 0 {
		return refuseFields(absent)
	}
	return err
}

// brokenRules returns the breaches of the rules that the protos declare, as far as they count.
func brokenRules(message proto.Message, counts func(*protovalidate.Violation) bool) (broken violations, err error) {
	err = protovalidate.Validate(message)
	var invalid *protovalidate.ValidationError
	if !errors.As(err, &invalid) {
		return nil, err
	}
	for _, violation := range invalid.Violations {
		if counts(violation) {
			path := protovalidate.FieldPathString(violation.Proto.GetField())
			wrong := violation.Proto.GetMessage()
			broken = append(broken, &errdetails.BadRequest_FieldViolation{Field: path, Description: wrong})
		}
	}
	return broken, nil
}

// invalidTimes returns the times and durations that protobuf itself calls invalid, at any depth outside extensions.
func invalidTimes(message proto.Message) (invalid violations) {
	opaque := protorange.Options{Resolver: new(protoregistry.Types)}
	opaque.Range(message.ProtoReflect(), func(at protopath.Values) error {
		value, _ := at.Index(-1).Value.Interface().(protoreflect.Message)
		if value == nil {
			return nil
		}
		time, is := value.Interface().(interface{ CheckValid() error })
		if is && time.CheckValid() != nil {
			path := strings.TrimPrefix(at.Path[1:].String(), ".")
			invalid = append(invalid, &errdetails.BadRequest_FieldViolation{Field: path, Description: "no valid time"})
		}
		return nil
	}, nil)
	return invalid
}

func refuseFields(broken violations) error {
	return Refuse(v1.ErrorReason_ERROR_REASON_FIELD_INVALID, "fields break their rules, see the details",
		&errdetails.BadRequest{FieldViolations: broken})
}
