// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"crypto/sha256"
	"errors"
	"log"
	"maps"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
	"consilience.dev/examples/units/internal/payments"
	"consilience.dev/examples/units/internal/wire"
)

// answer is what the node holds of an ask that it has accepted.
type answer struct {
	ask       *v1.Ask
	askDigest wire.Digest
	ticket    *v1.SignedEnvelope // nil if none is wanted
	bill      *payments.Bill     // nil if free
	log       *eventLog
	stop      context.CancelCauseFunc
	ended     chan struct{} // closed once the Final stands in the log
	readers   int           // guarded by the mutex of the node, like what follows
	keepUntil time.Time     // zero while the work goes on
}

// halt is why work was stopped before the skill had concluded (2.3).
type halt struct {
	outcome v1.Outcome
	reason  v1.StopReason
}

func (h halt) Error() string { return h.reason.String() }

var (
	cancelled     = halt{v1.Outcome_OUTCOME_CANCELLED, v1.StopReason_STOP_REASON_CANCELLED}
	overdue       = halt{v1.Outcome_OUTCOME_CANCELLED, v1.StopReason_STOP_REASON_DEADLINE}
	disconnected  = halt{v1.Outcome_OUTCOME_CANCELLED, v1.StopReason_STOP_REASON_DISCONNECTED}
	outputLimit   = halt{v1.Outcome_OUTCOME_TRUNCATED, v1.StopReason_STOP_REASON_OUTPUT_LIMIT}
	interrupted   = halt{v1.Outcome_OUTCOME_FAILED, v1.StopReason_STOP_REASON_INTERRUPTED}
	engineFailure = halt{v1.Outcome_OUTCOME_FAILED, v1.StopReason_STOP_REASON_ENGINE_FAILURE}
)

func keyOf(caller, requestID []byte) string { return string(caller) + string(requestID) }

// lookUp returns an answer, or nil where there is none or it is not kept any more. Needs the mutex.
func (n *Node) lookUp(key string, now time.Time) *answer {
	maps.DeleteFunc(n.answers, func(_ string, kept *answer) bool {
		return !kept.keepUntil.IsZero() && now.After(kept.keepUntil)
	})
	return n.answers[key]
}

// bind is step 22 of 2.2. The work runs on a context of its own: it does not hang on the connection (ASK-STOP-003).
// Needs the mutex.
func (n *Node) bind(key string, ask *v1.Ask, digest wire.Digest, bill *payments.Bill, now time.Time) *answer {
	ctx, stop := context.WithCancelCause(context.Background())
	ticket := n.ticketFor(ask, now)
	accepted := &v1.Accepted{AskDigest: digest[:], AcceptTime: wire.Instant(now), Ticket: ticket}
	bound := &answer{
		ask: ask, askDigest: digest, ticket: ticket, bill: bill, log: newLog(accepted), stop: stop,
		ended: make(chan struct{}),
	}
	n.answers[key] = bound
	go n.work(ctx, bound, now)
	return bound
}

// ticketFor lets whoever the ask commits to review the answer (REV-TKT-001).
func (n *Node) ticketFor(ask *v1.Ask, acceptTime time.Time) *v1.SignedEnvelope {
	if len(ask.GetReviewerCommitment()) == 0 {
		return nil
	}
	ticket, err := wire.Sign(n.root, &v1.ReviewTicket{
		NodeId: n.ID(), SigningKey: n.ID(), SkillId: ask.GetSkillId(), ReviewerCommitment: ask.GetReviewerCommitment(),
		IssueDay: timestamppb.New(acceptTime.UTC().Truncate(24 * time.Hour)),
	})
	if err != nil {
		log.Panicf("a ticket cannot be encoded: %v", err) // the id of the skill is one of the card
	}
	return ticket
}

// enter counts one more reader of an answer. Needs the mutex.
func (n *Node) enter(read *answer) error {
	if err := wire.CheckLimit("max_readers_per_answer", n.limits().GetMaxReadersPerAnswer(), read.readers+1); err != nil {
		return err
	}
	read.readers++
	return nil
}

// leave counts one reader less, and stops the work after the last where the ask says so.
func (n *Node) leave(read *answer) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	read.readers--
	if read.readers == 0 && read.ask.GetOnDisconnect() == v1.OnDisconnect_ON_DISCONNECT_CANCEL {
		read.stop(disconnected)
	}
}

