// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package payments

import (
	"math"
	"testing"

	"google.golang.org/protobuf/types/known/durationpb"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
)

func price(unit v1.PricedUnit, price, per, included int64) *v1.UnitPrice {
	return &v1.UnitPrice{Unit: unit, Price: price, Per: per, Included: included}
}

func TestCostIsExactAndRoundedUpOnce(t *testing.T) {
	const most = 1_000_000_000_000_000
	request := price(v1.PricedUnit_PRICED_UNIT_REQUEST, 1, 3, 0)
	tokens := price(v1.PricedUnit_PRICED_UNIT_OUTPUT_TOKEN, 1, 3, 0)
	hidden := price(v1.PricedUnit_PRICED_UNIT_HIDDEN_TOKEN, 1, 3, 0)
	input := price(v1.PricedUnit_PRICED_UNIT_INPUT_TOKEN, 10, 1, 0)
	cached := price(v1.PricedUnit_PRICED_UNIT_CACHED_INPUT_TOKEN, 1, 1, 0)
	bytes := price(v1.PricedUnit_PRICED_UNIT_OUTPUT_BYTE, 1, 1, 100)
	time := price(v1.PricedUnit_PRICED_UNIT_MILLISECOND, 1, 1, 0)
	dear := price(v1.PricedUnit_PRICED_UNIT_OUTPUT_BYTE, most, 1, 0)
	minute := price(v1.PricedUnit_PRICED_UNIT_OUTPUT_BYTE, 1, most, 0)
	for name, example := range map[string]struct {
		prices  []*v1.UnitPrice
		minimum int64
		usage   *v1.Usage
		cost    int64
	}{
		"three thirds are one":         {[]*v1.UnitPrice{request, tokens, hidden}, 0, &v1.Usage{OutputTokens: 1, HiddenTokens: 1}, 1},
		"four thirds are two":          {[]*v1.UnitPrice{request, tokens}, 0, &v1.Usage{OutputTokens: 3}, 2},
		"what is included":             {[]*v1.UnitPrice{bytes}, 0, &v1.Usage{OutputBytes: 100}, 0},
		"the first beyond":             {[]*v1.UnitPrice{bytes}, 0, &v1.Usage{OutputBytes: 101}, 1},
		"cached input, priced apart":   {[]*v1.UnitPrice{input, cached}, 0, &v1.Usage{InputTokens: 9, CachedInputTokens: 4}, 54},
		"cached input, not apart":      {[]*v1.UnitPrice{input}, 0, &v1.Usage{InputTokens: 9, CachedInputTokens: 4}, 90},
		"more cached than read":        {[]*v1.UnitPrice{input, cached}, 0, &v1.Usage{InputTokens: 1, CachedInputTokens: 4}, 4},
		"whole milliseconds":           {[]*v1.UnitPrice{time}, 0, &v1.Usage{Duration: &durationpb.Duration{Seconds: 1, Nanos: 999_999}}, 1000},
		"milliseconds of a millennium": {[]*v1.UnitPrice{time}, 0, &v1.Usage{Duration: &durationpb.Duration{Seconds: 31_556_952_000}}, 31_556_952_000_000},
		"at least the minimum":         {[]*v1.UnitPrice{request}, 7, &v1.Usage{}, 7},
		"more than the minimum":        {[]*v1.UnitPrice{bytes}, 7, &v1.Usage{OutputBytes: 108}, 8},
		"more than 64 bits":            {[]*v1.UnitPrice{dear}, 0, &v1.Usage{OutputBytes: math.MaxInt64}, math.MaxInt64},
		"just as much as 63 bits":      {[]*v1.UnitPrice{dear}, 0, &v1.Usage{OutputBytes: 9223}, 9_223_000_000_000_000_000},
		"a trifle":                     {[]*v1.UnitPrice{minute}, 0, &v1.Usage{OutputBytes: 1}, 1},
	} {
		tariff := &v1.Tariff{Prices: example.prices, MinimumCharge: example.minimum}
		if cost := Cost(tariff, example.usage); cost != example.cost {
			t.Errorf("%s: %d, expected %d", name, cost, example.cost)
		}
	}
}
