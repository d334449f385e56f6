// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
)

func token(text string) *v1.ScriptStep {
	return &v1.ScriptStep{Step: &v1.ScriptStep_Token{Token: &v1.ScriptedToken{Data: []byte(text)}}}
}

func wait(gate []byte) *v1.ScriptStep { return &v1.ScriptStep{Step: &v1.ScriptStep_Wait{Wait: gate}} }

func open(gate []byte) *v1.ScriptStep { return &v1.ScriptStep{Step: &v1.ScriptStep_Open{Open: gate}} }

// closed is a gate that nobody opens.
var closed = bytes.Repeat([]byte{1}, 16)

func expectEnd(t *testing.T, answer *v1.Answer, outcome v1.Outcome, reason v1.StopReason) {
	t.Helper()
	if answer.GetOutcome() != outcome || answer.GetStopReason() != reason {
		t.Errorf("ended %s, %s; expected %s, %s", answer.GetOutcome(), answer.GetStopReason(), outcome, reason)
	}
}

func TestQuestionIsAnsweredWithItsSources(t *testing.T) {
	who := startNode(t)
	log, answer := who.exchange(who.question("How many feet are 12 inches?"))
	if log.Text != "12 inches are 1 foot." || len(log.Citations) != 2 {
		t.Errorf("%q with %d sources", log.Text, len(log.Citations))
	}
	expectEnd(t, answer, v1.Outcome_OUTCOME_ANSWERED, v1.StopReason_STOP_REASON_COMPLETE)
}

func TestCopiesOfAnAskReadOneAnswer(t *testing.T) {
	who := startNode(t)
	envelope := who.signed(who.key, who.scripted(token("a"), token("b")))
	_, first := who.wholeLog(envelope, rest(t, who.send(who.ctx, envelope)))
	for range 3 {
		_, again := who.wholeLog(envelope, rest(t, who.send(who.ctx, envelope)))
		if !proto.Equal(first, again) {
			t.Error("a copy got another answer")
		}
	}
}

func TestReaderThatWasCutOffResumesBehindWhatItHas(t *testing.T) {
	who := startNode(t)
	gate := bytes.Repeat([]byte{2}, 16)
	ask := who.scripted(token("half "), wait(gate), token("and half"))
	connection, cut := context.WithCancel(who.ctx)
	events := until(t, who.ask(connection, ask), "half ")
	cut()
	who.exchange(who.scripted(open(gate)))
	events = append(events, rest(t, who.resume(ask, events[len(events)-1].GetSequence()))...)
	log, answer := who.wholeLog(who.signed(who.key, ask), events)
	if log.Text != "half and half" {
		t.Error(log.Text)
	}
	expectEnd(t, answer, v1.Outcome_OUTCOME_ANSWERED, v1.StopReason_STOP_REASON_COMPLETE)
}

func TestReaderResumesBehindTheFinalAndNotBeyondIt(t *testing.T) {
	who := startNode(t)
	ask := who.scripted(token("a"), token("b"), token("c"))
	who.exchange(ask)
	if late := rest(t, who.resume(ask, 4)); len(late) != 1 || late[0].GetFinal() == nil {
		t.Errorf("behind the text came %v", late)
	}
	if behind := rest(t, who.resume(ask, 5)); len(behind) != 0 {
		t.Errorf("behind the Final came %v", behind)
	}
	_, err := who.resume(ask, 6).next()
	if reason, _ := refusalOf(t, err); reason != "SEQUENCE_UNKNOWN" {
		t.Error(reason)
	}
}

func TestCancellationEndsTheWork(t *testing.T) {
	who := startNode(t)
	ask := who.scripted(token("a"), wait(closed))
	stream := who.ask(who.ctx, ask)
	events := until(t, stream, "a")
	answer, err := who.cancel(ask)
	if err != nil {
		t.Fatal(err)
	}
	expectEnd(t, answer, v1.Outcome_OUTCOME_CANCELLED, v1.StopReason_STOP_REASON_CANCELLED)
	_, streamed := who.wholeLog(who.signed(who.key, ask), append(events, rest(t, stream)...))
	if again, err := who.cancel(ask); err != nil || !proto.Equal(again, answer) || !proto.Equal(streamed, answer) {
		t.Errorf("another answer: %v", err)
	}
}

func TestDeadlineEndsTheWork(t *testing.T) {
	who := startNode(t)
	ask := who.scripted(token("a"), wait(closed))
	ask.Limits = &v1.AskLimits{Deadline: timestamppb.New(time.Now().Add(300 * time.Millisecond))}
	_, answer := who.exchange(ask)
	expectEnd(t, answer, v1.Outcome_OUTCOME_CANCELLED, v1.StopReason_STOP_REASON_DEADLINE)
}

