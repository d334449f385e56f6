// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package readers

import (
	"strings"

	"google.golang.org/protobuf/proto"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
)

// Log is what a reader has read of a log.
type Log struct {
	LastSequence uint64
	Text         string
	Citations    []*v1.Citation
	HasGap       bool
	Meters       []Metered
	Final        *v1.Final
	FinalAt      uint64
	tokens       int64
}

// Metered is a Meter, with what stood in the log before it.
type Metered struct {
	Meter  *v1.SignedEnvelope
	Text   string
	Tokens int64
}

// ReadLog reads encoded events in their order (2.4).
func ReadLog(encodedEvents [][]byte) (*Log, error) {
	log := &Log{}
	var text strings.Builder
	for _, encoded := range encodedEvents {
		event := &v1.AnswerEvent{}
		if err := proto.Unmarshal(encoded, event); err != nil {
			return nil, broken("STRM-TXT-001", "an event does not parse, or holds half a character")
		}
		if err := log.take(event, &text); err != nil {
			return nil, err
		}
	}
	log.Text = text.String()
	return log, nil
}

func (l *Log) take(event *v1.AnswerEvent, text *strings.Builder) error {
	first, sequence := event.GetSequence(), event.GetSequence()
	switch kind := event.GetEvent().(type) {
	case *v1.AnswerEvent_TextDelta:
		first = kind.TextDelta.GetFirstSequence()
	case *v1.AnswerEvent_Gap:
		first = kind.Gap.GetFirstSequence()
	}
	switch {
	case l.Final != nil:
		return broken("STRM-LOG-003", "there is an event behind the Final")
	case first != l.LastSequence+1 || sequence < first:
		return broken("STRM-LOG-001", "the sequence has a hole or goes back")
	case (event.GetAccepted() != nil) != (sequence == 1):
		return broken("STRM-LOG-002", "Accepted is the first event and no other")
	}
	switch kind := event.GetEvent().(type) {
	case *v1.AnswerEvent_TextDelta:
		text.WriteString(kind.TextDelta.GetText())
		l.tokens += kind.TextDelta.GetOutputTokens()
	case *v1.AnswerEvent_Metered:
		l.Meters = append(l.Meters, Metered{Meter: kind.Metered.GetMeter(), Text: text.String(), Tokens: l.tokens})
	case *v1.AnswerEvent_Citation:
		l.Citations = append(l.Citations, kind.Citation)
	case *v1.AnswerEvent_Gap:
		l.HasGap = true
	case *v1.AnswerEvent_Final:
		l.Final, l.FinalAt = kind.Final, sequence
	}
	l.LastSequence = sequence
	return nil
}
