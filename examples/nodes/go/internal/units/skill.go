// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package units

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
	"consilience.dev/examples/units/internal/node"
)

const (
	aUnit      = `\pL[\pL\d]*(?: \pL+)?`
	toUnit     = `(?P<to>` + aUnit + `)`
	amountFrom = `(?P<amount>\d{1,30}(?:\.\d{1,30})?|an?) (?P<from>` + aUnit + `)`
	anEnd      = `\s*[?.]?$`
)

// The two ways to ask: “How many feet are 12 inches?”, “12 inches in feet”.
var questions = []*regexp.Regexp{
	regexp.MustCompile(`(?i)\bhow many ` + toUnit + ` (?:are there in|are in|are|is|in|make) ` + amountFrom + anEnd),
	regexp.MustCompile(`(?i)(?:^|\s)` + amountFrom + ` (?:in|to|into|as) ` + toUnit + anEnd),
}

// Skill converts units. Between two words it waits for pace, so that its answers can be watched coming.
func Skill(pace time.Duration) *node.Skill {
	return skill(pace, answer, "units.convert", "Converts between units of length, mass, time, volume, area and data: "+
		"“How many feet are 12 inches?”")
}

// TableSkill answers the same questions, and goes on with all other units of the kind.
func TableSkill(pace time.Duration) *node.Skill {
	return skill(pace, tabulate, "units.table", "Says an amount in all units of its kind: “How many feet are 12 inches?”")
}

func skill(pace time.Duration, find func(question string) finding, id, description string) *node.Skill {
	readTime := timestamppb.New(time.Now().Truncate(time.Microsecond))
	return &node.Skill{
		Card: &v1.Skill{
			Id:              id,
			Description:     description,
			Domains:         []string{"units"},
			Languages:       []string{"en"},
			InputMediaTypes: []string{"text/plain"},
			GivesCitations:  true,
		},
		Answer: func(ctx context.Context, ask *v1.Ask, writer *node.Writer) (*v1.Answer, error) {
			found := find(lastQuestion(ask))
			for _, word := range strings.SplitAfter(found.text, " ") {
				if err := writer.Token(word); err != nil {
					return nil, err
				}
				select {
				case <-time.After(pace):
				case <-ctx.Done():
				}
			}
			for _, source := range found.sources {
				if err := writer.Write(citation(source, readTime)); err != nil {
					return nil, err
				}
			}
			return &v1.Answer{Outcome: found.outcome, StopReason: found.reason, Detail: found.detail}, nil
		},
	}
}

// finding is what the skill has to say.
type finding struct {
	text    string
	outcome v1.Outcome
	reason  v1.StopReason
	detail  string
	sources []*unit
}

// answer converts, says that it does not know, or asks back.
func answer(question string) finding {
	amount, from, to, understood := parse(question)
	if !understood {
		return asksBack("Which amount of which unit, in which other unit? Ask me like this: How many feet are 12 inches?",
			"not a question about two units")
	}
	source, target := table[from], table[to]
	if source == nil || target == nil {
		unknown := from
		if source != nil {
			unknown = to
		}
		return finding{text: fmt.Sprintf("I do not know the unit %q.", unknown), outcome: v1.Outcome_OUTCOME_ABSTAINED,
			reason: v1.StopReason_STOP_REASON_NO_KNOWLEDGE, detail: "a unit is not in the table"}
	}
	if source.quantity != target.quantity {
		return asksBack(fmt.Sprintf("%s measure %s and %s measure %s. Which two units of one kind do you mean?",
			source.plural, source.quantity, target.plural, target.quantity), "units of two kinds")
	}
	result := convert(amount, source, target)
	verb := "are"
	if amount.Cmp(big.NewRat(1, 1)) == 0 {
		verb = "is"
	}
	sources := []*unit{source, target}
	if source == target {
		sources = sources[:1]
	}
	return finding{
		text: fmt.Sprintf("%s %s %s %s %s.",
			written(amount), source.name(amount), verb, written(result), target.name(result)),
		outcome: v1.Outcome_OUTCOME_ANSWERED, reason: v1.StopReason_STOP_REASON_COMPLETE, sources: sources,
	}
}

// tabulate answers, and says the amount in the units that were not asked for as well.
func tabulate(question string) finding {
	found := answer(question)
	if found.outcome != v1.Outcome_OUTCOME_ANSWERED {
		return found
	}
	amount, from, _, _ := parse(question)
	byPlace := func(a, b *unit) int { return cmp.Compare(a.place.GetStartByte(), b.place.GetStartByte()) }
	for _, other := range slices.SortedFunc(maps.Values(table), byPlace) {
		if other.quantity == table[from].quantity && !slices.Contains(found.sources, other) {
			result := convert(amount, table[from], other)
			found.text += fmt.Sprintf(" That is %s %s.", written(result), other.name(result))
			found.sources = append(found.sources, other)
		}
	}
	return found
}

func asksBack(text, detail string) finding {
	return finding{text: text, outcome: v1.Outcome_OUTCOME_NEEDS_CLARIFICATION,
		reason: v1.StopReason_STOP_REASON_COMPLETE, detail: detail}
}

// parse finds an amount and the names of two units.
func parse(question string) (amount *big.Rat, from, to string, understood bool) {
	for _, form := range questions {
		if match := form.FindStringSubmatch(question); match != nil {
			group := func(name string) string { return strings.ToLower(match[form.SubexpIndex(name)]) }
			amount, numeric := new(big.Rat).SetString(group("amount"))
			if !numeric { // “a” or “an”
				amount = big.NewRat(1, 1)
			}
			return amount, group("from"), group("to"), true
		}
	}
	return nil, "", "", false
}

// lastQuestion joins the text of the last turn.
func lastQuestion(ask *v1.Ask) string {
	var said []string
	for _, part := range ask.GetTurns()[len(ask.GetTurns())-1].GetParts() {
		said = append(said, part.GetText()+strings.ToValidUTF8(string(part.GetBlob().GetData()), "\uFFFD"))
	}
	return strings.Join(strings.Fields(strings.Join(said, " ")), " ")
}

func citation(source *unit, readTime *timestamppb.Timestamp) *v1.AnswerEvent {
	document := &v1.DocumentSource{
		Uri: "units.txt", Title: "Table of units", Digest: documentDigest[:], Place: source.place,
		RetrievalTime: readTime, Quote: source.line,
	}
	cited := &v1.Citation{Origin: &v1.Citation_Document{Document: document}}
	return &v1.AnswerEvent{Event: &v1.AnswerEvent_Citation{Citation: cited}}
}
