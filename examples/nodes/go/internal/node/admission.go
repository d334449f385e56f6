// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
	"consilience.dev/examples/units/internal/wire"
)

const (
	// maxAnswers bounds the memory that answers take while they are kept.
	maxAnswers = 10_000
	drainWait  = 5 * time.Second
)

// accept takes steps 6 to 22 of 2.2, and returns the answer with this caller among its readers.
func (n *Node) accept(request *v1.AskRequest, ask *v1.Ask) (*answer, error) {
	digest := wire.DigestOf(request.GetAsk())
	n.mutex.Lock()
	defer n.mutex.Unlock()
	now := time.Now()
	key := keyOf(ask.GetHeader().GetCaller(), ask.GetHeader().GetRequestId())
	bound := n.lookUp(key, now)
	if bound != nil && bound.askDigest != digest {
		return nil, wire.Refuse(v1.ErrorReason_ERROR_REASON_REQUEST_ID_REUSED, "the request id is bound to another ask")
	}
	if err := wire.CheckFreshness(ask.GetHeader(), now); err != nil {
		return nil, err
	}
	if bound == nil {
		for _, check := range []func(*v1.Ask, time.Time) error{n.checkOffer, n.checkBounds, n.checkSkill} {
			if err := check(ask, now); err != nil {
				return nil, err
			}
		}
		bill, err := n.admitPayment(request, ask, digest, now)
		if err != nil {
			return nil, err
		}
		if err := n.checkRoom(); err != nil {
			bill.Abandon()
			return nil, err
		}
		bound = n.bind(key, ask, digest, bill, now)
	}
	return bound, n.enter(bound)
}

// checkOffer takes steps 9 to 16: the node takes asks, and the card offers what is asked for.
func (n *Node) checkOffer(ask *v1.Ask, now time.Time) error {
	expireTime, issued := n.honoured[wire.Digest(ask.GetCardDigest())]
	switch {
	case n.draining:
		return wire.RefuseFor(drainWait, v1.ErrorReason_ERROR_REASON_NODE_DRAINING, "the node is shutting down")
	case !issued || now.After(expireTime):
		return wire.Refuse(v1.ErrorReason_ERROR_REASON_STALE_CARD, "the ask relies on a card that is not honoured here")
	}
	skill, err := n.offered(ask.GetSkillId(), ask.GetModelId())
	if err != nil {
		return err
	}
	unread := unreadPart(ask, skill.GetInputMediaTypes())
	highest := n.template.GetDataPolicy().GetMaxDataClass()
	deadline := ask.GetLimits().GetDeadline()
	switch {
	case unread != "":
		return wire.RefuseUnsupported(v1.ErrorReason_ERROR_REASON_MEDIA_TYPE_UNSUPPORTED, unread, skill.GetInputMediaTypes())
	case ask.GetAnswerSchema() != "" && !skill.GetAcceptsAnswerSchema():
		return wire.Refuse(v1.ErrorReason_ERROR_REASON_ANSWER_SCHEMA_UNSUPPORTED, "the skill takes no schema for the answer")
	case ask.GetDataClass() > highest:
		return wire.RefuseUnsupported(v1.ErrorReason_ERROR_REASON_DATA_CLASS_REFUSED, "data_class", classesUpTo(highest))
	case deadline != nil && !deadline.AsTime().After(now):
		return wire.RefuseAt(now, v1.ErrorReason_ERROR_REASON_DEADLINE_PASSED)
	}
	return nil
}

// offered takes steps 11 and 12: it returns a skill as the card lists it, for the model where one is named.
func (n *Node) offered(skillID, modelID string) (*v1.Skill, error) {
	skill := n.skills[skillID]
	if skill == nil {
		ids := slices.Sorted(maps.Keys(n.skills))
		return nil, wire.RefuseUnsupported(v1.ErrorReason_ERROR_REASON_SKILL_UNKNOWN, "skill_id", ids)
	}
	if models := skill.Card.GetModelIds(); modelID != "" && !slices.Contains(models, modelID) {
		return nil, wire.RefuseUnsupported(v1.ErrorReason_ERROR_REASON_MODEL_UNKNOWN, "model_id", models)
	}
	return skill.Card, nil
}

// checkBounds takes steps 17 to 19: time, size, and how much is at work, this ask with it.
func (n *Node) checkBounds(ask *v1.Ask, now time.Time) error {
	var ahead time.Duration
	if deadline := ask.GetLimits().GetDeadline(); deadline != nil {
		ahead = deadline.AsTime().Sub(now) + time.Millisecond - 1 // rounded up
	}
	var inputBytes int
	for _, turn := range ask.GetTurns() {
		for _, part := range turn.GetParts() {
			inputBytes += len(part.GetText()) + len(part.GetBlob().GetData())
		}
	}
	running, ofCaller := 1, 1
	for _, other := range n.answers {
		if other.keepUntil.IsZero() {
			running++
			if bytes.Equal(other.ask.GetHeader().GetCaller(), ask.GetHeader().GetCaller()) {
				ofCaller++
			}
		}
	}
	limits := n.limits()
	return cmp.Or(
		wire.CheckLimit("max_run_time", limits.GetMaxRunTime().AsDuration().Milliseconds(), ahead.Milliseconds()),
		wire.CheckLimit("max_turns", limits.GetMaxTurns(), len(ask.GetTurns())),
		wire.CheckLimit("max_input_bytes", limits.GetMaxInputBytes(), inputBytes),
		wire.CheckLimit("max_output_tokens", limits.GetMaxOutputTokens(), ask.GetLimits().GetMaxOutputTokens()),
		wire.CheckLimit("max_running_asks", limits.GetMaxRunningAsks(), running),
		wire.CheckLimit("max_running_asks_per_caller", limits.GetMaxRunningAsksPerCaller(), ofCaller),
	)
}

// checkSkill is step 20: the skill takes the ask.
func (n *Node) checkSkill(ask *v1.Ask, now time.Time) error {
	if admit := n.skills[ask.GetSkillId()].Admit; admit != nil {
		return admit(ask, now)
	}
	return nil
}

// checkRoom belongs to step 22: there is room for an answer (ASK-KEEP-001).
func (n *Node) checkRoom() error {
	if len(n.answers) < maxAnswers {
		return nil
	}
	wait := n.limits().GetAnswerRetention().AsDuration()
	return wire.RefuseFor(wait, v1.ErrorReason_ERROR_REASON_NODE_FAULT, "there is no room for more answers")
}

// unreadPart returns the path of the first part whose media type is none of those that are read.
func unreadPart(ask *v1.Ask, readable []string) string {
	for i, turn := range ask.GetTurns() {
		for j, part := range turn.GetParts() {
			mediaType := "text/plain"
			if part.GetBlob() != nil {
				mediaType = part.GetBlob().GetMediaType()
			}
			if !slices.Contains(readable, mediaType) {
				return fmt.Sprintf("turns[%d].parts[%d]", i, j)
			}
		}
	}
	return ""
}

func classesUpTo(highest v1.DataClass) (names []string) {
	for class := v1.DataClass_DATA_CLASS_PUBLIC; class <= highest; class++ {
		names = append(names, class.String())
	}
	return names
}
