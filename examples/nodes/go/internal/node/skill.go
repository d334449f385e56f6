// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
	"consilience.dev/examples/units/internal/payments"
)

// Skill is one thing that the node can be asked.
type Skill struct {
	Card *v1.Skill // lists the media types that it reads
	// Model is disclosed in every answer. Nil: no language model takes part.
	Model *v1.Model
	// Admit refuses an ask that the skill cannot take, before it is accepted. Nil: it takes all.
	Admit func(ask *v1.Ask, now time.Time) error
	// FreeOnRequest tells that an ask without a payment is free, although the card names tariffs (7.1).
	FreeOnRequest bool
	// Answer writes the answer, and returns how it ended and what is known about it: outcome, stop reason, and what the
	// node does not know itself. An error of the writer or of the context is handed on; any other is one of the engine.
	Answer func(ctx context.Context, ask *v1.Ask, writer *Writer) (*v1.Answer, error)
}

const (
	// maxWritten is what the events of a log may take. What is left of 4 MiB (STRM-SIZE-001) is for the rest of a Final,
	// in which a skill states no more than an ask holds.
	maxWritten   = 7 << 19
	maxCitations = 256
)

// Writer takes what a skill has to say, and puts it into the log. Its errors tell the skill to stop.
type Writer struct {
	ctx       context.Context
	log       *eventLog
	bill      *payments.Bill // nil if free
	maxTokens int64
	tokens    int64
	unwritten int64 // of them, those whose characters are not whole yet
	written   int   // in bytes
	citations int
}

// Token writes the next token, of whole characters. With the last one that is allowed the work is over.
func (w *Writer) Token(text string) error {
	if err := context.Cause(w.ctx); err != nil {
		return err
	}
	w.tokens++
	w.unwritten++
	if err := w.Text(text); err != nil {
		return err
	}
	if w.tokens == w.maxTokens {
		return outputLimit
	}
	return nil
}

// Text writes text that is no token of its own, in pieces where it costs much.
func (w *Writer) Text(text string) error {
	text = strings.ToValidUTF8(text, "\uFFFD") // STRM-TXT-001
	for text != "" {
		piece, err := w.bill.Authorize(w.ctx, text, w.unwritten, w.log.write)
		if err != nil {
			return err
		}
		delta := &v1.TextDelta{Text: piece, OutputTokens: w.unwritten}
		if err := w.Write(&v1.AnswerEvent{Event: &v1.AnswerEvent_TextDelta{TextDelta: delta}}); err != nil {
			return err
		}
		w.bill.Delivered(piece, w.unwritten, w.log.write)
		text, w.unwritten = text[len(piece):], 0
	}
	return nil
}

// Write writes an event: a citation, or progress.
func (w *Writer) Write(event *v1.AnswerEvent) error {
	if err := context.Cause(w.ctx); err != nil {
		return err
	}
	w.written += proto.Size(event)
	if event.GetCitation() != nil {
		w.citations++
	}
	switch {
	case w.written > maxWritten && event.GetTextDelta() != nil:
		return outputLimit
	case w.written > maxWritten || w.citations > maxCitations:
		return engineFailure
	}
	w.log.write(event)
	return nil
}
