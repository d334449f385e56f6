// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package asks

import (
	"bytes"
	"context"
	"errors"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
)

// Skill is one thing that the node can be asked.
type Skill struct {
	Card *v1.Skill
	// Model is disclosed in every answer. Nil: no language model takes part.
	Model *v1.Model
	// Admit refuses an ask that the skill cannot take, before it is accepted. Nil: it takes all.
	Admit func(ask *v1.Ask, now time.Time) error
	// Answer writes the answer and concludes it. What it returns as an error when the writer or the context told it to
	// stop does not matter; any other error is a failure of the engine.
	Answer func(ctx context.Context, ask *v1.Ask, writer *Writer) (Conclusion, error)
}

// Conclusion is how an answer ended, and what is known about it.
type Conclusion struct {
	Outcome     v1.Outcome
	StopReason  v1.StopReason
	Detail      string
	Confidence  *v1.Confidence
	Intake      *v1.Intake
	InputTokens int64
}

// halt is why work was stopped (2.3).
type halt struct{ Conclusion }

func (h *halt) Error() string { return h.StopReason.String() }

func newHalt(outcome v1.Outcome, reason v1.StopReason) *halt {
	return &halt{Conclusion{Outcome: outcome, StopReason: reason}}
}

var (
	cancelled     = newHalt(v1.Outcome_OUTCOME_CANCELLED, v1.StopReason_STOP_REASON_CANCELLED)
	deadline      = newHalt(v1.Outcome_OUTCOME_CANCELLED, v1.StopReason_STOP_REASON_DEADLINE)
	disconnected  = newHalt(v1.Outcome_OUTCOME_CANCELLED, v1.StopReason_STOP_REASON_DISCONNECTED)
	outputLimit   = newHalt(v1.Outcome_OUTCOME_TRUNCATED, v1.StopReason_STOP_REASON_OUTPUT_LIMIT)
	interrupted   = newHalt(v1.Outcome_OUTCOME_FAILED, v1.StopReason_STOP_REASON_INTERRUPTED)
	engineFailure = newHalt(v1.Outcome_OUTCOME_FAILED, v1.StopReason_STOP_REASON_ENGINE_FAILURE)

	errTooManySources = errors.New("the sources do not fit into an answer")
)

const (
	maxCitations = 256
	// reservedBytes is kept free in a response for all of an answer but its text and its sources.
	reservedBytes = 64 << 10
	replacement   = "\uFFFD"
)

// Writer takes what a skill has to say, and puts it into the log.
type Writer struct {
	ctx       context.Context
	log       *eventLog
	maxTokens int64
	tokens    int64
	citations int
	room      int    // bytes that text and sources may still take (STRM-SIZE-001)
	pending   []byte // of a character that is not whole yet (STRM-TXT-001)
}

func newWriter(ctx context.Context, log *eventLog, maxTokens int64) *Writer {
	return &Writer{ctx: ctx, log: log, maxTokens: maxTokens, room: maxResponseBytes - reservedBytes}
}

// Token writes the next piece of text, which may end within a character.
func (w *Writer) Token(data []byte) error {
	if err := context.Cause(w.ctx); err != nil {
		return err
	}
	if w.tokens == w.maxTokens {
		return outputLimit
	}
	w.tokens++
	w.pending = append(w.pending, data...)
	whole := wholeCharacters(w.pending)
	text := w.pending[:whole]
	w.pending = bytes.Clone(w.pending[whole:])
	return w.delta(text)
}

// Cite names a source.
func (w *Writer) Cite(citation *v1.Citation) error {
	if err := context.Cause(w.ctx); err != nil {
		return err
	}
	w.citations++
	if w.room -= proto.Size(citation) + 8; w.room < 0 || w.citations > maxCitations {
		return errTooManySources
	}
	w.log.write(&v1.AnswerEvent{Event: &v1.AnswerEvent_Citation{Citation: citation}})
	return nil
}

// Progress tells what the skill is at.
func (w *Writer) Progress(progress *v1.Progress) error {
	if err := context.Cause(w.ctx); err != nil {
		return err
	}
	w.log.write(&v1.AnswerEvent{Event: &v1.AnswerEvent_Progress{Progress: progress}})
	return nil
}

// flush writes what is left of a character that was never completed.
func (w *Writer) flush() error { return w.delta(w.pending) }

func (w *Writer) delta(text []byte) error {
	if len(text) == 0 {
		return nil
	}
	valid := string(bytes.ToValidUTF8(text, []byte(replacement)))
	if w.room -= len(valid); w.room < 0 {
		return outputLimit
	}
	w.log.write(&v1.AnswerEvent{Event: &v1.AnswerEvent_TextDelta{TextDelta: &v1.TextDelta{Text: valid}}})
	return nil
}

// wholeCharacters returns how many bytes stand before a character that is not complete yet.
func wholeCharacters(data []byte) int {
	for start := len(data) - 1; start >= max(0, len(data)-utf8.UTFMax+1); start-- {
		if utf8.RuneStart(data[start]) {
			if !utf8.FullRune(data[start:]) {
				return start
			}
			break
		}
	}
	return len(data)
}
