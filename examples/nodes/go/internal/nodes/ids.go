// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

// Package nodes says who a node is: its keys, its card and its certificate. docs/spec/1-nodes.md.
package nodes

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base32"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

const idPrefix = "cn1"

var idEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// IDText returns the text form of a key (1.1).
func IDText(key ed25519.PublicKey) string { return idPrefix + idEncoding.EncodeToString(key) }

// ParseID returns the key of which a text is exactly the text form (NODE-ID-001).
func ParseID(text string) (ed25519.PublicKey, error) {
	if len(text) > len(idPrefix) {
		key, err := idEncoding.DecodeString(text[len(idPrefix):])
		if err == nil && len(key) == ed25519.PublicKeySize && IDText(key) == text {
			return key, nil
		}
	}
	return nil, errors.New("not the text form of a node id: cn1 and 52 characters of a-z and 2-7")
}

// RootKey reads the root key from a file in PKCS #8, or makes both.
func RootKey(file string) (ed25519.PrivateKey, error) {
	content, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return newRootKey(file)
	}
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(content)
	if block == nil {
		return nil, fmt.Errorf("%s holds no key in PEM; name another file, or move it away to start as a new node", file)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	key, is := parsed.(ed25519.PrivateKey)
	if !is {
		return nil, fmt.Errorf("%s holds a %T; a node needs an Ed25519 key", file, parsed)
	}
	return key, nil
}

func newRootKey(file string) (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	out, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return key, errors.Join(pem.Encode(out, &pem.Block{Type: "PRIVATE KEY", Bytes: der}), out.Sync(), out.Close())
}
