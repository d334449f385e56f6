// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

// The program units is a core node of the Consilience protocol that converts units of measure.
package main

//go:generate buf generate

import (
	"context"
	"crypto/ed25519"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
	"consilience.dev/examples/units/internal/node"
	"consilience.dev/examples/units/internal/payments"
	"consilience.dev/examples/units/internal/script"
	"consilience.dev/examples/units/internal/units"
	"consilience.dev/examples/units/internal/wire"
)

var (
	address     = flag.String("address", "127.0.0.1:7342", "where to listen; port 0 takes a free one")
	keyFile     = flag.String("key", "root.key", "file of the root key; made if absent")
	withTLS     = flag.Bool("tls", false, "use TLS with a certificate of its own, pinned in the card")
	pay         = flag.Bool("pay", false, "also serve units.table, which costs units of TEST/0; take payments by hold.v1")
	holdOpen    = flag.Duration("hold-open", 5*time.Second, "how long an answer waits for a voucher")
	issuers     = flag.String("escrow-issuers", "", "node ids, with commas, whose holds are taken in escrow")
	conformance = flag.Bool("conformance", false, "also serve conformance.script, to testers with a grant")
	pace        = flag.Duration("pace", 0, "how long to wait after each word of an answer")
	readyFile   = flag.String("ready-file", "", "write the address there, too, once it can be called")
	drain       = flag.Duration("drain", 30*time.Second, "what running asks get to finish after SIGTERM")
)

// goodbye is what readers get, once all work has ended, to read what there is.
const goodbye = 5 * time.Second

var limits = &v1.Limits{
	MaxMessageBytes:         1 << 20,
	MaxTurns:                32,
	MaxInputBytes:           256 << 10,
	MaxOutputTokens:         8192, // a token is a word here
	MaxRunningAsks:          16,
	MaxRunningAsksPerCaller: 4,
	MaxRunTime:              durationpb.New(2 * time.Minute),
	AnswerRetention:         durationpb.New(10 * time.Minute),
	MaxReadersPerAnswer:     8,
}

func main() {
	log.SetFlags(log.LstdFlags | log.LUTC)
	flag.Parse()
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

// run serves until it is told to stop. Then it drains; told again, or out of patience, it interrupts what is left.
func run() error {
	root, err := node.RootKey(*keyFile)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		return err
	}
	endpoint, transport, err := node.Transport(listener.Addr().String(), *withTLS, root)
	if err != nil {
		return err
	}
	var costs *prices
	if *pay {
		costs = &prices{holdOpen: *holdOpen, issuers: strings.FieldsFunc(*issuers, func(r rune) bool { return r == ',' })}
	}
	serving, err := newNode(root, endpoint, *conformance, costs)
	if err != nil {
		return err
	}
	server := serving.NewServer(transport)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	if err := introduce(fmt.Sprintf("%s@%s\n", wire.IDText(serving.ID()), listener.Addr())); err != nil {
		return err
	}

	told, release := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer release()
	select {
	case err := <-served:
		return err
	case <-told.Done():
	}
	log.Printf("draining: running asks get %v; a second signal interrupts them", *drain)
	toldAgain, release := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer release()
	patience, release := context.WithTimeout(toldAgain, *drain)
	defer release()
	serving.Drain(patience)
	time.AfterFunc(goodbye, server.Stop)
	server.GracefulStop()
	return nil
}

// introduce tells the address, in a file in one step: who waits for the file finds it whole.
func introduce(address string) error {
	fmt.Print(address)
	if *readyFile == "" {
		return nil
	}
	if err := os.WriteFile(*readyFile+".new", []byte(address), 0o644); err != nil {
		return err
	}
	return os.Rename(*readyFile+".new", *readyFile)
}

// newNode makes the node that is reached at an endpoint. Without prices all that it does is free.
func newNode(root ed25519.PrivateKey, endpoint *v1.Endpoint, conformance bool, costs *prices) (*node.Node, error) {
	card := &v1.NodeCard{
		Name:       "units",
		Endpoints:  []*v1.Endpoint{endpoint},
		Limits:     proto.CloneOf(limits),
		DataPolicy: &v1.DataPolicy{MaxDataClass: v1.DataClass_DATA_CLASS_INTERNAL},
		Profiles:   []v1.Profile{v1.Profile_PROFILE_CORE},
	}
	skills := []*node.Skill{units.Skill(*pace)}
	if costs != nil {
		skills = append(skills, units.TableSkill(*pace))
	}
	if conformance {
		skills = append(skills, script.Skill(root.Public().(ed25519.PublicKey)))
		card.Profiles = append(card.Profiles, v1.Profile_PROFILE_CONFORMANCE)
		card.Models = append(card.Models, script.Model)
	}
	var paid *payments.Payments
	if costs != nil {
		var err error
		if paid, err = costs.put(card, root, skills...); err != nil {
			return nil, err
		}
	}
	return node.New(root, card, paid, skills...)
}
