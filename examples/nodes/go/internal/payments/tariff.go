// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package payments

import (
	"math"
	"math/big"
	"slices"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
)

// Cost returns what usage costs: exactly, and rounded up once (3.1).
func Cost(tariff *v1.Tariff, usage *v1.Usage) int64 {
	sum := new(big.Rat)
	for _, price := range tariff.GetPrices() {
		beyond := max(0, quantity(tariff, price.GetUnit(), usage)) - price.GetIncluded()
		if beyond > 0 {
			part := new(big.Rat).SetFrac64(beyond, price.GetPer())
			sum.Add(sum, part.Mul(part, new(big.Rat).SetInt64(price.GetPrice())))
		}
	}
	cost, rest := new(big.Int).QuoRem(sum.Num(), sum.Denom(), new(big.Int))
	if rest.Sign() > 0 {
		cost.Add(cost, big.NewInt(1))
	}
	if !cost.IsInt64() {
		return math.MaxInt64
	}
	return max(cost.Int64(), tariff.GetMinimumCharge())
}

// quantity returns how much of a unit was used.
func quantity(tariff *v1.Tariff, unit v1.PricedUnit, usage *v1.Usage) int64 {
	switch unit {
	case v1.PricedUnit_PRICED_UNIT_REQUEST:
		return 1
	case v1.PricedUnit_PRICED_UNIT_INPUT_TOKEN:
		cachedApart := slices.ContainsFunc(tariff.GetPrices(), func(price *v1.UnitPrice) bool {
			return price.GetUnit() == v1.PricedUnit_PRICED_UNIT_CACHED_INPUT_TOKEN
		})
		if cachedApart {
			return usage.GetInputTokens() - usage.GetCachedInputTokens()
		}
		return usage.GetInputTokens()
	case v1.PricedUnit_PRICED_UNIT_CACHED_INPUT_TOKEN:
		return usage.GetCachedInputTokens()
	case v1.PricedUnit_PRICED_UNIT_OUTPUT_TOKEN:
		return usage.GetOutputTokens()
	case v1.PricedUnit_PRICED_UNIT_HIDDEN_TOKEN:
		return usage.GetHiddenTokens()
	case v1.PricedUnit_PRICED_UNIT_OUTPUT_BYTE:
		return usage.GetOutputBytes()
	case v1.PricedUnit_PRICED_UNIT_MILLISECOND: // a time.Duration would end after 292 years
		return usage.GetDuration().GetSeconds()*1000 + int64(usage.GetDuration().GetNanos())/1_000_000
	}
	return 0
}