func TestLossOfTheLastReaderEndsTheWorkOnlyWhereTheAskSaysSo(t *testing.T) {
	who := startNode(t)
	gate := bytes.Repeat([]byte{3}, 16)
	for behaviour, outcome := range map[v1.OnDisconnect]v1.Outcome{
		v1.OnDisconnect_ON_DISCONNECT_UNSPECIFIED: v1.Outcome_OUTCOME_ANSWERED,
		v1.OnDisconnect_ON_DISCONNECT_CONTINUE:    v1.Outcome_OUTCOME_ANSWERED,
		v1.OnDisconnect_ON_DISCONNECT_CANCEL:      v1.Outcome_OUTCOME_CANCELLED,
	} {
		own := append([]byte{byte(behaviour)}, gate[1:]...)
		ask := who.scripted(token("a"), wait(own))
		ask.OnDisconnect = behaviour
		connection, cut := context.WithCancel(who.ctx)
		until(t, who.ask(connection, ask), "a")
		cut()
		if outcome == v1.Outcome_OUTCOME_ANSWERED {
			who.exchange(who.scripted(open(own)))
		}
		who.untilFinal(ask) // a reader that came back too early would keep the work going
		events := rest(t, who.resume(ask, 0))
		if _, answer := who.wholeLog(who.signed(who.key, ask), events); answer.GetOutcome() != outcome {
			t.Errorf("%s: %s", behaviour, answer.GetOutcome())
		}
	}
}

func TestAnswerIsShownToItsCallerAlone(t *testing.T) {
	who := startNode(t)
	ask := who.question("1 m in feet")
	log, answer := who.exchange(ask)
	shown, err := who.get(ask)
	if err != nil {
		t.Fatal(err)
	}
	kept := shown.GetKeepUntilTime().AsTime().Sub(answer.GetFinishTime().AsTime())
	if shown.GetText() != log.Text || shown.GetLastSequence() != log.LastSequence ||
		kept < limits.GetAnswerRetention().AsDuration() {
		t.Errorf("%v, kept for %v", shown, kept)
	}
	stranger := who.another()
	_, strangers := stranger.get(ask)
	_, nobodys := who.get(who.question("never asked"))
	for _, err := range []error{strangers, nobodys} {
		if reason, _ := refusalOf(t, err); reason != "ANSWER_UNKNOWN" {
			t.Error(reason)
		}
	}
	if strangers.Error() != nobodys.Error() {
		t.Errorf("%v tells more than %v", strangers, nobodys)
	}
}

func TestOneReaderTooManyIsRefused(t *testing.T) {
	who := startNode(t)
	ask := who.scripted(token("a"), wait(closed))
	until(t, who.ask(who.ctx, ask), "a")
	for range limits.GetMaxReadersPerAnswer() - 1 {
		until(t, who.resume(ask, 0), "a")
	}
	for after, reason := range map[uint64]string{0: "LIMIT_EXCEEDED", 900: "SEQUENCE_UNKNOWN"} {
		_, err := who.resume(ask, after).next()
		if got, _ := refusalOf(t, err); got != reason {
			t.Errorf("behind %d: %s, expected %s", after, got, reason)
		}
	}
}

func TestNodeThatIsToldToStopInterruptsWhatIsLeft(t *testing.T) {
	who := startNode(t)
	ask := who.scripted(token("a"), wait(closed))
	stream := who.ask(who.ctx, ask)
	events := until(t, stream, "a")
	patience, interrupt := context.WithCancel(who.ctx)
	stopped := make(chan struct{})
	go func() {
		who.node.Drain(patience)
		who.server.GracefulStop()
		close(stopped)
	}()
	for {
		_, err := who.ask(who.ctx, who.question("1 m in feet")).next()
		if err == nil {
			continue // it was not draining yet
		}
		if reason, _ := refusalOf(t, err); reason != "NODE_DRAINING" {
			t.Error(reason)
		}
		break
	}
	if _, err := who.get(ask); err != nil {
		t.Errorf("other calls are served meanwhile: %v", err)
	}
	interrupt()
	_, answer := who.wholeLog(who.signed(who.key, ask), append(events, rest(t, stream)...))
	expectEnd(t, answer, v1.Outcome_OUTCOME_FAILED, v1.StopReason_STOP_REASON_INTERRUPTED)
	<-stopped
}

func TestSlowReaderHoldsUpNobody(t *testing.T) {
	who := startNode(t)
	const tokens = 8000
	ask := who.scripted(token("begun "), times(token(strings.Repeat("x", 400)), tokens))
	slow := who.ask(who.ctx, ask)
	events, err := slow.next() // so the work has begun; then nothing is read until it has ended
	if err != nil {
		t.Fatal(err)
	}
	fast := rest(t, who.resume(ask, 0))
	events = append(events, rest(t, slow)...)
	signed := who.signed(who.key, ask)
	fastLog, _ := who.wholeLog(signed, fast)
	slowLog, _ := who.wholeLog(signed, events)
	if fastLog.Text != slowLog.Text || len(slowLog.Text) != len("begun ")+400*tokens {
		t.Errorf("texts of %d and %d bytes", len(fastLog.Text), len(slowLog.Text))
	}
}
