// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
	"consilience.dev/examples/units/internal/wire"
)

func newRoot(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	key, err := RootKey(filepath.Join(t.TempDir(), "root.key"))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newNode(t *testing.T) *Node {
	t.Helper()
	made, err := New(newRoot(t), &v1.NodeCard{
		Endpoints:  []*v1.Endpoint{{Uri: "http://127.0.0.1:1", TlsMode: v1.TlsMode_TLS_MODE_LOOPBACK_PLAIN}},
		Limits:     &v1.Limits{MaxRunTime: durationpb.New(time.Minute)},
		DataPolicy: &v1.DataPolicy{MaxDataClass: v1.DataClass_DATA_CLASS_PUBLIC},
		Profiles:   []v1.Profile{v1.Profile_PROFILE_CORE},
	}, nil, &Skill{Card: &v1.Skill{Id: "units.convert"}})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// cardAt returns the card that is current at a time, and checks that the root key has signed it.
func cardAt(t *testing.T, of *Node, now time.Time) (*v1.NodeCard, wire.Digest) {
	t.Helper()
	envelope, err := of.currentCard(now)
	if err != nil {
		t.Fatal(err)
	}
	card := &v1.NodeCard{}
	if err := wire.Open(envelope, card, (*v1.NodeCard).GetNodeId); err != nil {
		t.Fatal(err)
	}
	return card, wire.DigestOf(envelope)
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
	first, pin, err := pinnedCertificate(root)
	if err != nil {
		t.Fatal(err)
	}
	second, samePin, err := pinnedCertificate(root)
	if err != nil || pin != samePin || bytes.Equal(first.Certificate[0], second.Certificate[0]) {
		t.Errorf("two certificates of one key: %v", err)
	}
	trusted := x509.NewCertPool()
	trusted.AddCert(first.Leaf)
	name := wire.IDText(root.Public().(ed25519.PublicKey))
	if _, err := first.Leaf.Verify(x509.VerifyOptions{Roots: trusted, DNSName: name}); err != nil {
		t.Errorf("a library that trusts this one certificate: %v", err)
	}
}

func TestNewCardIsIssuedAtHalfLifeAndBothAreHonoured(t *testing.T) {
	made := newNode(t)
	start := time.Now()
	first, firstDigest := cardAt(t, made, start)
	later := start.Add(cardLife/2 + time.Minute)
	second, secondDigest := cardAt(t, made, later)
	if second.GetSequence() <= first.GetSequence() {
		t.Errorf("the next card has sequence %d after %d", second.GetSequence(), first.GetSequence())
	}
	expectHonoured := func(digest wire.Digest, now time.Time, honoured bool) {
		t.Helper()
		ask := &v1.Ask{CardDigest: digest[:], SkillId: "units.convert"}
		if err := made.checkOffer(ask, now); strings.Contains(fmt.Sprint(err), "card") == honoured {
			t.Errorf("at %v: %v", now, err)
		}
	}
	expectHonoured(firstDigest, later, true)
	expectHonoured(secondDigest, later, true)
	expectHonoured(firstDigest, start.Add(cardLife+time.Second), false)
	expectHonoured(secondDigest, start.Add(cardLife+time.Second), true)
}

func TestSequenceGrowsThoughTheClockGoesBack(t *testing.T) {
	made := newNode(t)
	first, _ := cardAt(t, made, time.Now())
	made.card.ExpireTime = nil // so that another is issued
	if second, _ := cardAt(t, made, time.Now().Add(-time.Hour)); second.GetSequence() <= first.GetSequence() {
		t.Errorf("%d after %d", second.GetSequence(), first.GetSequence())
	}
}
