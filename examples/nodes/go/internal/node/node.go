// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

// Package node is a core node of the protocol: it gives out a card, takes asks, lets a skill answer them, and streams
// what comes of it. docs/spec, chapters 0, 1, 2 and 5.
package node

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
	"consilience.dev/examples/units/internal/payments"
	"consilience.dev/examples/units/internal/wire"
)

const (
	cardLife = 7 * 24 * time.Hour
	// keyLife is longer than cardLife by more than any max_run_time, and at most 30 days (NODE-KEY-001).
	keyLife = 14 * 24 * time.Hour
)

// Node is a node: its key, its cards, its skills and its answers.
type Node struct {
	root     ed25519.PrivateKey
	template *v1.NodeCard // what does not change from card to card
	skills   map[string]*Skill
	payments *payments.Payments // nil where all skills are free
	health   *health.Server

	mutex      sync.Mutex   // guards what follows, and makes steps 6 to 22 of 2.2 one
	card       *v1.NodeCard // the newest
	signedCard *v1.SignedEnvelope
	honoured   map[wire.Digest]time.Time // when the cards expire that were issued
	answers    map[string]*answer        // by the caller and the request id of their asks
	draining   bool
}

// New makes a node. The template is a card without ids, keys, times and skills; it lists tariffs and rails if the node is
// paid.
func New(root ed25519.PrivateKey, template *v1.NodeCard, paid *payments.Payments, skills ...*Skill) (*Node, error) {
	n := &Node{
		root: root, template: template, skills: map[string]*Skill{}, payments: paid, health: health.NewServer(),
		honoured: map[wire.Digest]time.Time{}, answers: map[string]*answer{},
	}
	template.NodeId = n.ID()
	for _, skill := range skills {
		template.Skills = append(template.Skills, skill.Card)
		n.skills[skill.Card.GetId()] = skill
	}
	_, err := n.currentCard(time.Now())
	return n, err
}

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

// ID returns the public root key, which is the node.
func (n *Node) ID() []byte { return n.root.Public().(ed25519.PublicKey) }

func (n *Node) limits() *v1.Limits { return n.template.GetLimits() }

// getNodeCard gives out the card to everyone.
func (n *Node) getNodeCard(stream grpc.ServerStream, _ *v1.GetNodeCardRequest) error {
	card, err := n.currentCard(time.Now())
	if err != nil {
		return err
	}
	return stream.SendMsg(&v1.GetNodeCardResponse{Card: card})
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
	card.ExpireTime = timestamppb.New(issueTime.Add(cardLife))
	card.SigningKeys = []*v1.SigningKey{{PublicKey: n.ID(), ExpireTime: timestamppb.New(issueTime.Add(keyLife))}}
	if err := wire.CheckFields(card); err != nil {
		return nil, err
	}
	signed, err := wire.Sign(n.root, card)
	if err != nil {
		return nil, err
	}
	n.card, n.signedCard = card, signed
	n.honoured[wire.DigestOf(signed)] = card.ExpireTime.AsTime()
	return signed, nil
}

// Drain takes no new asks, and returns once all work has ended; what is left when patience ends is interrupted (1.5).
func (n *Node) Drain(patience context.Context) {
	n.health.Shutdown()
	n.mutex.Lock()
	n.draining = true
	left := slices.Collect(maps.Values(n.answers))
	n.mutex.Unlock()
	for _, bound := range left {
		select {
		case <-bound.ended:
		case <-patience.Done():
			bound.stop(interrupted)
			<-bound.ended
		}
	}
}
