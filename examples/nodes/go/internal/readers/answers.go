// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package readers

import (
	"bytes"
	"crypto/sha256"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
	"consilience.dev/examples/units/internal/wire"
)

// CheckExchange checks the answer at the end of a log against the card and the ask (2.5).
func CheckExchange(cardEnvelope, askEnvelope *v1.SignedEnvelope, log *Log) error {
	card, ask, answer := &v1.NodeCard{}, &v1.Ask{}, &v1.Answer{}
	if err := wire.Open(cardEnvelope, card, (*v1.NodeCard).GetNodeId); err != nil {
		return err
	}
	caller := func(opened *v1.Ask) []byte { return opened.GetHeader().GetCaller() }
	if err := wire.Open(askEnvelope, ask, caller); err != nil {
		return err
	}
	if log.Final == nil {
		return broken("STRM-LOG-003", "the log does not end with a Final")
	}
	if err := wire.Open(log.Final.GetAnswer(), answer, (*v1.Answer).GetSigningKey); err != nil {
		return err
	}
	askDigest, cardDigest := wire.DigestOf(askEnvelope), wire.DigestOf(cardEnvelope)
	switch {
	case !bytes.Equal(answer.GetAskDigest(), askDigest[:]):
		return broken("ASK-ANS-002", "the answer belongs to another ask")
	case !bytes.Equal(answer.GetCardDigest(), cardDigest[:]), !bytes.Equal(answer.GetNodeId(), card.GetNodeId()):
		return broken("ASK-ANS-002", "the answer belongs to another card or node")
	case !signs(card, answer.GetSigningKey(), answer.GetFinishTime()):
		return broken("ASK-ANS-001", "the key may not sign answers, or had expired")
	case answer.GetFinalSequence() != log.FinalAt:
		return broken("STRM-LOG-003", "the answer ends another log")
	case answer.GetUsage().GetOutputBytes() != answer.GetTranscriptBytes():
		return broken("ASK-ANS-003", "the usage counts other bytes")
	}
	if err := checkWhole(answer, log); err != nil {
		return err
	}
	return checkPromises(card, ask, answer)
}

// signs tells whether a key of the card may sign at a time.
func signs(card *v1.NodeCard, key []byte, at *timestamppb.Timestamp) bool {
	return slices.ContainsFunc(card.GetSigningKeys(), func(listed *v1.SigningKey) bool {
		return bytes.Equal(listed.GetPublicKey(), key) && !at.AsTime().After(listed.GetExpireTime().AsTime())
	})
}

// checkWhole compares the answer with what was read, where all of it was.
func checkWhole(answer *v1.Answer, log *Log) error {
	if log.HasGap {
		return nil
	}
	digest := sha256.Sum256([]byte(log.Text))
	if !bytes.Equal(answer.GetTranscriptDigest(), digest[:]) || answer.GetTranscriptBytes() != int64(len(log.Text)) {
		return broken("STRM-TXT-002", "the text is not the one that was signed")
	}
	equal := func(one, other *v1.Citation) bool { return proto.Equal(one, other) }
	if !slices.EqualFunc(answer.GetCitations(), log.Citations, equal) {
		return broken("ASK-ANS-004", "the citations are not those of the log")
	}
	return nil
}

// checkPromises looks for what the card says that the skill gives.
func checkPromises(card *v1.NodeCard, ask *v1.Ask, answer *v1.Answer) error {
	answered := answer.GetOutcome() == v1.Outcome_OUTCOME_ANSWERED
	broke := answer.GetOutcome() == v1.Outcome_OUTCOME_CANCELLED || answer.GetOutcome() == v1.Outcome_OUTCOME_FAILED
	for _, skill := range card.GetSkills() {
		if skill.GetId() != ask.GetSkillId() {
			continue
		}
		if answered && skill.GetGivesCitations() && len(answer.GetCitations()) == 0 ||
			answered && skill.GetGivesConfidence() && answer.GetConfidence() == nil ||
			!broke && skill.GetGivesIntake() && answer.GetIntake() == nil {
			return broken("ASK-ANS-005", "the answer lacks what the card promises")
		}
	}
	return nil
}
