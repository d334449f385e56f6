// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/ed25519"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
	"consilience.dev/examples/units/internal/wire"
)

// defect changes an ask on its way into an envelope, at one of three points.
type defect struct {
	name, reason string
	ask          func(*v1.Ask)
	payload      func([]byte) []byte
	envelope     func(*v1.SignedEnvelope)
}

func inAsk(name, reason string, change func(*v1.Ask)) defect {
	return defect{name: name, reason: reason, ask: change}
}

func inPayload(name, reason string, change func([]byte) []byte) defect {
	return defect{name: name, reason: reason, payload: change}
}

func inEnvelope(name, reason string, change func(*v1.SignedEnvelope)) defect {
	return defect{name: name, reason: reason, envelope: change}
}

// defects stand in the order of the checks of 2.2.
func defects(earlier *v1.Ask, stranger ed25519.PrivateKey) []defect {
	return []defect{
		inPayload("too long a message", "LIMIT_EXCEEDED", func(p []byte) []byte { return append(p, make([]byte, 1<<20)...) }),
		inEnvelope("another type", "PAYLOAD_TYPE_WRONG", func(e *v1.SignedEnvelope) { e.PayloadType += "s" }),
		inEnvelope("a short key", "ENVELOPE_MALFORMED", func(e *v1.SignedEnvelope) { e.PublicKey = e.PublicKey[:31] }),
		inEnvelope("no signature", "SIGNATURE_MISSING", func(e *v1.SignedEnvelope) { e.Signature = nil }),
		inEnvelope("63 bytes", "ENVELOPE_MALFORMED", func(e *v1.SignedEnvelope) { e.Signature = make([]byte, 63) }),
		inEnvelope("64 zeros", "SIGNATURE_INVALID", func(e *v1.SignedEnvelope) { e.Signature = make([]byte, 64) }),
		inPayload("no message", "ENVELOPE_MALFORMED", func(p []byte) []byte { return append(p, 0xff) }),
		inAsk("no time of issue", "FIELD_INVALID", func(a *v1.Ask) { a.Header.IssueTime = nil }),
		inAsk("another caller", "SIGNER_WRONG", func(a *v1.Ask) { a.Header.Caller = publicOf(stranger) }),
		inAsk("no role", "FIELD_INVALID", func(a *v1.Ask) { a.Turns[0].Role = v1.Role_ROLE_UNSPECIFIED }),
		inAsk("another method", "METHOD_WRONG", func(a *v1.Ask) { a.Header.Method += "s" }),
		inAsk("another node", "AUDIENCE_WRONG", func(a *v1.Ask) { a.Header.Audience = publicOf(stranger) }),
		inAsk("an extension", "EXTENSION_UNSUPPORTED", func(a *v1.Ask) { a.Header.RequiredExtensions = []string{"x:y"} }),
		inAsk("an id again", "REQUEST_ID_REUSED", func(a *v1.Ask) { a.Header.RequestId = earlier.Header.RequestId }),
		inAsk("an old header", "CALL_EXPIRED", func(a *v1.Ask) { issueAt(a, -9*time.Minute) }),
		inAsk("a header of the future", "CALL_NOT_YET_VALID", func(a *v1.Ask) { issueAt(a, time.Minute) }),
		inAsk("another card", "STALE_CARD", func(a *v1.Ask) { a.CardDigest = make([]byte, 32) }),
		inAsk("another skill", "SKILL_UNKNOWN", func(a *v1.Ask) { a.SkillId = "cooking" }),
		inAsk("a model", "MODEL_UNKNOWN", func(a *v1.Ask) { a.ModelId = "conformance/script" }),
		inAsk("an image", "MEDIA_TYPE_UNSUPPORTED", func(a *v1.Ask) {
			image := &v1.Part{Content: &v1.Part_Blob{Blob: &v1.Blob{MediaType: "image/png"}}}
			a.Turns[0].Parts = append(a.Turns[0].Parts, image)
		}),
		inAsk("a schema", "ANSWER_SCHEMA_UNSUPPORTED", func(a *v1.Ask) { a.AnswerSchema = "{}" }),
		inAsk("secrets", "DATA_CLASS_REFUSED", func(a *v1.Ask) { a.DataClass = v1.DataClass_DATA_CLASS_CONFIDENTIAL }),
		inAsk("a deadline of before", "DEADLINE_PASSED", func(a *v1.Ask) { boundsOf(a).Deadline = after(-time.Second) }),
		inAsk("a deadline far ahead", "LIMIT_EXCEEDED", func(a *v1.Ask) { boundsOf(a).Deadline = after(3 * time.Minute) }),
		inAsk("too many turns", "LIMIT_EXCEEDED", func(a *v1.Ask) {
			turn := &v1.Turn{Role: v1.Role_ROLE_ASKER, Parts: []*v1.Part{textOf(1)}}
			a.Turns = append(a.Turns, slices.Repeat([]*v1.Turn{turn}, 32)...)
		}),
		inAsk("too long a text", "LIMIT_EXCEEDED", func(a *v1.Ask) { a.Turns[0].Parts[0] = textOf(256<<10 + 1) }),
		inAsk("too many tokens", "LIMIT_EXCEEDED", func(a *v1.Ask) { boundsOf(a).MaxOutputTokens = 8193 }),
	}
}

func textOf(size int) *v1.Part {
	return &v1.Part{Content: &v1.Part_Text{Text: strings.Repeat("x", size)}}
}

func after(offset time.Duration) *timestamppb.Timestamp {
	return timestamppb.New(time.Now().Add(offset))
}

func issueAt(ask *v1.Ask, offset time.Duration) {
	ask.Header.IssueTime, ask.Header.ExpireTime = after(offset), after(offset+8*time.Minute)
}

