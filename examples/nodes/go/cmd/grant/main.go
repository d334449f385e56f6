// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

// The program grant lets testers write what the node answers, for an hour at most: it writes an encoded envelope of a
// ConformanceGrant (docs/spec/7-conformance.md). Its arguments are the testers' keys, in their text form.
package main

import (
	"crypto/ed25519"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
	"consilience.dev/examples/units/internal/node"
	"consilience.dev/examples/units/internal/readers"
	"consilience.dev/examples/units/internal/wire"
)

func main() {
	log.SetFlags(0)
	keyFile := flag.String("key", "root.key", "file of the root key of the node")
	life := flag.Duration("life", time.Hour, "how long it holds, from now on; an hour at most")
	output := flag.String("output", "grant.binpb", "file to write")
	flag.Parse()
	if err := write(*output, *keyFile, *life, flag.Args()); err != nil {
		log.Fatal(err)
	}
}

func write(output, keyFile string, life time.Duration, testers []string) error {
	if _, err := os.Stat(keyFile); err != nil {
		return fmt.Errorf("the node has no root key yet: %w", err)
	}
	root, err := node.RootKey(keyFile)
	if err != nil {
		return err
	}
	now := time.Now().Truncate(time.Microsecond)
	grant := &v1.ConformanceGrant{
		NodeId:     root.Public().(ed25519.PublicKey),
		IssueTime:  timestamppb.New(now),
		ExpireTime: timestamppb.New(now.Add(life)),
	}
	for _, text := range testers {
		key, err := readers.ParseID(text)
		if err != nil {
			return fmt.Errorf("%s: %w", text, err)
		}
		grant.Testers = append(grant.Testers, key)
	}
	if wire.CheckFields(grant) != nil {
		return errors.New("a grant names 1 to 64 testers, and holds for an hour at most")
	}
	envelope, err := wire.Sign(root, grant)
	if err != nil {
		return err
	}
	encoded, err := proto.Marshal(envelope)
	if err != nil {
		return err
	}
	return os.WriteFile(output, encoded, 0o644)
}
