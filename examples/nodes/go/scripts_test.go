// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
)

func times(step *v1.ScriptStep, times int32) *v1.ScriptStep {
	step.GetToken().Times = times
	return step
}

func TestCharacterThatComesInPiecesIsHeldBack(t *testing.T) {
	who := startNode(t)
	gate := bytes.Repeat([]byte{4}, 16)
	ask := who.scripted(token("30 \xc2"), wait(gate), token("\xb0C"))
	stream := who.ask(who.ctx, ask)
	events := until(t, stream, "30 ")
	who.exchange(who.scripted(open(gate)))
	if log, _ := who.wholeLog(who.signed(who.key, ask), append(events, rest(t, stream)...)); log.Text != "30 °C" {
		t.Errorf("%q", log.Text)
	}
}

func TestBytesThatAreNoTextAreReplaced(t *testing.T) {
	who := startNode(t)
	for data, text := range map[string]string{
		"a\xff": "a\uFFFD", "\xffb": "\uFFFDb", "c\xe2\x82": "c\uFFFD", "\xf0\x9f\x98\x80": "😀",
	} {
		var steps []*v1.ScriptStep
		for i := range len(data) {
			steps = append(steps, token(data[i:i+1]))
		}
		if log, _ := who.exchange(who.scripted(steps...)); log.Text != text {
			t.Errorf("%q became %q", data, log.Text)
		}
	}
}

func TestHalfACharacterIsDroppedWhereTheWorkFails(t *testing.T) {
	who := startNode(t)
	fail := &v1.ScriptStep{Step: &v1.ScriptStep_Fail{Fail: "because"}}
	if log, _ := who.exchange(who.scripted(token("30 \xc2"), fail)); log.Text != "30 " {
		t.Errorf("%q", log.Text)
	}
}

func TestTextBreaksOffAtTheBoundOnTokens(t *testing.T) {
	who := startNode(t)
	for _, more := range []int32{0, 1} { // with the last one that is allowed it ends, whatever was to follow
		ask := who.scripted(times(token("ab"), 3+more))
		ask.Limits = &v1.AskLimits{MaxOutputTokens: 3}
		log, answer := who.exchange(ask)
		expectEnd(t, answer, v1.Outcome_OUTCOME_TRUNCATED, v1.StopReason_STOP_REASON_OUTPUT_LIMIT)
		if log.Text != "ababab" || answer.GetUsage().GetOutputTokens() != 3 {
			t.Errorf("%q, %v", log.Text, answer.GetUsage())
		}
	}
}

func TestTextThatWouldNotFitIntoAResponseIsCutShort(t *testing.T) {
	who := startNode(t)
	ask := who.scripted(times(token(strings.Repeat("x", 65536)), 65))
	log, answer := who.exchange(ask)
	expectEnd(t, answer, v1.Outcome_OUTCOME_TRUNCATED, v1.StopReason_STOP_REASON_OUTPUT_LIMIT)
	if shown, err := who.get(ask); err != nil || shown.GetText() != log.Text {
		t.Errorf("it does not fit: %v", err)
	}
}

func TestScriptEndsAsItSays(t *testing.T) {
	who := startNode(t)
	fail := &v1.ScriptStep{Step: &v1.ScriptStep_Fail{Fail: "secret"}}
	_, failed := who.exchange(who.scripted(token("a"), fail, token("b")))
	expectEnd(t, failed, v1.Outcome_OUTCOME_FAILED, v1.StopReason_STOP_REASON_ENGINE_FAILURE)
	certain := 1.0
	conclusion := &v1.ScriptedConclusion{
		Outcome: v1.Outcome_OUTCOME_ABSTAINED, StopReason: v1.StopReason_STOP_REASON_LOW_CONFIDENCE, Detail: "why",
		Confidence: &v1.Confidence{PCorrect: &certain, Method: "said"}, InputTokens: 5,
	}
	conclude := &v1.ScriptStep{Step: &v1.ScriptStep_Conclusion{Conclusion: conclusion}}
	log, answer := who.exchange(who.scripted(token("a"), conclude, token("b")))
	expectEnd(t, answer, v1.Outcome_OUTCOME_ABSTAINED, v1.StopReason_STOP_REASON_LOW_CONFIDENCE)
	if log.Text != "a" || answer.GetDetail() != "why" || answer.GetConfidence().GetPCorrect() != 1 ||
		answer.GetUsage().GetInputTokens() != 5 || answer.GetModel().GetId() != "conformance/script" {
		t.Errorf("%q, %v", log.Text, answer)
	}
}

func TestScriptIsRefusedWithoutAGrantThatHolds(t *testing.T) {
	who := startNode(t)
	granted := func(change func(*v1.ConformanceGrant)) *v1.ConformanceGrant {
		grant := &v1.ConformanceGrant{
			NodeId: publicOf(who.root), Testers: [][]byte{publicOf(newKey(t)), publicOf(who.key)},
			IssueTime: after(0), ExpireTime: after(time.Hour - time.Second),
		}
		change(grant)
		return grant
	}
	unchanged := granted(func(*v1.ConformanceGrant) {})
	fromRoot := func(change func(*v1.ConformanceGrant)) *v1.SignedEnvelope {
		return who.signed(who.root, granted(change))
	}
	ofItself := granted(func(g *v1.ConformanceGrant) { g.NodeId = publicOf(who.key) })
	for name, grant := range map[string]*v1.SignedEnvelope{
		"signed by the tester":       who.signed(who.key, unchanged),
		"for a node of the tester's": who.signed(who.key, ofItself),
		"of another type":            who.card,
		"without a signature":        {PayloadType: "consilience.v1.ConformanceGrant", PublicKey: publicOf(who.root)},
		"for another tester":         fromRoot(func(g *v1.ConformanceGrant) { g.Testers = g.Testers[:1] }),
		"of more than an hour":       fromRoot(func(g *v1.ConformanceGrant) { g.ExpireTime = after(2 * time.Hour) }),
		"that does not hold yet":     fromRoot(func(g *v1.ConformanceGrant) { g.IssueTime = after(time.Minute) }),
		"that has expired": fromRoot(func(g *v1.ConformanceGrant) {
			g.IssueTime, g.ExpireTime = after(-time.Minute), after(-time.Second)
		}),
	} {
		who.exchange(who.withScript(&v1.ConformanceScript{Grant: who.signed(who.root, unchanged)}))
		_, err := who.ask(who.ctx, who.withScript(&v1.ConformanceScript{Grant: grant})).next()
		if reason, _ := refusalOf(t, err); reason != "GRANT_INVALID" {
			t.Errorf("a grant %s: %s", name, reason)
		}
	}
}

func TestScriptThatBreaksItsRulesIsRefusedWithThePathOfTheField(t *testing.T) {
	who := startNode(t)
	_, err := who.ask(who.ctx, who.scripted(token("a"), wait([]byte("short")))).next()
	if got, want := fieldsOf(t, err), []string{"steps[1].wait"}; !slices.Equal(got, want) {
		t.Errorf("%v, expected %v", got, want)
	}
}
