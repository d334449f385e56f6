// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package vectors_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"consilience.dev/examples/units/internal/vectors"
)

const folder = "../../../../../conformance/src/consilience_conformance/vectors"

type file struct {
	NumberOfTests int
	TestGroups    []json.RawMessage
}

type group struct {
	Type  string
	Tests []json.RawMessage
}

type verdict struct {
	TcID    int
	Comment string
	Result  string
	Reason  string
}

func TestEveryVectorOfEveryFileHasItsVerdict(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil || len(paths) < 2 {
		t.Fatalf("the vectors are not in %s: %v", folder, err)
	}
	for _, path := range paths {
		if filepath.Base(path) == "schema.json" {
			continue
		}
		t.Run(filepath.Base(path), func(t *testing.T) { runFile(t, path) })
	}
}

func runFile(t *testing.T, path string) {
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	read := decoded[file](t, content)
	seen := 0
	for _, rawGroup := range read.TestGroups {
		of := decoded[group](t, rawGroup)
		function := vectors.Types[of.Type]
		if function == nil {
			t.Fatalf("no function for %s: an unknown type is never skipped", of.Type)
		}
		for _, rawTest := range of.Tests {
			seen++
			runTest(t, function, rawGroup, rawTest)
		}
	}
	if seen != read.NumberOfTests {
		t.Fatalf("%d tests seen, the file counts %d", seen, read.NumberOfTests)
	}
}

func runTest(t *testing.T, function func(vectors.Input) (vectors.Values, error), rawGroup, rawTest json.RawMessage) {
	expected := decoded[verdict](t, rawTest)
	t.Run(fmt.Sprintf("%d %s", expected.TcID, expected.Comment), func(t *testing.T) {
		input := decoded[vectors.Input](t, rawGroup)
		if err := json.Unmarshal(rawTest, &input); err != nil {
			t.Fatal(err)
		}
		values, err := function(input)
		if expected.Result == "invalid" {
			if err == nil {
				t.Fatal("accepted")
			}
			if name := vectors.RefusedAs(err); expected.Reason != "" && name != expected.Reason {
				t.Fatalf("refused as %q, because %v", name, err)
			}
			return
		}
		if err != nil {
			t.Fatalf("refused: %v", err)
		}
		fields := decoded[map[string]any](t, rawGroup)
		for name, value := range decoded[map[string]any](t, rawTest) {
			fields[name] = value
		}
		for name, value := range values {
			if got, want := encoded(t, value), encoded(t, fields[name]); got != want {
				t.Errorf("%s is %s, expected %s", name, got, want)
			}
		}
	})
}

func decoded[T any](t *testing.T, content []byte) (value T) {
	t.Helper()
	if err := json.Unmarshal(content, &value); err != nil {
		t.Fatal(err)
	}
	return value
}

func encoded(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
