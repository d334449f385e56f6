// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package asks

import (
	"context"
	"fmt"
	"slices"
	"time"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
	"consilience.dev/examples/units/internal/envelopes"
	"consilience.dev/examples/units/internal/nodes"
	"consilience.dev/examples/units/internal/refusals"
)

const plainText = "text/plain"

// accept takes steps 6 to 21 of 2.2, and returns the answer with this caller among its readers.
func (s *Service) accept(ask *v1.Ask, digest envelopes.Digest) (*answer, error) {
	s.answers.mutex.Lock()
	defer s.answers.mutex.Unlock()
	now := time.Now()
	wait := s.answers.forget(now)
	header := ask.GetHeader()
	bound := s.answers.bound[keyOf(header.GetCaller(), header.GetRequestId())]
	if bound != nil && bound.askDigest != digest {
		return nil, refusals.New(v1.ErrorReason_ERROR_REASON_REQUEST_ID_REUSED, "the request id is bound to another ask")
	}
	if err := envelopes.CheckFreshness(header, now); err != nil {
		return nil, err
	}
	if bound != nil {
		return bound, s.answers.enter(bound, s.limits.GetMaxReadersPerAnswer())
	}
	if s.answers.draining {
		return nil, refusals.After(v1.ErrorReason_ERROR_REASON_NODE_DRAINING, "the node is shutting down", drainWait)
	}
	card := s.cards.Honoured(ask.GetCardDigest(), now)
	if card == nil {
		return nil, refusals.New(v1.ErrorReason_ERROR_REASON_STALE_CARD, "the ask relies on a card that is not honoured here")
	}
	skill, err := s.offered(ask)
	if err != nil {
		return nil, err
	}
	if err := s.withinLimits(ask, now); err != nil {
		return nil, err
	}
	if skill.Admit != nil {
		if err := skill.Admit(ask, now); err != nil {
			return nil, err
		}
	}
	if len(s.answers.bound) >= maxAnswers {
		return nil, refusals.After(v1.ErrorReason_ERROR_REASON_NODE_FAULT, "there is no room for more answers", wait)
	}
	return s.start(ask, digest, card, skill, now)
}

// offered takes steps 11 to 15: the card offers what is asked for.
func (s *Service) offered(ask *v1.Ask) (*Skill, error) {
	skill := s.skills[ask.GetSkillId()]
	if skill == nil {
		return nil, refusals.Unsupported(v1.ErrorReason_ERROR_REASON_SKILL_UNKNOWN, "skill_id", s.skillIDs...)
	}
	models := skill.Card.GetModelIds()
	if ask.GetModelId() != "" && !slices.Contains(models, ask.GetModelId()) {
		return nil, refusals.Unsupported(v1.ErrorReason_ERROR_REASON_MODEL_UNKNOWN, "model_id", models...)
	}
	readable := skill.Card.GetInputMediaTypes()
	if len(readable) == 0 {
		readable = []string{plainText}
	}
	for i, turn := range ask.GetTurns() {
		for j, part := range turn.GetParts() {
			if !slices.Contains(readable, mediaType(part)) {
				path := fmt.Sprintf("turns[%d].parts[%d]", i, j)
				return nil, refusals.Unsupported(v1.ErrorReason_ERROR_REASON_MEDIA_TYPE_UNSUPPORTED, path, readable...)
			}
		}
	}
	if ask.GetAnswerSchema() != "" && !skill.Card.GetAcceptsAnswerSchema() {
		return nil, refusals.New(v1.ErrorReason_ERROR_REASON_ANSWER_SCHEMA_UNSUPPORTED,
			"the skill takes no schema for the answer")
	}
	if highest := s.policy.GetMaxDataClass(); ask.GetDataClass() > highest {
		var values []string
		for class := v1.DataClass_DATA_CLASS_PUBLIC; class <= highest; class++ {
			values = append(values, class.String())
		}
		return nil, refusals.Unsupported(v1.ErrorReason_ERROR_REASON_DATA_CLASS_REFUSED, "data_class", values...)
	}
	return skill, nil
}

// withinLimits takes steps 16 to 19: time, size, and how much is at work. Step 20 is the skill's own.
func (s *Service) withinLimits(ask *v1.Ask, now time.Time) error {
	if end := ask.GetLimits().GetDeadline(); end != nil {
		ahead := end.AsTime().Sub(now)
		if ahead <= 0 {
			return refusals.AtTime(v1.ErrorReason_ERROR_REASON_DEADLINE_PASSED, "the deadline has passed by this clock", now)
		}
		if most := s.limits.GetMaxRunTime().AsDuration(); ahead > most {
			return refusals.Limit("max_run_time", most.Milliseconds(), (ahead + time.Millisecond - 1).Milliseconds())
		}
	}
	caller := string(ask.GetHeader().GetCaller())
	for _, bound := range []struct {
		limit              string
		maximum, requested int64
	}{
		{"max_turns", int64(s.limits.GetMaxTurns()), int64(len(ask.GetTurns()))},
		{"max_input_bytes", s.limits.GetMaxInputBytes(), inputBytes(ask)},
		{"max_output_tokens", s.limits.GetMaxOutputTokens(), ask.GetLimits().GetMaxOutputTokens()},
		{"max_running_asks", int64(s.limits.GetMaxRunningAsks()), int64(s.answers.runningAsks()) + 1},
		{"max_running_asks_per_caller", int64(s.limits.GetMaxRunningAsksPerCaller()), int64(s.answers.running[caller]) + 1},
	} {
		if bound.requested > bound.maximum {
			return refusals.Limit(bound.limit, bound.maximum, bound.requested)
		}
	}
	return nil
}

// start takes step 21, and begins the work on a context of its own: it does not hang on the connection (ASK-STOP-003).
func (s *Service) start(
	ask *v1.Ask, digest envelopes.Digest, card *nodes.Card, skill *Skill, now time.Time,
) (*answer, error) {
	end := now.Add(s.limits.GetMaxRunTime().AsDuration())
	if asked := ask.GetLimits().GetDeadline(); asked != nil && asked.AsTime().Before(end) {
		end = asked.AsTime()
	}
	ctx, stop := context.WithCancelCause(context.Background())
	log := newLog(&v1.Accepted{AskDigest: digest[:], AcceptTime: instant(now)})
	begun := &answer{askDigest: digest, stop: stop, log: log}
	s.answers.bind(ask, begun)
	go s.work(ctx, task{ask: ask, answer: begun, card: card, skill: skill, acceptTime: now, end: end})
	return begun, s.answers.enter(begun, s.limits.GetMaxReadersPerAnswer())
}

func mediaType(part *v1.Part) string {
	if blob := part.GetBlob(); blob != nil {
		return blob.GetMediaType()
	}
	return plainText
}

func inputBytes(ask *v1.Ask) (size int64) {
	for _, turn := range ask.GetTurns() {
		for _, part := range turn.GetParts() {
			size += int64(len(part.GetText()) + len(part.GetBlob().GetData()))
		}
	}
	return size
}
