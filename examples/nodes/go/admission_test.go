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
	"consilience.dev/examples/units/internal/envelopes"
	"consilience.dev/examples/units/internal/refusals"
)

// draft is an ask on its way into an envelope; a defect changes it at one of three points.
type draft struct {
	ask      *v1.Ask
	payload  []byte
	envelope *v1.SignedEnvelope
}

type defect struct {
	name     string
	reason   string
	ask      func(*v1.Ask)
	payload  func([]byte) []byte
	envelope func(*v1.SignedEnvelope)
}

// defects stand in the order of the checks of 2.2.
func defects(earlier *v1.Ask, stranger ed25519.PrivateKey) []defect {
	text := func(size int) *v1.Part {
		return &v1.Part{Content: &v1.Part_Text{Text: strings.Repeat("x", size)}}
	}
	at := func(offset time.Duration) *timestamppb.Timestamp { return timestamppb.New(time.Now().Add(offset)) }
	limit := func(ask *v1.Ask) *v1.AskLimits {
		if ask.Limits == nil {
			ask.Limits = &v1.AskLimits{}
		}
		return ask.Limits
	}
	return []defect{
		{name: "too long a message", reason: "LIMIT_EXCEEDED", payload: func(p []byte) []byte { return append(p, make([]byte, 1<<20)...) }},
		{name: "another type", reason: "PAYLOAD_TYPE_WRONG", envelope: func(e *v1.SignedEnvelope) { e.PayloadType = "consilience.v1.GetAnswerCall" }},
		{name: "a short key", reason: "ENVELOPE_MALFORMED", envelope: func(e *v1.SignedEnvelope) { e.PublicKey = e.PublicKey[:31] }},
		{name: "no signature", reason: "SIGNATURE_MISSING", envelope: func(e *v1.SignedEnvelope) { e.Signature = nil }},
		{name: "a short signature", reason: "ENVELOPE_MALFORMED", envelope: func(e *v1.SignedEnvelope) { e.Signature = make([]byte, 63) }},
		{name: "a false signature", reason: "SIGNATURE_INVALID", envelope: func(e *v1.SignedEnvelope) { e.Signature = make([]byte, 64) }},
		{name: "a payload that does not parse", reason: "ENVELOPE_MALFORMED", payload: func(p []byte) []byte { return append(p, 0xff) }},
		{name: "no time of issue", reason: "FIELD_INVALID", ask: func(a *v1.Ask) { a.Header.IssueTime = nil }},
		{name: "another caller", reason: "SIGNER_WRONG", ask: func(a *v1.Ask) { a.Header.Caller = publicOf(stranger) }},
		{name: "no role", reason: "FIELD_INVALID", ask: func(a *v1.Ask) { a.Turns[0].Role = v1.Role_ROLE_UNSPECIFIED }},
		{name: "another method", reason: "METHOD_WRONG", ask: func(a *v1.Ask) { a.Header.Method += "s" }},
		{name: "another node", reason: "AUDIENCE_WRONG", ask: func(a *v1.Ask) { a.Header.Audience = publicOf(stranger) }},
		{name: "an extension", reason: "EXTENSION_UNSUPPORTED", ask: func(a *v1.Ask) { a.Header.RequiredExtensions = []string{"x:y"} }},
		{name: "a request id again", reason: "REQUEST_ID_REUSED", ask: func(a *v1.Ask) { a.Header.RequestId = earlier.Header.RequestId }},
		{name: "an old header", reason: "CALL_EXPIRED", ask: func(a *v1.Ask) { a.Header.IssueTime, a.Header.ExpireTime = at(-9*time.Minute), at(-time.Minute) }},
		{name: "a header of the future", reason: "CALL_NOT_YET_VALID", ask: func(a *v1.Ask) { a.Header.IssueTime, a.Header.ExpireTime = at(time.Minute), at(2*time.Minute) }},
		{name: "another card", reason: "STALE_CARD", ask: func(a *v1.Ask) { a.CardDigest = make([]byte, 32) }},
		{name: "another skill", reason: "SKILL_UNKNOWN", ask: func(a *v1.Ask) { a.SkillId = "cooking" }},
		{name: "a model", reason: "MODEL_UNKNOWN", ask: func(a *v1.Ask) { a.ModelId = "conformance/script" }},
		{name: "an image", reason: "MEDIA_TYPE_UNSUPPORTED", ask: func(a *v1.Ask) {
			a.Turns[0].Parts = append(a.Turns[0].Parts, &v1.Part{Content: &v1.Part_Blob{Blob: &v1.Blob{MediaType: "image/png"}}})
		}},
		{name: "a schema", reason: "ANSWER_SCHEMA_UNSUPPORTED", ask: func(a *v1.Ask) { a.AnswerSchema = "{}" }},
		{name: "secret data", reason: "DATA_CLASS_REFUSED", ask: func(a *v1.Ask) { a.DataClass = v1.DataClass_DATA_CLASS_CONFIDENTIAL }},
		{name: "a deadline that has passed", reason: "DEADLINE_PASSED", ask: func(a *v1.Ask) { limit(a).Deadline = at(-time.Second) }},
		{name: "a deadline too far ahead", reason: "LIMIT_EXCEEDED", ask: func(a *v1.Ask) { limit(a).Deadline = at(3 * time.Minute) }},
		{name: "too many turns", reason: "LIMIT_EXCEEDED", ask: func(a *v1.Ask) {
			a.Turns = append(a.Turns, slices.Repeat([]*v1.Turn{{Role: v1.Role_ROLE_ASKER, Parts: []*v1.Part{text(1)}}}, 32)...)
		}},
		{name: "too long a question", reason: "LIMIT_EXCEEDED", ask: func(a *v1.Ask) { a.Turns[0].Parts[0] = text(256<<10 + 1) }},
		{name: "too many tokens wanted", reason: "LIMIT_EXCEEDED", ask: func(a *v1.Ask) { limit(a).MaxOutputTokens = 8193 }},
	}
}

// apply makes an envelope with defects. The first is put in last, so that it holds whatever the others changed.
func apply(t *testing.T, who *asker, chosen ...defect) *v1.SignedEnvelope {
	t.Helper()
	made := draft{ask: who.question("How many feet are 12 inches?")}
	slices.Reverse(chosen)
	for _, each := range chosen {
		if each.ask != nil {
			each.ask(made.ask)
		}
	}
	payload, err := proto.Marshal(made.ask)
	if err != nil {
		t.Fatal(err)
	}
	for _, each := range chosen {
		if each.payload != nil {
			payload = each.payload(payload)
		}
	}
	made.envelope = envelopes.SignPayload(who.key, "consilience.v1.Ask", payload)
	for _, each := range chosen {
		if each.envelope != nil {
			each.envelope(made.envelope)
		}
	}
	return made.envelope
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
				_, detail := refusals.Catalogue(v1.ErrorReason(v1.ErrorReason_value["ERROR_REASON_"+reason]))
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
