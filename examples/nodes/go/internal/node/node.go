// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

// Package node is a core node of the protocol: it gives out a card, takes asks, lets a skill answer them, and streams
// what comes of it. docs/spec, chapters 0, 1, 2 and 5.
package node

import (
	"context"
	"crypto/ed25519"
	"maps"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
)

// Node is a node: its key, its cards, its skills and its answers.
type Node struct {
	root     ed25519.PrivateKey
	template *v1.NodeCard // what does not change from card to card
	skills   map[string]*Skill

	mutex      sync.Mutex   // guards what follows, and makes steps 6 to 21 of 2.2 one
	card       *v1.NodeCard // the newest
	signedCard *v1.SignedEnvelope
	honoured   map[Digest]time.Time // when the cards expire that were issued
	answers    map[string]*answer   // by caller and request id
	draining   bool
}

// New makes a node. The template is a card without ids, keys, times and skills.
func New(root ed25519.PrivateKey, template *v1.NodeCard, skills ...*Skill) (*Node, error) {
	n := &Node{
		root: root, template: template, skills: map[string]*Skill{},
		honoured: map[Digest]time.Time{}, answers: map[string]*answer{},
	}
	template.NodeId = n.ID()
	for _, skill := range skills {
		template.Skills = append(template.Skills, skill.Card)
		n.skills[skill.Card.GetId()] = skill
	}
	_, err := n.currentCard(time.Now())
	return n, err
}

// ID returns the root key, which is the node.
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

// ask starts the work on an ask, or attaches to it, and streams its log from the beginning.
func (n *Node) ask(stream grpc.ServerStream, ask *v1.Ask, digest Digest) error {
	read, err := n.accept(ask, digest)
	if err != nil {
		return err
	}
	return n.follow(stream, read, 0, func(events []*v1.AnswerEvent) proto.Message {
		return &v1.AskResponse{Events: events}
	})
}

// resumeAnswer streams the log of an answer from behind a sequence.
func (n *Node) resumeAnswer(stream grpc.ServerStream, call *v1.ResumeAnswerCall, read *answer) error {
	if events, _ := read.log.read(); call.GetAfterSequence() > uint64(len(events)) {
		return Refuse(v1.ErrorReason_ERROR_REASON_SEQUENCE_UNKNOWN, "the log has not reached this sequence")
	}
	n.mutex.Lock()
	err := n.enter(read)
	n.mutex.Unlock()
	if err != nil {
		return err
	}
	return n.follow(stream, read, call.GetAfterSequence(), func(events []*v1.AnswerEvent) proto.Message {
		return &v1.ResumeAnswerResponse{Events: events}
	})
}

// follow is a cursor over a log: it sends what is there, and waits for more until the Final has gone out (2.4).
func (n *Node) follow(
	stream grpc.ServerStream, read *answer, after uint64, response func([]*v1.AnswerEvent) proto.Message,
) error {
	defer n.leave(read)
	for {
		events, grown := read.log.read()
		if after < uint64(len(events)) {
			next := merged(events[after:])
			if err := stream.SendMsg(response(next)); err != nil {
				return err
			}
			after = next[len(next)-1].GetSequence()
			continue
		}
		if finalIn(events) != nil {
			return nil
		}
		select {
		case <-grown:
		case <-stream.Context().Done():
			return status.FromContextError(stream.Context().Err()).Err()
		}
	}
}

// getAnswer returns what there is of an answer.
func (n *Node) getAnswer(stream grpc.ServerStream, _ *v1.GetAnswerCall, shown *answer) error {
	n.mutex.Lock()
	events, _ := shown.log.read()
	keepUntil := shown.keepUntil
	n.mutex.Unlock()
	response := &v1.GetAnswerResponse{LastSequence: uint64(len(events)), Text: textIn(events), Final: finalIn(events)}
	if !keepUntil.IsZero() {
		response.KeepUntilTime = instant(keepUntil)
	}
	return stream.SendMsg(response)
}

// cancelAnswer stops the work on an answer, and returns once its Final stands in the log.
func (n *Node) cancelAnswer(stream grpc.ServerStream, _ *v1.CancelAnswerCall, unwanted *answer) error {
	unwanted.stop(cancelled)
	select {
	case <-unwanted.ended:
	case <-stream.Context().Done():
		return status.FromContextError(stream.Context().Err()).Err()
	}
	events, _ := unwanted.log.read()
	return stream.SendMsg(&v1.CancelAnswerResponse{Final: finalIn(events)})
}

// Drain takes no new asks, and returns once all work has ended; what is left when patience ends is interrupted (1.5).
func (n *Node) Drain(patience context.Context) {
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
