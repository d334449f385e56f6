// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package asks

import (
	"context"
	"errors"
	"log"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
	"consilience.dev/examples/units/internal/envelopes"
	"consilience.dev/examples/units/internal/nodes"
)

// task is one ask at work.
type task struct {
	ask        *v1.Ask
	answer     *answer
	card       *nodes.Card
	skill      *Skill
	acceptTime time.Time
	end        time.Time
}

// work lets the skill answer, and ends the log with a Final whatever comes of it (STRM-LOG-003).
func (s *Service) work(ctx context.Context, t task) {
	defer t.answer.stop(nil)
	ctx, release := context.WithDeadlineCause(ctx, t.end, deadline)
	defer release()
	maxTokens := s.limits.GetMaxOutputTokens()
	if asked := t.ask.GetLimits().GetMaxOutputTokens(); asked > 0 {
		maxTokens = asked
	}
	writer := newWriter(ctx, t.answer.log, maxTokens)
	conclusion := conclude(ctx, t, writer)
	elapsed := time.Since(t.acceptTime)
	finishTime := t.acceptTime.Add(elapsed)
	answer := signedContent(t, writer, conclusion, finishTime)
	if proto.Size(answer)+int(answer.GetTranscriptBytes()) > maxResponseBytes-reservedBytes/2 { // STRM-SIZE-001
		answer = signedContent(t, writer, engineFailure.Conclusion, finishTime)
	}
	envelope, err := envelopes.Sign(s.cards.Key, answer)
	if err != nil {
		log.Panicf("an answer cannot be encoded: %v", err) // all of its text has been checked to be UTF-8
	}
	s.answers.finish(t.answer, &v1.Final{Answer: envelope}, finishTime.Add(s.limits.GetAnswerRetention().AsDuration()))
}

// conclude runs the skill, and tells how it ended or what stopped it.
func conclude(ctx context.Context, t task, writer *Writer) (conclusion Conclusion) {
	defer func() {
		if fault := recover(); fault != nil {
			log.Printf("skill %s panicked (%T)", t.skill.Card.GetId(), fault) // without its text (SEC-LOG-001)
			conclusion = engineFailure.Conclusion
		}
	}()
	conclusion, err := t.skill.Answer(ctx, t.ask, writer)
	if err == nil {
		if err = writer.flush(); err == nil {
			return conclusion
		}
	}
	stopped := engineFailure
	if !errors.As(err, &stopped) {
		errors.As(context.Cause(ctx), &stopped)
	}
	return stopped.Conclusion
}

// signedContent states what was answered and what is known about it (2.5).
func signedContent(t task, writer *Writer, ended Conclusion, finishTime time.Time) *v1.Answer {
	written := t.answer.log.summary()
	size := int64(len(written.text))
	key := t.card.GetSigningKeys()[0].GetPublicKey()
	return &v1.Answer{
		NodeId:           t.card.GetNodeId(),
		SigningKey:       key,
		CardDigest:       t.card.Digest[:],
		AskDigest:        t.answer.askDigest[:],
		Outcome:          ended.Outcome,
		StopReason:       ended.StopReason,
		Detail:           ended.Detail,
		TranscriptDigest: written.textDigest,
		TranscriptBytes:  size,
		FinalSequence:    written.lastSequence + 1,
		Confidence:       ended.Confidence,
		Citations:        written.citations,
		Model:            t.skill.Model,
		Intake:           ended.Intake,
		Usage: &v1.Usage{
			InputTokens:  ended.InputTokens,
			OutputTokens: writer.tokens,
			OutputBytes:  size,
			Duration:     durationpb.New(finishTime.Sub(t.acceptTime).Truncate(time.Microsecond)),
		},
		AcceptTime: instant(t.acceptTime),
		FinishTime: instant(finishTime),
	}
}

// instant cuts a time off to microseconds, which is what the protocol counts.
func instant(at time.Time) *timestamppb.Timestamp {
	return timestamppb.New(at.Truncate(time.Microsecond))
}
