// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

// Package envelopes signs and opens what matters, and checks the header that opens every call:
// docs/spec/0-envelopes.md.
package envelopes

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"

	"google.golang.org/protobuf/proto"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
)

// Digest names a signed object (SIG-DIG-001).
type Digest [sha256.Size]byte

// PAE returns the pre-authentication encoding of DSSE v1: the bytes that are signed (0.1).
func PAE(payloadType string, payload []byte) []byte {
	return append(fmt.Appendf(nil, "DSSEv1 %d %s %d ", len(payloadType), payloadType, len(payload)), payload...)
}

// DigestOf returns the digest of the object that an envelope carries.
func DigestOf(envelope *v1.SignedEnvelope) Digest {
	return sha256.Sum256(PAE(envelope.GetPayloadType(), envelope.GetPayload()))
}

// Sign encodes a message once and signs those bytes.
func Sign(key ed25519.PrivateKey, message proto.Message) (*v1.SignedEnvelope, error) {
	payload, err := proto.Marshal(message)
	if err != nil {
		return nil, err
	}
	return SignPayload(key, TypeOf(message), payload), nil
}

// SignPayload signs bytes as they are.
func SignPayload(key ed25519.PrivateKey, payloadType string, payload []byte) *v1.SignedEnvelope {
	return &v1.SignedEnvelope{
		PayloadType: payloadType,
		Payload:     payload,
		PublicKey:   key.Public().(ed25519.PublicKey),
		Signature:   ed25519.Sign(key, PAE(payloadType, payload)),
	}
}

// TypeOf returns the payload type of a message: its full name.
func TypeOf(message proto.Message) string {
	return string(message.ProtoReflect().Descriptor().FullName())
}
