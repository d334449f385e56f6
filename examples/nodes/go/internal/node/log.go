// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package node

import (
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
)

// maxBatchBytes bounds what goes out together, but for its last event. With that it stays below 4 MiB (STRM-SIZE-001).
const maxBatchBytes = 128 << 10

// eventLog is the log of one answer. Streams are cursors over it; none has a queue of its own.
type eventLog struct {
	mutex  sync.Mutex
	events []*v1.AnswerEvent // event n has the sequence n + 1, and is never changed
	grown  chan struct{}     // closed, and replaced, when the log grows
}

// write numbers an event and wakes the readers.
func (l *eventLog) write(event *v1.AnswerEvent) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	event.Sequence = uint64(len(l.events)) + 1
	if delta := event.GetTextDelta(); delta != nil {
		delta.FirstSequence = event.Sequence
	}
	l.events = append(l.events, event)
	close(l.grown)
	l.grown = make(chan struct{})
}

// read returns all events so far, and what is closed when there are more.
func (l *eventLog) read() (events []*v1.AnswerEvent, grown <-chan struct{}) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.events, l.grown
}

// finalIn returns the Final of a log, or nil while it goes on.
func finalIn(events []*v1.AnswerEvent) *v1.Final { return events[len(events)-1].GetFinal() }

// textIn joins the text of all deltas.
func textIn(events []*v1.AnswerEvent) string {
	var text strings.Builder
	for _, event := range events {
		text.WriteString(event.GetTextDelta().GetText())
	}
	return text.String()
}

// citationsIn returns the sources that a log names, in its order (ASK-ANS-004).
func citationsIn(events []*v1.AnswerEvent) (citations []*v1.Citation) {
	for _, event := range events {
		if citation := event.GetCitation(); citation != nil {
			citations = append(citations, citation)
		}
	}
	return citations
}

// merged returns the next events to send, deltas that are neighbours in one (STRM-CUR-002).
func merged(events []*v1.AnswerEvent) (batch []*v1.AnswerEvent) {
	for size := 0; len(events) > 0 && size < maxBatchBytes; {
		next, run := events[0], 1
		size += proto.Size(next)
		if next.GetTextDelta() != nil {
			for ; run < len(events) && events[run].GetTextDelta() != nil && size < maxBatchBytes; run++ {
				size += proto.Size(events[run])
			}
			delta := &v1.TextDelta{FirstSequence: next.GetSequence(), Text: textIn(events[:run])}
			next = &v1.AnswerEvent{
				Sequence: events[run-1].GetSequence(), Event: &v1.AnswerEvent_TextDelta{TextDelta: delta},
			}
		}
		batch = append(batch, next)
		events = events[run:]
	}
	return batch
}