func boundsOf(ask *v1.Ask) *v1.AskLimits {
	if ask.Limits == nil {
		ask.Limits = &v1.AskLimits{}
	}
	return ask.Limits
}

// apply makes an envelope with defects. The first is put in last, so that it holds whatever the others changed.
func apply(t *testing.T, who *asker, chosen ...defect) *v1.SignedEnvelope {
	t.Helper()
	ask := who.question("How many feet are 12 inches?")
	slices.Reverse(chosen)
	for _, each := range chosen {
		if each.ask != nil {
			each.ask(ask)
		}
	}
	payload, err := proto.Marshal(ask)
	if err != nil {
		t.Fatal(err)
	}
	for _, each := range chosen {
		if each.payload != nil {
			payload = each.payload(payload)
		}
	}
	envelope := wire.SignPayload(who.key, "consilience.v1.Ask", payload)
	for _, each := range chosen {
		if each.envelope != nil {
			each.envelope(envelope)
		}
	}
	return envelope
}

func TestOfTwoDefectsTheOneThatIsCheckedFirstIsReported(t *testing.T) {
	who := startNode(t)
	earlier := who.question("How many feet are 12 inches?")
	who.exchange(earlier)
	all := defects(earlier, newKey(t))
	for i, first := range all {
		for _, second := range append([]defect{{name: "nothing else"}}, all[i+1:]...) {
			t.Run(first.name+", "+second.name, func(t *testing.T) {
				_, err := who.send(who.ctx, apply(t, who, first, second)).next()
				reason, details := refusalOf(t, err)
				if reason != first.reason {
					t.Errorf("refused as %s, expected %s", reason, first.reason)
				}
				_, detail := wire.Catalogue(v1.ErrorReason(v1.ErrorReason_value["ERROR_REASON_"+reason]))
				if detail != "" && !slices.Equal(details, []string{detail}) {
					t.Errorf("the details are %v, expected %s", details, detail)
				}
			})
		}
	}
	who.exchange(who.question("How many feet are 12 inches?"))
}

func TestRequestThatDoesNotParseIsRefusedByName(t *testing.T) {
	who := startNode(t)
	for method, response := range map[string]proto.Message{
		"AskService/GetAnswer": &v1.GetAnswerResponse{}, "AskService/CancelAnswer": &v1.CancelAnswerResponse{},
	} {
		// Bytes that are a Duration are none of the requests: field 1 is no message there.
		err := who.channel.Invoke(who.ctx, "/consilience.v1."+method, &timestamppb.Timestamp{Seconds: 1}, response)
		if reason, _ := refusalOf(t, err); reason != "ENVELOPE_MALFORMED" {
			t.Errorf("%s: %s", method, reason)
		}
	}
}

func TestAskWithoutAnEnvelopeIsRefused(t *testing.T) {
	who := startNode(t)
	_, err := who.send(who.ctx, nil).next()
	if reason, _ := refusalOf(t, err); reason != "ENVELOPE_MALFORMED" {
		t.Error(reason)
	}
}

func TestEveryFieldThatBreaksItsRuleIsNamed(t *testing.T) {
	who := startNode(t)
	ask := who.question("")
	ask.Header.RequestId = ask.Header.RequestId[:15]
	ask.SkillId = "Units"
	ask.Turns[0].Parts[0] = &v1.Part{}
	_, err := who.ask(who.ctx, ask).next()
	want := []string{"header.request_id", "skill_id", "turns[0].parts[0].content"}
	if got := fieldsOf(t, err); !slices.Equal(got, want) {
		t.Errorf("named are %v, expected %v", got, want)
	}
}

func TestTimeThatIsNoneIsNamedWithTheOtherFields(t *testing.T) {
	who := startNode(t)
	ask := who.question("1 m in feet")
	ask.SkillId = "Units"
	boundsOf(ask).Deadline = &timestamppb.Timestamp{Seconds: time.Now().Unix(), Nanos: 2_000_000_000}
	_, err := who.ask(who.ctx, ask).next()
	if got, want := fieldsOf(t, err), []string{"skill_id", "limits.deadline"}; !slices.Equal(got, want) {
		t.Errorf("named are %v, expected %v", got, want)
	}
}

func TestRefusalOfThousandFieldsFitsIntoATrailer(t *testing.T) {
	who := startNode(t)
	ask := who.question("")
	for range 1000 {
		ask.Turns[0].Parts = append(ask.Turns[0].Parts, &v1.Part{})
	}
	_, err := who.ask(who.ctx, ask).next()
	if reason, _ := refusalOf(t, err); reason != "FIELD_INVALID" || len(fieldsOf(t, err)) == 0 {
		t.Error(reason)
	}
}

func TestAskIsRefusedWhileTooManyOfItsCallerRun(t *testing.T) {
	who := startNode(t)
	gate := bytes.Repeat([]byte{7}, 16)
	var waiting []askStream
	for range limits.GetMaxRunningAsksPerCaller() {
		running := who.ask(who.ctx, who.scripted(token("a"), wait(gate)))
		until(t, running, "a")
		waiting = append(waiting, running)
	}
	_, err := who.ask(who.ctx, who.question("1 m in feet")).next()
	if reason, _ := refusalOf(t, err); reason != "LIMIT_EXCEEDED" {
		t.Error(reason)
	}
	other := who.another()
	other.exchange(other.scripted(open(gate)))
	for _, running := range waiting {
		rest(t, running)
	}
	who.exchange(who.question("1 m in feet"))
}

func fieldsOf(t *testing.T, err error) (names []string) {
	t.Helper()
	for _, detail := range status.Convert(err).Details() {
		if request, is := detail.(*errdetails.BadRequest); is {
			for _, violation := range request.GetFieldViolations() {
				names = append(names, violation.GetField())
			}
		}
	}
	return names
}
