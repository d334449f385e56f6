// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

// Package asks takes questions, works on them and streams what comes of it: docs/spec/2-asks.md.
package asks

import (
	"crypto/sha256"
	"hash"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
	"consilience.dev/examples/units/internal/refusals"
)

const (
	maxResponseBytes = 4 << 20 // STRM-SIZE-001
	// maxBatchBytes bounds what goes out together. It is far above any one event that is not a merged delta.
	maxBatchBytes = 1 << 20
)

// eventLog is the log of one answer. Streams are cursors over it; none has a queue of its own.
type eventLog struct {
	mutex      sync.Mutex
	events     []*v1.AnswerEvent // event n has the sequence n + 1
	text       strings.Builder
	textDigest hash.Hash
	citations  []*v1.Citation
	final      *v1.Final
	grown      chan struct{} // closed, and replaced, when the log grows
}

func newLog(accepted *v1.Accepted) *eventLog {
	log := &eventLog{textDigest: sha256.New(), grown: make(chan struct{})}
	log.write(&v1.AnswerEvent{Event: &v1.AnswerEvent_Accepted{Accepted: accepted}})
	return log
}

// write numbers an event, takes what it brings, and wakes the readers.
func (l *eventLog) write(event *v1.AnswerEvent) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	event.Sequence = uint64(len(l.events)) + 1
	switch kind := event.GetEvent().(type) {
	case *v1.AnswerEvent_TextDelta:
		kind.TextDelta.FirstSequence = event.Sequence
		l.text.WriteString(kind.TextDelta.GetText())
		l.textDigest.Write([]byte(kind.TextDelta.GetText()))
	case *v1.AnswerEvent_Citation:
		l.citations = append(l.citations, kind.Citation)
	case *v1.AnswerEvent_Final:
		l.final = kind.Final
	}
	l.events = append(l.events, event)
	close(l.grown)
	l.grown = make(chan struct{})
}

// summary is what a log holds at one moment.
type summary struct {
	lastSequence uint64
	text         string
	textDigest   []byte
	citations    []*v1.Citation
	final        *v1.Final
}

func (l *eventLog) summary() summary {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return summary{
		lastSequence: uint64(len(l.events)),
		text:         l.text.String(),
		textDigest:   l.textDigest.Sum(nil),
		citations:    l.citations,
		final:        l.final,
	}
}

// next returns what stands behind a sequence, deltas that are neighbours merged, whether the log ends with it, and what
// to wait for where there is nothing.
func (l *eventLog) next(after uint64) (ready []*v1.AnswerEvent, ended bool, grown <-chan struct{}, err error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	last := uint64(len(l.events))
	if after > last {
		return nil, false, nil, refusals.New(v1.ErrorReason_ERROR_REASON_SEQUENCE_UNKNOWN,
			"the log has not reached this sequence")
	}
	taken, size := after, 0
	for _, event := range l.events[after:] {
		if size += proto.Size(event); size > maxBatchBytes && taken > after {
			break
		}
		taken++
	}
	return merged(l.events[after:taken]), taken == last && l.final != nil, l.grown, nil
}

// merged joins the deltas of a run of events that are neighbours (STRM-CUR-002).
func merged(events []*v1.AnswerEvent) []*v1.AnswerEvent {
	var joined []*v1.AnswerEvent
	for start := 0; start < len(events); {
		end := start + 1
		if events[start].GetTextDelta() == nil {
			joined = append(joined, events[start])
			start = end
			continue
		}
		var text strings.Builder
		text.WriteString(events[start].GetTextDelta().GetText())
		for ; end < len(events) && events[end].GetTextDelta() != nil; end++ {
			text.WriteString(events[end].GetTextDelta().GetText())
		}
		delta := &v1.TextDelta{FirstSequence: events[start].GetSequence(), Text: text.String()}
		joined = append(joined, &v1.AnswerEvent{
			Sequence: events[end-1].GetSequence(), Event: &v1.AnswerEvent_TextDelta{TextDelta: delta},
		})
		start = end
	}
	return joined
}
