// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

// The program vector-executor answers the questions of `consilience-conformance vectors --exec`, one JSON object a
// line: docs/guides/run-the-vectors.md.
package main

import (
	"bufio"
	"encoding/json"
	"log"
	"maps"
	"os"
	"slices"

	"consilience.dev/examples/units/internal/vectors"
)

const (
	protocol     = "consilience-vectors/1"
	maxLineBytes = 1 << 20
)

// question is a line of the suite; without a type it is the handshake.
type question struct {
	ID    int
	Type  string
	Input vectors.Input
}

type greeting struct {
	ID       int      `json:"id"`
	Protocol string   `json:"protocol"`
	Name     string   `json:"name"`
	Language string   `json:"language"`
	Types    []string `json:"types"`
}

type answer struct {
	ID          int             `json:"id"`
	Accepted    *vectors.Values `json:"accepted,omitempty"`
	Refused     string          `json:"refused,omitempty"`
	Unsupported bool            `json:"unsupported,omitempty"`
	Comment     string          `json:"comment,omitempty"`
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, maxLineBytes)
	replies := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var asked question
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			log.Fatalf("a question that is none: %v", err)
		}
		if err := replies.Encode(reply(asked)); err != nil {
			log.Fatal(err)
		}
	}
	if err := lines.Err(); err != nil {
		log.Fatal(err)
	}
}

func reply(asked question) any {
	if asked.Type == "" {
		types := slices.Sorted(maps.Keys(vectors.Types))
		return greeting{ID: asked.ID, Protocol: protocol, Name: "units", Language: "Go", Types: types}
	}
	function := vectors.Types[asked.Type]
	if function == nil {
		return answer{ID: asked.ID, Unsupported: true}
	}
	values, err := function(asked.Input)
	if err != nil {
		return answer{ID: asked.ID, Refused: vectors.RefusedAs(err), Comment: err.Error()}
	}
	return answer{ID: asked.ID, Accepted: &values}
}
