// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

// Package readers holds the checks of those who read what a node says: of its card, its log and its answer. The node
// itself needs none of them; the vectors do.
package readers

import (
	"bytes"
	"crypto/sha256"
	"net/netip"
	"net/url"
	"slices"
	"time"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
	"consilience.dev/examples/units/internal/wire"
)

const (
	maxCardBytes  = 65536
	maxSigningKey = 30 * 24 * time.Hour
)

// Broken is an error of the node that is read: it does not keep a requirement.
type Broken struct{ Requirement, What string }

func (b *Broken) Error() string { return b.Requirement + ": " + b.What }

func broken(requirement, what string) error { return &Broken{Requirement: requirement, What: what} }

// CheckCard checks a card by 1.2 that is the first of its node, by the reader's clock.
func CheckCard(envelope *v1.SignedEnvelope, now time.Time) error {
	if len(envelope.GetPayload()) > maxCardBytes {
		return broken("NODE-CARD-002", "the card is too long")
	}
	card := &v1.NodeCard{}
	if err := wire.Open(envelope, card, (*v1.NodeCard).GetNodeId); err != nil {
		return err
	}
	switch {
	case card.GetSequence() > now.Add(wire.ClockSkew).UnixMicro():
		return broken("NODE-CARD-003", "the card is of the future")
	case card.GetExpireTime().AsTime().Before(now.Add(-wire.ClockSkew)):
		return broken("NODE-CARD-005", "the card has expired")
	case !slices.Contains(card.GetProfiles(), v1.Profile_PROFILE_CORE):
		return broken("NODE-CARD-006", "the card does not declare the core profile")
	}
	latest := time.UnixMicro(card.GetSequence()).Add(maxSigningKey)
	for _, key := range card.GetSigningKeys() {
		if key.GetExpireTime().AsTime().After(latest) {
			return broken("NODE-KEY-001", "a signing key lives too long")
		}
	}
	for _, endpoint := range card.GetEndpoints() {
		if endpoint.GetTlsMode() == v1.TlsMode_TLS_MODE_LOOPBACK_PLAIN && !onLoopback(endpoint.GetUri()) {
			return broken("NODE-TLS-003", "an endpoint elsewhere goes without TLS")
		}
	}
	return nil
}

func onLoopback(uri string) bool {
	parsed, err := url.Parse(uri)
	if err != nil {
		return false
	}
	address, err := netip.ParseAddr(parsed.Hostname())
	return parsed.Hostname() == "localhost" || err == nil && address.IsLoopback()
}

// SelectCard returns which of two cards of one node wins (1.3).
func SelectCard(first, second *v1.SignedEnvelope) (winner int, err error) {
	var sequences [2]int64
	for i, envelope := range []*v1.SignedEnvelope{first, second} {
		card := &v1.NodeCard{}
		if err := wire.Open(envelope, card, (*v1.NodeCard).GetNodeId); err != nil {
			return 0, err
		}
		sequences[i] = card.GetSequence()
	}
	digests := [2]wire.Digest{wire.DigestOf(first), wire.DigestOf(second)}
	secondWins := sequences[1] > sequences[0] ||
		sequences[1] == sequences[0] && bytes.Compare(digests[1][:], digests[0][:]) < 0
	if secondWins {
		return 1, nil
	}
	return 0, nil
}

// CheckSuccession follows one succession from the newest card of the old root key (1.3).
func CheckSuccession(oldCard, succession *v1.SignedEnvelope) error {
	old := &v1.NodeCard{}
	if err := wire.Open(oldCard, old, (*v1.NodeCard).GetNodeId); err != nil {
		return err
	}
	handedOn := &v1.KeySuccession{}
	if err := wire.Open(succession, handedOn, (*v1.KeySuccession).GetOldNodeId); err != nil {
		return err
	}
	accepted := &v1.KeyAcceptance{}
	if err := wire.Open(handedOn.GetAcceptance(), accepted, (*v1.KeyAcceptance).GetNewNodeId); err != nil {
		return err
	}
	committed := sha256.Sum256(accepted.GetNewNodeId())
	switch {
	case !bytes.Equal(handedOn.GetOldNodeId(), old.GetNodeId()):
		return broken("NODE-KEY-003", "another node hands itself on")
	case !bytes.Equal(accepted.GetOldNodeId(), old.GetNodeId()):
		return broken("NODE-KEY-003", "the new key accepts another node")
	case !bytes.Equal(old.GetNextRootDigest(), committed[:]):
		return broken("NODE-KEY-003", "the card did not commit to the new key")
	}
	return nil
}
