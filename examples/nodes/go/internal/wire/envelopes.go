// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

// Package wire is what every room of the node stands on: envelopes, the header of a call, rules of fields, and refusals
// as they travel. docs/spec, chapters 0 and 5.
package wire

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

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
	return SignPayload(key, payloadType(message), payload), nil
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

// Open checks an envelope by 0.3 and fills message with its payload.
//
// signer returns the field of the message that names who has to have signed it.
func Open[M proto.Message](envelope *v1.SignedEnvelope, message M, signer func(M) []byte) error {
	if err := Verify(envelope, payloadType(message)); err != nil {
		return err
	}
	if err := proto.Unmarshal(envelope.GetPayload(), message); err != nil {
		return Refuse(v1.ErrorReason_ERROR_REASON_ENVELOPE_MALFORMED, "the payload does not parse as its type")
	}
	if err := checkPresence(message); err != nil {
		return err
	}
	if !bytes.Equal(envelope.GetPublicKey(), signer(message)) {
		return Refuse(v1.ErrorReason_ERROR_REASON_SIGNER_WRONG, "another key signed than the one that is named")
	}
	return nil
}

// Verify takes steps 1 to 5 of 0.3, which look at the payload as bytes alone.
func Verify(envelope *v1.SignedEnvelope, expectedType string) error {
	signature := envelope.GetSignature()
	switch {
	case envelope.GetPayloadType() != expectedType:
		return Refuse(v1.ErrorReason_ERROR_REASON_PAYLOAD_TYPE_WRONG, "this call takes a "+expectedType)
	case len(envelope.GetPublicKey()) != ed25519.PublicKeySize:
		return Refuse(v1.ErrorReason_ERROR_REASON_ENVELOPE_MALFORMED, "public_key has 32 bytes")
	case len(signature) == 0:
		return Refuse(v1.ErrorReason_ERROR_REASON_SIGNATURE_MISSING, "signature is empty")
	case len(signature) != ed25519.SignatureSize:
		return Refuse(v1.ErrorReason_ERROR_REASON_ENVELOPE_MALFORMED, "signature has 64 bytes")
	case !verifyStrictly(envelope.GetPublicKey(), PAE(expectedType, envelope.GetPayload()), signature):
		return Refuse(v1.ErrorReason_ERROR_REASON_SIGNATURE_INVALID, "the signature does not verify")
	}
	return nil
}

// IDText returns the text form of a key (1.1).
func IDText(key []byte) string {
	return "cn1" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(key))
}

func payloadType(message proto.Message) string {
	return string(message.ProtoReflect().Descriptor().FullName())
}

// prime is 2^255 - 19, in hexadecimal digits from the most significant on.
const prime = "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed"

// smallOrder holds the y coordinates of the eight points of small order, as they are encoded (0.2).
var smallOrder = []string{
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000000",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
}

// verifyStrictly checks a signature by 0.2. crypto/ed25519 does steps 1 and 4 to 6; steps 2 and 3 stand before it.
func verifyStrictly(key ed25519.PublicKey, message, signature []byte) bool {
	return strictPoint(key) && strictPoint(signature[:32]) && ed25519.Verify(key, message, signature)
}

// strictPoint tells whether 32 bytes, their sign aside, are below the prime and no point of small order.
func strictPoint(encoded []byte) bool {
	y := bytes.Clone(encoded)
	y[31] &= 0x7f
	if slices.Contains(smallOrder, hex.EncodeToString(y)) {
		return false
	}
	slices.Reverse(y)
	return hex.EncodeToString(y) < prime
}
