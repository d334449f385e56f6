// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package node

import (
	"strings"
	"sync"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
)

// eventLog is the log of one answer. Streams are cursors over it; none has a queue of its own.
type eventLog struct {
	mutex  sync.Mutex
	events []*v1.AnswerEvent // event n has the sequence n + 1, and is never changed
	grown  chan struct{}     // closed, and replaced, when the log grows
}

func newLog(accepted *v1.Accepted) *eventLog {
	log := &eventLog{grown: make(chan struct{})}
	log.write(&v1.AnswerEvent{Event: &v1.AnswerEvent_Accepted{Accepted: accepted}})
	return log
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
