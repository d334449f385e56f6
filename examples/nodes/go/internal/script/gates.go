// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package script

import (
	"context"
	"slices"
	"sync"
)

const maxOpened = 1024

// gates are known to the whole node by their names.
type gates struct {
	mutex   sync.Mutex
	opened  []string         // the oldest first, at most maxOpened
	waiting map[string]*gate // those that are closed and waited for
}

type gate struct {
	opened  chan struct{} // closed when the gate opens
	waiters int
}

// wait returns once a gate is open, or with the cause when the work is stopped.
func (g *gates) wait(ctx context.Context, name string) error {
	g.mutex.Lock()
	if slices.Contains(g.opened, name) {
		g.mutex.Unlock()
		return nil
	}
	closed := g.waiting[name]
	if closed == nil {
		closed = &gate{opened: make(chan struct{})}
		g.waiting[name] = closed
	}
	closed.waiters++
	g.mutex.Unlock()
	select {
	case <-closed.opened:
		return nil
	case <-ctx.Done():
	}
	g.mutex.Lock()
	defer g.mutex.Unlock()
	if closed.waiters--; closed.waiters == 0 && g.waiting[name] == closed {
		delete(g.waiting, name)
	}
	return context.Cause(ctx)
}

// pass opens a gate for whoever waits there now or later, and forgets the one that was opened first where there are
// too many.
func (g *gates) pass(name string) {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	if closed := g.waiting[name]; closed != nil {
		close(closed.opened)
		delete(g.waiting, name)
	}
	g.opened = append(slices.DeleteFunc(g.opened, func(other string) bool { return other == name }), name)
	if len(g.opened) > maxOpened {
		g.opened = g.opened[1:]
	}
}
