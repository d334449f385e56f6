// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package nodes

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
	"consilience.dev/examples/units/internal/envelopes"
)

func newRoot(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	key, err := RootKey(filepath.Join(t.TempDir(), "root.key"))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newCards(t *testing.T) *Cards {
	t.Helper()
	cards, err := NewCards(newRoot(t), &v1.NodeCard{
		Endpoints:  []*v1.Endpoint{{Uri: "http://127.0.0.1:1", TlsMode: v1.TlsMode_TLS_MODE_LOOPBACK_PLAIN}},
		Skills:     []*v1.Skill{{Id: "units.convert"}},
		Limits:     &v1.Limits{MaxRunTime: durationpb.New(time.Minute)},
		DataPolicy: &v1.DataPolicy{MaxDataClass: v1.DataClass_DATA_CLASS_PUBLIC},
		Profiles:   []v1.Profile{v1.Profile_PROFILE_CORE},
	})
	if err != nil {
		t.Fatal(err)
	}
	return cards
}

func TestRootKeyIsTheSameAfterARestart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "root.key")
	first, err := RootKey(file)
	if err != nil {
		t.Fatal(err)
	}
	again, err := RootKey(file)
	if err != nil || !first.Equal(again) {
		t.Errorf("another key: %v", err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("others can read it: %v, %v", info.Mode(), err)
	}
}

func TestFileThatHoldsNoKeyIsNotReplaced(t *testing.T) {
	file := filepath.Join(t.TempDir(), "root.key")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := RootKey(file); err == nil {
		t.Error("a key out of nothing")
	}
	if content, _ := os.ReadFile(file); string(content) != "precious" {
		t.Errorf("it holds %q now", content)
	}
}

func TestCertificateNamesTheNodeAndKeepsItsPin(t *testing.T) {
	root := newRoot(t)
	first, pin, err := PinnedCertificate(root)
	if err != nil {
		t.Fatal(err)
	}
	second, samePin, err := PinnedCertificate(root)
	if err != nil || pin != samePin || bytes.Equal(first.Certificate[0], second.Certificate[0]) {
		t.Errorf("two certificates of one key: %v", err)
	}
	trusted := x509.NewCertPool()
	trusted.AddCert(first.Leaf)
	name := IDText(root.Public().(ed25519.PublicKey))
	if _, err := first.Leaf.Verify(x509.VerifyOptions{Roots: trusted, DNSName: name}); err != nil {
		t.Errorf("a library that trusts this one certificate: %v", err)
	}
}

func TestNewCardIsIssuedAtHalfLifeAndBothAreHonoured(t *testing.T) {
	cards := newCards(t)
	start := time.Now()
	first, err := cards.Current(start)
	if err != nil {
		t.Fatal(err)
	}
	later := start.Add(cardLife/2 + time.Minute)
	second, err := cards.Current(later)
	if err != nil || second.GetSequence() <= first.GetSequence() {
		t.Errorf("the next card has sequence %d after %d, %v", second.GetSequence(), first.GetSequence(), err)
	}
	for _, card := range []*Card{first, second} {
		if cards.Honoured(card.Digest[:], later) != card {
			t.Error("a card is not honoured in its life")
		}
	}
	if cards.Honoured(first.Digest[:], start.Add(cardLife+time.Second)) != nil {
		t.Error("a card is honoured after its life")
	}
}

func TestSequenceGrowsThoughTheClockGoesBack(t *testing.T) {
	cards := newCards(t)
	first, err := cards.Current(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	second, err := cards.issue(time.Now().Add(-time.Hour))
	if err != nil || second.GetSequence() <= first.GetSequence() {
		t.Errorf("%d after %d, %v", second.GetSequence(), first.GetSequence(), err)
	}
}

func TestCardIsSignedByTheRootKeyThatItNames(t *testing.T) {
	card, err := newCards(t).Current(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := envelopes.Open(card.Envelope, &v1.NodeCard{}, (*v1.NodeCard).GetNodeId); err != nil {
		t.Error(err)
	}
}
