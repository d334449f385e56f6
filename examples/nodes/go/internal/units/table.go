// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

// Package units converts between units of measure, exactly. What it knows stands in units.txt, and every answer cites
// the lines that it rests on.
package units

import (
	"crypto/sha256"
	_ "embed"
	"fmt"
	"math/big"
	"strings"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
)

//go:embed units.txt
var document string

var (
	documentDigest = sha256.Sum256([]byte(document))
	table          = readTable(document)
)

// unit is one line of the table.
type unit struct {
	singular, plural string
	factor           *big.Rat // in the base unit of the quantity
	quantity         string
	line             string
	place            *v1.ByteSpan
}

// readTable reads lines of the form `singular, plural, other names: factor base of quantity`.
func readTable(text string) map[string]*unit {
	byName := map[string]*unit{}
	start := 0
	for line := range strings.Lines(text) {
		end := start + len(line)
		line = strings.TrimSuffix(line, "\n")
		names, definition, _ := strings.Cut(line, ": ")
		amount, quantity, _ := strings.Cut(definition, " of ")
		number, _, _ := strings.Cut(amount, " ")
		factor, exact := new(big.Rat).SetString(number)
		if !exact {
			panic(fmt.Sprintf("units.txt: no factor in %q", line))
		}
		forms := strings.Split(names, ", ")
		read := &unit{
			singular: forms[0], plural: forms[1], factor: factor, quantity: quantity, line: line,
			place: &v1.ByteSpan{StartByte: int64(start), EndByte: int64(start + len(line))},
		}
		for _, name := range forms {
			byName[name] = read
		}
		start = end
	}
	return byName
}

// name returns the word for so many of a unit.
func (u *unit) name(amount *big.Rat) string {
	if amount.Cmp(big.NewRat(1, 1)) == 0 {
		return u.singular
	}
	return u.plural
}

// convert returns an amount of one unit in another of the same quantity.
func convert(amount *big.Rat, from, to *unit) *big.Rat {
	inBase := new(big.Rat).Mul(amount, from.factor)
	return inBase.Quo(inBase, to.factor)
}

// written returns a number in decimal digits where that is exact, and else as a fraction with a rounded value.
func written(number *big.Rat) string {
	if digits, exact := number.FloatPrec(); exact {
		return number.FloatString(digits)
	}
	rounded := new(big.Float).SetRat(number)
	return fmt.Sprintf("%s (about %s)", number.RatString(), rounded.Text('g', 7))
}
