// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package units

import (
	"math/big"
	"strings"
	"testing"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
)

func TestQuestionsAreAnsweredExactly(t *testing.T) {
	for question, text := range map[string]string{
		"How many feet are 12 inches?":            "12 inches are 1 foot.",
		"how many metres is a nautical mile":      "1 nautical mile is 1852 metres.",
		"Convert 2.5 weeks to seconds.":           "2.5 weeks are 1512000 seconds.",
		"1 m in ft":                               "1 metre is 1250/381 (about 3.28084) feet.",
		"How many minutes are there in 0.1 hours": "0.1 hours are 6 minutes.",
		"12 in in ft":                             "12 inches are 1 foot.",
		"7 kib as bits":                           "7 kibibytes are 57344 bits.",
	} {
		if found := answer(question); found.text != text || found.outcome != v1.Outcome_OUTCOME_ANSWERED {
			t.Errorf("%s %q, %s", question, found.text, found.outcome)
		}
	}
}

func TestTableHasEachUnitOfAKindOnce(t *testing.T) {
	for question, text := range map[string]string{
		"1 mebibyte in kibibytes": "1 mebibyte is 1024 kibibytes. That is 8388608 bits.",
		"3 feet in metres":        "3 feet are 0.9144 metres. That is 36 inches. That is 1 yard.",
	} {
		found := tabulate(question)
		if !strings.HasPrefix(found.text, text) || strings.Count(found.text, "That is") != len(found.sources)-2 {
			t.Errorf("%s %q with %d sources", question, found.text, len(found.sources))
		}
	}
	if found := tabulate("3 parsecs in miles"); found.outcome != v1.Outcome_OUTCOME_ABSTAINED {
		t.Errorf("%q, %s", found.text, found.outcome)
	}
}

func TestWhatIsNotKnownIsSaidToBeNotKnown(t *testing.T) {
	for _, question := range []string{"3 parsecs in miles", "3 miles in parsecs"} {
		found := answer(question)
		if found.outcome != v1.Outcome_OUTCOME_ABSTAINED || found.reason != v1.StopReason_STOP_REASON_NO_KNOWLEDGE ||
			!strings.Contains(found.text, `"parsecs"`) {
			t.Errorf("%s %q, %s", question, found.text, found.outcome)
		}
	}
}

func TestWhatIsNotUnderstoodIsAskedBack(t *testing.T) {
	for _, question := range []string{"", "hello", "How many kilograms are 3 feet?", strings.Repeat("9", 31) + "x m in feet"} {
		if found := answer(question); found.outcome != v1.Outcome_OUTCOME_NEEDS_CLARIFICATION {
			t.Errorf("%s %q, %s", question, found.text, found.outcome)
		}
	}
}

func TestThereAndBackIsTheSame(t *testing.T) {
	amount := big.NewRat(22, 7)
	for _, from := range table {
		for _, to := range table {
			if from.quantity == to.quantity && convert(convert(amount, from, to), to, from).Cmp(amount) != 0 {
				t.Errorf("%s to %s", from.singular, to.singular)
			}
		}
	}
}

func TestCitedPlaceHoldsTheQuote(t *testing.T) {
	for _, source := range table {
		if quoted := document[source.place.GetStartByte():source.place.GetEndByte()]; quoted != source.line {
			t.Errorf("%q is at the place of %q", quoted, source.line)
		}
	}
}
