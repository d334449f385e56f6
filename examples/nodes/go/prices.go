// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/ed25519"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
	"consilience.dev/examples/units/internal/node"
	"consilience.dev/examples/units/internal/payments"
	"consilience.dev/examples/units/internal/readers"
	"consilience.dev/examples/units/internal/script"
)

const quotesPerMinute = 240

// prices are what an operator chooses of them. All sessions live in memory, so all is of no value (PAY-CARD-002).
type prices struct {
	holdOpen time.Duration
	issuers  []string // whose holds are taken in escrow, as node ids
}

// put makes a card that of a node that is paid, gives the skills their tariffs, and returns what they are paid by.
func (c *prices) put(card *v1.NodeCard, root ed25519.PrivateKey, skills ...*node.Skill) (*payments.Payments, error) {
	rail := &v1.Rail{
		Id: "hold.v1", Network: "test", Assets: []string{"TEST/0", "TEST/3"},
		Backings:  []v1.Backing{v1.Backing_BACKING_PREPAID, v1.Backing_BACKING_CREDIT},
		MaxCredit: 100_000, MinDeposit: 10, MaxDeposit: 1_000_000,
	}
	for _, text := range c.issuers {
		issuer, err := readers.ParseID(text)
		if err != nil {
			return nil, fmt.Errorf("--escrow-issuers: %s: %w", text, err)
		}
		rail.Issuers = append(rail.Issuers, issuer)
	}
	if len(rail.Issuers) > 0 {
		rail.Backings = append(rail.Backings, v1.Backing_BACKING_ESCROW)
	}
	var offered []*v1.Quote
	for _, skill := range skills {
		for _, offer := range offersOf(skill.Card.GetId()) {
			offer.HoldOpen = durationpb.New(c.holdOpen)
			offered = append(offered, offer)
			card.Tariffs = append(card.Tariffs, offer.GetTariff())
			skill.Card.TariffIds = append(skill.Card.TariffIds, offer.GetTariff().GetId())
		}
	}
	card.Rails = []*v1.Rail{rail}
	card.Profiles = append(card.Profiles, v1.Profile_PROFILE_PAY)
	card.Limits.MaxQuotesPerMinute = quotesPerMinute
	return payments.New(root, rail, quotesPerMinute, offered...), nil
}

// offersOf returns what quotes for a skill say. A skill without offers is free.
func offersOf(skillID string) []*v1.Quote {
	switch skillID {
	case "units.table":
		return []*v1.Quote{{
			Tariff: &v1.Tariff{Id: "table", Asset: "TEST/0", Prices: []*v1.UnitPrice{
				{Unit: v1.PricedUnit_PRICED_UNIT_REQUEST, Price: 2, Per: 1},
				{Unit: v1.PricedUnit_PRICED_UNIT_OUTPUT_BYTE, Price: 1, Per: 8},
			}},
			Window: 20, MaxCharge: 1000, MaxAsks: 20, TotalMaxCharge: 5000,
		}, {
			Tariff: &v1.Tariff{Id: "table-by-the-byte", Asset: "TEST/3", Prices: []*v1.UnitPrice{
				{Unit: v1.PricedUnit_PRICED_UNIT_OUTPUT_BYTE, Price: 150, Per: 1, Included: 20},
			}, MinimumCharge: 2500},
			Window: 20_000, MaxCharge: 1_000_000, MaxAsks: 20, TotalMaxCharge: 5_000_000,
		}}
	case script.ID: // of each unit that a tester can count, at prices that do not come out even
		return []*v1.Quote{{
			Tariff: &v1.Tariff{Id: "script", Asset: "TEST/0", Tokenizer: script.Model.GetId(), Prices: []*v1.UnitPrice{
				{Unit: v1.PricedUnit_PRICED_UNIT_REQUEST, Price: 5, Per: 1},
				{Unit: v1.PricedUnit_PRICED_UNIT_OUTPUT_TOKEN, Price: 1, Per: 3},
				{Unit: v1.PricedUnit_PRICED_UNIT_OUTPUT_BYTE, Price: 1, Per: 2},
			}},
			Window: 50, MaxCharge: 2000, MaxAsks: 20, TotalMaxCharge: 6000,
		}, { // and of a tariff in which something is included, and something the least
			Tariff: &v1.Tariff{Id: "script-by-the-byte", Asset: "TEST/3", Prices: []*v1.UnitPrice{
				{Unit: v1.PricedUnit_PRICED_UNIT_OUTPUT_BYTE, Price: 211, Per: 3, Included: 40},
			}, MinimumCharge: 2400},
			Window: 4000, MaxCharge: 200_000, MaxAsks: 20, TotalMaxCharge: 600_000,
		}}
	}
	return nil
}
