// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package nodes

import (
	"crypto/ed25519"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
	"consilience.dev/examples/units/internal/envelopes"
)

const (
	cardLife = 7 * 24 * time.Hour
	// keyLife is longer than cardLife plus any max_run_time, so that an answer to an ask of a card's last moment is signed
	// by a key that has not expired (ASK-ANS-001), and at most 30 days (NODE-KEY-001).
	keyLife = 14 * 24 * time.Hour
)

// Card is one card of the node, as it is given out.
type Card struct {
	*v1.NodeCard
	Envelope *v1.SignedEnvelope
	Digest   envelopes.Digest
}

// Cards issues the cards of a node, signed by its root key, which signs its answers too.
type Cards struct {
	Key      ed25519.PrivateKey
	template *v1.NodeCard
	mutex    sync.Mutex
	issued   []*Card // the newest last; those that have expired are dropped
}

// NewCards issues the first card. The template holds what does not change from card to card.
func NewCards(key ed25519.PrivateKey, template *v1.NodeCard) (*Cards, error) {
	cards := &Cards{Key: key, template: template}
	card, err := cards.issue(time.Now())
	if err != nil {
		return nil, err
	}
	return cards, envelopes.CheckFields(card)
}

// NodeID returns the root key.
func (c *Cards) NodeID() ed25519.PublicKey { return c.Key.Public().(ed25519.PublicKey) }

// Current returns the newest card, and issues the next once half of its life is over.
func (c *Cards) Current(now time.Time) (*Card, error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if newest := c.issued[len(c.issued)-1]; newest.GetExpireTime().AsTime().Sub(now) > cardLife/2 {
		return newest, nil
	}
	return c.issue(now)
}

// Honoured returns the card of a digest, or nil where there is none or it has expired (ASK-CARD-001).
func (c *Cards) Honoured(digest []byte, now time.Time) *Card {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	for _, card := range c.issued {
		if string(card.Digest[:]) == string(digest) && !now.After(card.GetExpireTime().AsTime()) {
			return card
		}
	}
	return nil
}

func (c *Cards) issue(now time.Time) (*Card, error) {
	sequence := now.UnixMicro()
	for len(c.issued) > 0 && now.After(c.issued[0].GetExpireTime().AsTime()) {
		sequence = max(sequence, c.issued[0].GetSequence()+1) // NODE-CARD-008, even if the clock goes back
		c.issued = c.issued[1:]
	}
	for _, earlier := range c.issued {
		sequence = max(sequence, earlier.GetSequence()+1)
	}
	issueTime := time.UnixMicro(sequence)
	content := proto.CloneOf(c.template)
	content.NodeId = c.NodeID()
	content.Sequence = sequence
	content.ExpireTime = timestamppb.New(issueTime.Add(cardLife))
	content.SigningKeys = []*v1.SigningKey{{PublicKey: c.NodeID(), ExpireTime: timestamppb.New(issueTime.Add(keyLife))}}
	envelope, err := envelopes.Sign(c.Key, content)
	if err != nil {
		return nil, err
	}
	card := &Card{NodeCard: content, Envelope: envelope, Digest: envelopes.DigestOf(envelope)}
	c.issued = append(c.issued, card)
	return card, nil
}
