// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package envelopes

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
)

// prime is 2^255 - 19, and smallOrder the y coordinates of the eight points of small order, all little-endian (0.2).
var (
	prime      = fromHex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f")
	smallOrder = [][]byte{
		fromHex("0000000000000000000000000000000000000000000000000000000000000000"),
		fromHex("0100000000000000000000000000000000000000000000000000000000000000"),
		fromHex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
		fromHex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
		fromHex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
	}
)

// verifyStrictly checks a signature by 0.2. crypto/ed25519 does steps 1 and 4 to 6; steps 2 and 3 stand before it.
func verifyStrictly(key ed25519.PublicKey, message, signature []byte) bool {
	return len(key) == ed25519.PublicKeySize && len(signature) == ed25519.SignatureSize &&
		strictPoint(key) && strictPoint(signature[:32]) && ed25519.Verify(key, message, signature)
}

// strictPoint tells whether 32 bytes are below the prime, sign aside, and no point of small order.
func strictPoint(encoded []byte) bool {
	y := bytes.Clone(encoded)
	y[31] &= 0x7f
	for _, small := range smallOrder {
		if bytes.Equal(y, small) {
			return false
		}
	}
	for i := 31; i >= 0; i-- {
		if y[i] != prime[i] {
			return y[i] < prime[i]
		}
	}
	return false
}

func fromHex(text string) []byte {
	decoded, err := hex.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return decoded
}
