// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package asks

import (
	"context"
	"sync"
	"time"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
	"consilience.dev/examples/units/internal/envelopes"
	"consilience.dev/examples/units/internal/refusals"
)

// maxAnswers bounds the memory that answers take while they are kept.
const maxAnswers = 10_000

// answer is what the node holds of an ask that it has accepted.
type answer struct {
	caller             string
	askDigest          envelopes.Digest
	log                *eventLog
	stop               context.CancelCauseFunc
	cancelOnDisconnect bool
	readers            int           // guarded by answers.mutex, like what follows
	boundUntil         time.Time     // the freshness check refuses every copy of the ask from then on (ASK-IDEM-006)
	keepUntil          time.Time     // zero while the work goes on
	finished           chan struct{} // closed once the Final stands in the log
}

// answers holds all answers, by the caller and the request id of their asks. Its mutex makes steps 6 to 21 of 2.2 one.
type answers struct {
	mutex    sync.Mutex
	bound    map[string]*answer
	running  map[string]int // by caller
	work     sync.WaitGroup
	draining bool
}

func newAnswers() *answers { return &answers{bound: map[string]*answer{}, running: map[string]int{}} }

// keyOf joins two ids of fixed lengths.
func keyOf(caller, requestID []byte) string { return string(caller) + string(requestID) }

// owned returns the answer to an ask of a caller (ASK-OWN-001).
func (a *answers) owned(caller, requestID []byte) (*answer, error) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	a.forget(time.Now())
	if found := a.bound[keyOf(caller, requestID)]; found != nil {
		return found, nil
	}
	return nil, refusals.New(v1.ErrorReason_ERROR_REASON_ANSWER_UNKNOWN, "there is no such answer")
}

// forget drops what need not be kept any more, and returns how long until there is more of it. Needs the mutex.
func (a *answers) forget(now time.Time) (next time.Duration) {
	next = time.Minute
	for key, kept := range a.bound {
		if kept.keepUntil.IsZero() {
			continue
		}
		if left := kept.keepUntil.Sub(now); left < 0 {
			delete(a.bound, key)
		} else {
			next = min(next, left)
		}
	}
	return next
}

// runningAsks counts the asks at work. Needs the mutex.
func (a *answers) runningAsks() (count int) {
	for _, of := range a.running {
		count += of
	}
	return count
}

// enter counts one more reader of an answer. Needs the mutex.
func (a *answers) enter(read *answer, maxReaders int32) error {
	if read.readers >= int(maxReaders) {
		return refusals.Limit("max_readers_per_answer", int64(maxReaders), int64(read.readers)+1)
	}
	read.readers++
	return nil
}

// leave counts one reader less, and stops the work after the last where the ask says so.
func (a *answers) leave(read *answer) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	if read.readers--; read.readers == 0 && read.cancelOnDisconnect {
		read.stop(disconnected)
	}
}

// bind makes the record of an ask and counts its work. Needs the mutex.
func (a *answers) bind(ask *v1.Ask, made *answer) {
	made.caller = string(ask.GetHeader().GetCaller())
	made.boundUntil = ask.GetHeader().GetExpireTime().AsTime().Add(envelopes.ClockSkew)
	made.cancelOnDisconnect = ask.GetOnDisconnect() == v1.OnDisconnect_ON_DISCONNECT_CANCEL
	made.finished = make(chan struct{})
	a.bound[keyOf(ask.GetHeader().GetCaller(), ask.GetHeader().GetRequestId())] = made
	a.running[made.caller]++
	a.work.Add(1)
}

// finish ends a log. Whoever has read the Final finds the ask no longer counted as running.
func (a *answers) finish(ended *answer, final *v1.Final, keepUntil time.Time) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	ended.keepUntil = keepUntil
	if keepUntil.Before(ended.boundUntil) {
		ended.keepUntil = ended.boundUntil
	}
	if a.running[ended.caller]--; a.running[ended.caller] == 0 {
		delete(a.running, ended.caller)
	}
	ended.log.write(&v1.AnswerEvent{Event: &v1.AnswerEvent_Final{Final: final}})
	close(ended.finished)
	a.work.Done()
}

// drain refuses new asks, waits for the work or for the end of patience, and interrupts what is left (1.5).
func (a *answers) drain(patience context.Context) {
	a.mutex.Lock()
	a.draining = true
	a.mutex.Unlock()
	idle := make(chan struct{})
	go func() {
		a.work.Wait()
		close(idle)
	}()
	select {
	case <-idle:
	case <-patience.Done():
		a.mutex.Lock()
		for _, left := range a.bound {
			left.stop(interrupted)
		}
		a.mutex.Unlock()
		<-idle
	}
}
