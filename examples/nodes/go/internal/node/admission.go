// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"time"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
)

const (
	// maxAnswers bounds the memory that answers take while they are kept.
	maxAnswers = 10_000
	drainWait  = 5 * time.Second
)

// accept takes steps 6 to 21 of 2.2, and returns the answer with this caller among its readers.
func (n *Node) accept(ask *v1.Ask, digest Digest) (*answer, error) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	now := time.Now()
	header := ask.GetHeader()
	bound := n.lookUp(header.GetCaller(), header.GetRequestId(), now)
	if bound != nil && bound.askDigest != digest {
		return nil, Refuse(v1.ErrorReason_ERROR_REASON_REQUEST_ID_REUSED, "the request id is bound to another ask")
	}
	if err := CheckFreshness(header, now); err != nil {
		return nil, err
	}
	if bound == nil {
		if err := n.admit(ask, now); err != nil {
			return nil, err
		}
		bound = n.bind(ask, digest, now)
	}
	return bound, n.enter(bound)
}

// admit takes steps 9 to 20: the node takes asks, the card offers what is asked for, and its limits are kept.
func (n *Node) admit(ask *v1.Ask, now time.Time) error {
	expireTime, issued := n.honoured[Digest(ask.GetCardDigest())]
	skill := n.skills[ask.GetSkillId()]
	switch {
	case n.draining:
		return refuseFor(drainWait, v1.ErrorReason_ERROR_REASON_NODE_DRAINING, "the node is shutting down")
	case !issued || now.After(expireTime):
		return Refuse(v1.ErrorReason_ERROR_REASON_STALE_CARD, "the ask relies on a card that is not honoured here")
	case skill == nil:
		return refuseUnsupported(v1.ErrorReason_ERROR_REASON_SKILL_UNKNOWN, "skill_id", slices.Sorted(maps.Keys(n.skills)))
	}
	if err := checkOffer(ask, skill.Card, n.template.GetDataPolicy()); err != nil {
		return err
	}
	if err := n.checkBounds(ask, now); err != nil {
		return err
	}
	if skill.Admit != nil {
		if err := skill.Admit(ask, now); err != nil {
			return err
		}
	}
	if len(n.answers) >= maxAnswers {
		wait := n.limits().GetAnswerRetention().AsDuration()
		return refuseFor(wait, v1.ErrorReason_ERROR_REASON_NODE_FAULT, "there is no room for more answers")
	}
	return nil
}

// checkOffer takes steps 12 to 15: the skill has the model, reads the parts, takes the schema and the class of data.
func checkOffer(ask *v1.Ask, skill *v1.Skill, policy *v1.DataPolicy) error {
	unread := pathOfUnread(ask, skill.GetInputMediaTypes())
	highest := policy.GetMaxDataClass()
	switch {
	case ask.GetModelId() != "" && !slices.Contains(skill.GetModelIds(), ask.GetModelId()):
		return refuseUnsupported(v1.ErrorReason_ERROR_REASON_MODEL_UNKNOWN, "model_id", skill.GetModelIds())
	case unread != "":
		return refuseUnsupported(v1.ErrorReason_ERROR_REASON_MEDIA_TYPE_UNSUPPORTED, unread, skill.GetInputMediaTypes())
	case ask.GetAnswerSchema() != "" && !skill.GetAcceptsAnswerSchema():
		return Refuse(v1.ErrorReason_ERROR_REASON_ANSWER_SCHEMA_UNSUPPORTED, "the skill takes no schema for the answer")
	case ask.GetDataClass() > highest:
		var read []string
		for class := v1.DataClass_DATA_CLASS_PUBLIC; class <= highest; class++ {
			read = append(read, class.String())
		}
		return refuseUnsupported(v1.ErrorReason_ERROR_REASON_DATA_CLASS_REFUSED, "data_class", read)
	}
	return nil
}

// checkBounds takes steps 16 to 19: time, size, and how much is at work.
func (n *Node) checkBounds(ask *v1.Ask, now time.Time) error {
	limits, asked := n.limits(), ask.GetLimits()
	var ahead time.Duration
	if asked.GetDeadline() != nil {
		if ahead = asked.GetDeadline().AsTime().Sub(now); ahead <= 0 {
			return refuseAt(now, v1.ErrorReason_ERROR_REASON_DEADLINE_PASSED)
		}
	}
	running, ofCaller := int64(1), int64(1) // with this one
	for _, other := range n.answers {
		if other.keepUntil.IsZero() {
			running++
			if bytes.Equal(other.ask.GetHeader().GetCaller(), ask.GetHeader().GetCaller()) {
				ofCaller++
			}
		}
	}
	return checkLimits(
		&v1.LimitExceeded{Limit: "max_run_time", Maximum: limits.GetMaxRunTime().AsDuration().Milliseconds(), Requested: (ahead + time.Millisecond - 1).Milliseconds()},
		&v1.LimitExceeded{Limit: "max_turns", Maximum: int64(limits.GetMaxTurns()), Requested: int64(len(ask.GetTurns()))},
		&v1.LimitExceeded{Limit: "max_input_bytes", Maximum: limits.GetMaxInputBytes(), Requested: inputBytes(ask)},
		&v1.LimitExceeded{Limit: "max_output_tokens", Maximum: limits.GetMaxOutputTokens(), Requested: asked.GetMaxOutputTokens()},
		&v1.LimitExceeded{Limit: "max_running_asks", Maximum: int64(limits.GetMaxRunningAsks()), Requested: running},
		&v1.LimitExceeded{Limit: "max_running_asks_per_caller", Maximum: int64(limits.GetMaxRunningAsksPerCaller()), Requested: ofCaller},
	)
}

// pathOfUnread returns the path of the first part whose media type is none of those that are read.
func pathOfUnread(ask *v1.Ask, mediaTypes []string) string {
	for i, turn := range ask.GetTurns() {
		for j, part := range turn.GetParts() {
			mediaType := "text/plain"
			if part.GetBlob() != nil {
				mediaType = part.GetBlob().GetMediaType()
			}
			if !slices.Contains(mediaTypes, mediaType) {
				return fmt.Sprintf("turns[%d].parts[%d]", i, j)
			}
		}
	}
	return ""
}

func inputBytes(ask *v1.Ask) (size int64) {
	for _, turn := range ask.GetTurns() {
		for _, part := range turn.GetParts() {
			size += int64(len(part.GetText()) + len(part.GetBlob().GetData()))
		}
	}
	return size
}
