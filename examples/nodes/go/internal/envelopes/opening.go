// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package envelopes

import (
	"bytes"
	"crypto/ed25519"
	"errors"

	"buf.build/go/protovalidate"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
	"consilience.dev/examples/units/internal/refusals"
)

// Open checks an envelope by 0.3 and fills message with its payload.
//
// signer returns the field of the message that names who has to have signed it.
func Open[M proto.Message](envelope *v1.SignedEnvelope, message M, signer func(M) []byte) error {
	if err := Verify(envelope, TypeOf(message)); err != nil {
		return err
	}
	if err := proto.Unmarshal(envelope.GetPayload(), message); err != nil {
		return refusals.New(v1.ErrorReason_ERROR_REASON_ENVELOPE_MALFORMED, "the payload does not parse as its type")
	}
	if violations := brokenRules(message, isAbsentMessage); len(violations) > 0 {
		return fieldsInvalid(violations)
	}
	if !bytes.Equal(envelope.GetPublicKey(), signer(message)) {
		return refusals.New(v1.ErrorReason_ERROR_REASON_SIGNER_WRONG, "another key signed than the one that is named")
	}
	return nil
}

// Verify takes steps 1 to 5 of 0.3, which look at the payload as bytes alone.
func Verify(envelope *v1.SignedEnvelope, expectedType string) error {
	switch {
	case envelope.GetPayloadType() != expectedType:
		return refusals.New(v1.ErrorReason_ERROR_REASON_PAYLOAD_TYPE_WRONG, "this call takes a "+expectedType)
	case len(envelope.GetPublicKey()) != ed25519.PublicKeySize:
		return refusals.New(v1.ErrorReason_ERROR_REASON_ENVELOPE_MALFORMED, "public_key has 32 bytes")
	case len(envelope.GetSignature()) == 0:
		return refusals.New(v1.ErrorReason_ERROR_REASON_SIGNATURE_MISSING, "signature is empty")
	case len(envelope.GetSignature()) != ed25519.SignatureSize:
		return refusals.New(v1.ErrorReason_ERROR_REASON_ENVELOPE_MALFORMED, "signature has 64 bytes")
	case !verifyStrictly(envelope.GetPublicKey(), PAE(expectedType, envelope.GetPayload()), envelope.GetSignature()):
		return refusals.New(v1.ErrorReason_ERROR_REASON_SIGNATURE_INVALID, "the signature does not verify")
	}
	return nil
}

// CheckFields refuses a message of which fields break their rules, and lists all that do.
func CheckFields(message proto.Message) error { return CheckFieldsBelow("", message) }

// CheckFieldsBelow does the same for a message that lies within a field of another, whose path goes before.
func CheckFieldsBelow(path string, message proto.Message) error {
	violations := brokenRules(message, func(*protovalidate.Violation) bool { return true })
	if len(violations) == 0 {
		return nil
	}
	for _, violation := range violations {
		violation.Field = path + violation.GetField()
	}
	return fieldsInvalid(violations)
}

// brokenRules returns the breaches of the rules that the protos declare, as far as they count.
func brokenRules(
	message proto.Message, counts func(*protovalidate.Violation) bool,
) []*errdetails.BadRequest_FieldViolation {
	err := protovalidate.Validate(message)
	if err == nil {
		return nil
	}
	var invalid *protovalidate.ValidationError
	if !errors.As(err, &invalid) { // a rule that cannot be computed, such as one over times that no calendar has
		return []*errdetails.BadRequest_FieldViolation{{Description: "a rule of the message cannot be computed"}}
	}
	var broken []*errdetails.BadRequest_FieldViolation
	for _, violation := range invalid.Violations {
		if counts(violation) && !isOfEnvelope(violation) {
			path := protovalidate.FieldPathString(violation.Proto.GetField())
			wrong := violation.Proto.GetMessage()
			broken = append(broken, &errdetails.BadRequest_FieldViolation{Field: path, Description: wrong})
		}
	}
	return broken
}

// isAbsentMessage tells whether a required field is absent that holds a message (step 7 of 0.3).
func isAbsentMessage(violation *protovalidate.Violation) bool {
	field := violation.FieldDescriptor
	return violation.Proto.GetRuleId() == "required" && field != nil && field.Kind() == protoreflect.MessageKind
}

// isOfEnvelope tells whether the rule is one of an envelope within the message, which Verify checks, with other reasons.
func isOfEnvelope(violation *protovalidate.Violation) bool {
	field := violation.FieldDescriptor
	return field != nil && field.Parent() == (&v1.SignedEnvelope{}).ProtoReflect().Descriptor()
}

// FieldInvalid refuses a field for what is wrong with it.
func FieldInvalid(path, wrong string) error {
	return fieldsInvalid([]*errdetails.BadRequest_FieldViolation{{Field: path, Description: wrong}})
}

func fieldsInvalid(violations []*errdetails.BadRequest_FieldViolation) error {
	return refusals.New(v1.ErrorReason_ERROR_REASON_FIELD_INVALID, "fields break their rules, see the details",
		&errdetails.BadRequest{FieldViolations: violations})
}
