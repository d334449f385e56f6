// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

// The program units is a core node of the Consilience protocol that converts units of measure.
package main

//go:generate buf generate

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"flag"
	"fmt"
	"log"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
	"google.golang.org/protobuf/types/known/durationpb"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
	"consilience.dev/examples/units/internal/node"
	"consilience.dev/examples/units/internal/script"
	"consilience.dev/examples/units/internal/units"
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

// settings are those of the command line.
type settings struct {
	address, keyFile, readyFile string
	tls, conformance            bool
	pace, patience              time.Duration
}

func main() {
	log.SetFlags(log.LstdFlags | log.LUTC)
	var chosen settings
	flag.StringVar(&chosen.address, "address", "127.0.0.1:7342", "where to listen; port 0 takes a free one")
	flag.StringVar(&chosen.keyFile, "key", "root.key", "file of the root key; made if absent")
	flag.StringVar(&chosen.readyFile, "ready-file", "", "file to write the address of the node to, once it can be called")
	flag.BoolVar(&chosen.tls, "tls", false, "use TLS with a certificate of its own, pinned in the card")
	flag.BoolVar(&chosen.conformance, "conformance", false, "also serve conformance.script, to testers with a grant")
	flag.DurationVar(&chosen.pace, "pace", 0, "how long to wait after each word of an answer")
	flag.DurationVar(&chosen.patience, "drain", 30*time.Second, "what running asks get to finish after SIGTERM")
	flag.Parse()
	if err := run(chosen); err != nil {
		log.Fatal(err)
	}
}

// run serves until it is told to stop. Then it drains; told again, or out of patience, it interrupts what is left.
func run(chosen settings) error {
	root, err := node.RootKey(chosen.keyFile)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", chosen.address)
	if err != nil {
		return err
	}
	serving, err := newService(listener.Addr().String(), root, chosen)
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- serving.server.Serve(listener) }()
	if err := announce(node.IDText(serving.node.ID())+"@"+listener.Addr().String(), chosen.readyFile); err != nil {
		return err
	}
	told, ignore := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer ignore()
	select {
	case err := <-served:
		return err
	case <-told.Done():
	}
	log.Printf("draining: running asks get %v; a second signal interrupts them", chosen.patience)
	toldAgain, ignore := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer ignore()
	patience, release := context.WithTimeout(toldAgain, chosen.patience)
	defer release()
	serving.stop(patience)
	return nil
}

// service is a node as it is served at one address.
type service struct {
	node   *node.Node
	server *grpc.Server
	health *health.Server
}

// newService makes a node, its card, and a server that keeps what the card says.
func newService(address string, root ed25519.PrivateKey, chosen settings) (*service, error) {
	endpoint, transport, err := secured(address, chosen.tls, root)
	if err != nil {
		return nil, err
	}
	card := &v1.NodeCard{
		Name:       "units",
		Endpoints:  []*v1.Endpoint{endpoint},
		Limits:     limits,
		DataPolicy: &v1.DataPolicy{MaxDataClass: v1.DataClass_DATA_CLASS_INTERNAL},
		Profiles:   []v1.Profile{v1.Profile_PROFILE_CORE},
	}
	skills := []*node.Skill{units.Skill(chosen.pace)}
	if chosen.conformance {
		skills = append(skills, script.Skill(root.Public().(ed25519.PublicKey)))
		card.Profiles = append(card.Profiles, v1.Profile_PROFILE_CONFORMANCE)
		card.Models = append(card.Models, script.Model)
	}
	units, err := node.New(root, card, skills...)
	if err != nil {
		return nil, err
	}
	server := units.NewServer(
		grpc.Creds(transport),
		grpc.MaxConcurrentStreams(128),
		// Pings find out that a reader is gone whose network vanished; clients may ping too, to keep a path open.
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: time.Minute, Timeout: 20 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
	)
	state := health.NewServer()
	healthv1.RegisterHealthServer(server, state)
	for name := range server.GetServiceInfo() {
		state.SetServingStatus(name, healthv1.HealthCheckResponse_SERVING)
	}
	reflection.Register(server)
	return &service{node: units, server: server, health: state}, nil
}

// stop takes no new asks, waits for the work or for the end of patience, and lets readers read what there is.
func (s *service) stop(patience context.Context) {
	s.health.Shutdown()
	s.node.Drain(patience)
	last := time.AfterFunc(goodbye, s.server.Stop)
	defer last.Stop()
	s.server.GracefulStop()
}

// secured returns the endpoint for the card, and the transport that goes with it.
func secured(
	address string, withTLS bool, root ed25519.PrivateKey,
) (*v1.Endpoint, credentials.TransportCredentials, error) {
	if !withTLS {
		if at, err := netip.ParseAddrPort(address); err != nil || !at.Addr().IsLoopback() {
			return nil, nil, fmt.Errorf("%s is not on a loopback address; add --tls (NODE-TLS-003)", address)
		}
		plain := &v1.Endpoint{Uri: "http://" + address, TlsMode: v1.TlsMode_TLS_MODE_LOOPBACK_PLAIN}
		return plain, insecure.NewCredentials(), nil
	}
	certificate, pin, err := node.PinnedCertificate(root)
	if err != nil {
		return nil, nil, err
	}
	config := &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	endpoint := &v1.Endpoint{Uri: "https://" + address, TlsMode: v1.TlsMode_TLS_MODE_PINNED, SpkiSha256: pin[:]}
	return endpoint, credentials.NewTLS(config), nil
}

// announce prints the address of the node, and writes it to a file in one step.
func announce(address, readyFile string) error {
	fmt.Println(address)
	if readyFile == "" {
		return nil
	}
	draft := readyFile + ".new"
	if err := os.WriteFile(draft, []byte(address+"\n"), 0o644); err != nil {
		return err
	}
	return os.Rename(draft, readyFile)
}
