// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package node

import (
	"crypto/ed25519"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
)

const (
	cardLife = 7 * 24 * time.Hour
	// keyLife is longer than cardLife by more than any max_run_time, and at most 30 days (NODE-KEY-001).
	keyLife = 14 * 24 * time.Hour
)

var idEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// IDText returns the text form of a key (1.1).
func IDText(key []byte) string { return "cn1" + idEncoding.EncodeToString(key) }

// RootKey reads the root key from a file, which holds its seed in hexadecimal digits, or makes both.
func RootKey(file string) (ed25519.PrivateKey, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		_, key, err := ed25519.GenerateKey(nil)
		if err != nil {
			return nil, err
		}
		return key, os.WriteFile(file, hex.AppendEncode(nil, key.Seed()), 0o600)
	}
	if err != nil {
		return nil, err
	}
	seed, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("%s holds no seed of 64 digits; name another file, or move it away to be a new node", file)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// currentCard returns the newest card, and issues the next once half of its life is over (1.2).
func (n *Node) currentCard(now time.Time) (*v1.SignedEnvelope, error) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	if n.card.GetExpireTime().AsTime().Sub(now) > cardLife/2 {
		return n.signedCard, nil
	}
	card := proto.CloneOf(n.template)
	card.Sequence = max(now.UnixMicro(), n.card.GetSequence()+1) // NODE-CARD-008, even if the clock goes back
	issueTime := time.UnixMicro(card.Sequence)
	expireTime := issueTime.Add(cardLife)
	card.ExpireTime = timestamppb.New(expireTime)
	card.SigningKeys = []*v1.SigningKey{{PublicKey: n.ID(), ExpireTime: timestamppb.New(issueTime.Add(keyLife))}}
	if err := CheckFields(card, nil); err != nil {
		return nil, err
	}
	signed, err := Sign(n.root, card)
	if err != nil {
		return nil, err
	}
	n.card, n.signedCard = card, signed
	n.honoured[DigestOf(signed)] = expireTime
	return signed, nil
}