// work lets the skill answer, and ends the log with a Final whatever comes of it (STRM-LOG-003).
func (n *Node) work(ctx context.Context, bound *answer, acceptTime time.Time) {
	limits, asked := n.limits(), bound.ask.GetLimits()
	end := acceptTime.Add(limits.GetMaxRunTime().AsDuration())
	if asked.GetDeadline() != nil {
		end = asked.GetDeadline().AsTime() // which is earlier, by step 17 of 2.2
	}
	ctx, release := context.WithDeadlineCause(ctx, end, overdue)
	defer release()
	writer := &Writer{ctx: ctx, log: bound.log, bill: bound.bill, maxTokens: limits.GetMaxOutputTokens()}
	if asked.GetMaxOutputTokens() > 0 {
		writer.maxTokens = asked.GetMaxOutputTokens()
	}
	skill := n.skills[bound.ask.GetSkillId()]
	stated, err := run(ctx, skill, bound.ask, writer)
	if err != nil {
		stopped, unpaid := engineFailure, payments.Stop(0)
		if errors.As(err, &unpaid) {
			stopped = halt{v1.Outcome_OUTCOME_TRUNCATED, v1.StopReason(unpaid)}
		} else if !errors.As(err, &stopped) {
			errors.As(context.Cause(ctx), &stopped)
		}
		stated = &v1.Answer{Outcome: stopped.outcome, StopReason: stopped.reason}
	}
	stated.Model = skill.Model
	stated.Usage = &v1.Usage{InputTokens: stated.GetUsage().GetInputTokens(), OutputTokens: writer.tokens}
	n.finish(bound, stated, acceptTime)
}

// run lets a skill answer. One that panics has failed.
func run(ctx context.Context, skill *Skill, ask *v1.Ask, writer *Writer) (stated *v1.Answer, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			log.Printf("skill %s panicked (%T)", skill.Card.GetId(), fault) // without its text (SEC-LOG-001)
			err = engineFailure
		}
	}()
	return skill.Answer(ctx, ask, writer)
}

// finish adds what the node knows to what the skill stated (2.5), signs it, and ends the log with it. Whoever has read
// the Final finds the ask no longer counted as running, and what was reserved for it free.
func (n *Node) finish(bound *answer, answer *v1.Answer, acceptTime time.Time) {
	duration := time.Since(acceptTime)
	finishTime := acceptTime.Add(duration)
	events, _ := bound.log.read()
	text := textIn(events)
	digest := sha256.Sum256([]byte(text))
	answer.NodeId, answer.SigningKey = n.ID(), n.ID()
	answer.CardDigest, answer.AskDigest = bound.ask.GetCardDigest(), bound.askDigest[:]
	answer.TranscriptDigest, answer.TranscriptBytes = digest[:], int64(len(text))
	answer.FinalSequence = uint64(len(events)) + 1
	answer.Citations = citationsIn(events)
	answer.Usage.OutputBytes = int64(len(text))
	answer.Usage.Duration = durationpb.New(duration.Truncate(time.Microsecond))
	answer.AcceptTime, answer.FinishTime = wire.Instant(acceptTime), wire.Instant(finishTime)
	charge := bound.bill.Charge(answer)
	answer.Charged = charge > 0
	envelope, err := wire.Sign(n.root, answer)
	if err != nil {
		log.Panicf("an answer cannot be encoded: %v", err) // all text in it is UTF-8
	}
	receipt, err := bound.bill.Settle(answer, envelope, charge)
	if err != nil {
		log.Panicf("a receipt cannot be encoded: %v", err)
	}
	attestation, err := bound.bill.Attest(bound.ticket, charge)
	if err != nil {
		log.Panicf("an attestation cannot be encoded: %v", err)
	}
	n.mutex.Lock()
	defer n.mutex.Unlock()
	bound.keepUntil = finishTime.Add(n.limits().GetAnswerRetention().AsDuration())
	if fresh := bound.ask.GetHeader().GetExpireTime().AsTime().Add(wire.ClockSkew); bound.keepUntil.Before(fresh) {
		bound.keepUntil = fresh // until then a copy of the ask might pass (ASK-IDEM-006)
	}
	final := &v1.Final{Answer: envelope, Receipt: receipt, Attestation: attestation}
	bound.log.write(&v1.AnswerEvent{Event: &v1.AnswerEvent_Final{Final: final}})
	bound.ask.Turns = nil // nobody needs them any more
	close(bound.ended)
}
