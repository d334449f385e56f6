// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

// Package script is the skill whose answers a tester writes: docs/spec/7-conformance.md.
package script

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
	"consilience.dev/examples/units/internal/node"
	"consilience.dev/examples/units/internal/wire"
)

// ID is that of the skill.
const ID = "conformance.script"

const mediaType = "application/vnd.consilience.script"

// Model is what the card says of the model that answers.
var Model = &v1.Model{Id: "conformance/script"}

var errScripted = errors.New("the script says so")

// Skill serves scripts to testers with a grant that the root key of the node has signed.
func Skill(id ed25519.PublicKey) *node.Skill {
	gates := &gates{waiting: map[string]*gate{}}
	return &node.Skill{
		Card: &v1.Skill{
			Id:              ID,
			Description:     "Answers what a tester writes, for testers with a grant.",
			InputMediaTypes: []string{mediaType},
			ModelIds:        []string{Model.GetId()},
		},
		Model:         Model,
		FreeOnRequest: true,
		Admit:         func(ask *v1.Ask, now time.Time) error { return admit(ask, id, now) },
		Answer: func(ctx context.Context, ask *v1.Ask, writer *node.Writer) (*v1.Answer, error) {
			program := &v1.ConformanceScript{}
			if err := proto.Unmarshal(scriptOf(ask), program); err != nil {
				return nil, err
			}
			run := run{gates: gates, writer: writer}
			for _, step := range program.GetSteps() {
				if end := step.GetConclusion(); end != nil {
					return concluded(end), run.flush()
				}
				if err := run.carryOut(ctx, step); err != nil {
					return nil, err
				}
			}
			end := &v1.ScriptedConclusion{
				Outcome: v1.Outcome_OUTCOME_ANSWERED, StopReason: v1.StopReason_STOP_REASON_COMPLETE,
			}
			return concluded(end), run.flush()
		},
	}
}

// admit is step 20 of 2.2 for this skill: it checks a script and its grant (7.2).
func admit(ask *v1.Ask, id ed25519.PublicKey, now time.Time) error {
	encoded := scriptOf(ask)
	program := &v1.ConformanceScript{}
	if encoded == nil || proto.Unmarshal(encoded, program) != nil {
		return wire.Refuse(v1.ErrorReason_ERROR_REASON_FIELD_INVALID, "the last turn holds no script",
			&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{
				Field:       fmt.Sprintf("turns[%d].parts", len(ask.GetTurns())-1),
				Description: "one blob that holds a ConformanceScript",
			}}})
	}
	if err := wire.CheckFields(program); err != nil {
		return err
	}
	grant := &v1.ConformanceGrant{}
	err := wire.Open(program.GetGrant(), grant, (*v1.ConformanceGrant).GetNodeId)
	if err == nil {
		err = wire.CheckFields(grant)
	}
	isCaller := func(tester []byte) bool { return bytes.Equal(tester, ask.GetHeader().GetCaller()) }
	switch {
	case err != nil:
		return invalid("the grant does not open: " + status.Convert(err).Message())
	case !bytes.Equal(grant.GetNodeId(), id):
		return invalid("the grant is for another node")
	case !slices.ContainsFunc(grant.GetTesters(), isCaller):
		return invalid("the grant is for other testers")
	case now.Before(grant.GetIssueTime().AsTime().Add(-wire.ClockSkew)), now.After(grant.GetExpireTime().AsTime()):
		return invalid("the grant does not hold now")
	}
	return nil
}

func invalid(why string) error {
	return wire.Refuse(v1.ErrorReason_ERROR_REASON_GRANT_INVALID, why)
}

// scriptOf returns the data of the one part of the last turn, or nil where there is no such blob.
func scriptOf(ask *v1.Ask) []byte {
	parts := ask.GetTurns()[len(ask.GetTurns())-1].GetParts()
	if len(parts) != 1 || parts[0].GetBlob() == nil {
		return nil
	}
	return append([]byte{}, parts[0].GetBlob().GetData()...)
}

func concluded(end *v1.ScriptedConclusion) *v1.Answer {
	return &v1.Answer{
		Outcome: end.GetOutcome(), StopReason: end.GetStopReason(), Detail: end.GetDetail(),
		Confidence: end.GetConfidence(), Intake: end.GetIntake(), Usage: &v1.Usage{InputTokens: end.GetInputTokens()},
	}
}

// run is a script that is carried out.
type run struct {
	gates   *gates
	writer  *node.Writer
	pending []byte // of a character that is not whole yet
}

// carryOut does one step (SEC-SCRIPT-001).
func (r *run) carryOut(ctx context.Context, step *v1.ScriptStep) error {
	switch does := step.GetStep().(type) {
	case *v1.ScriptStep_Token:
		for range max(1, does.Token.GetTimes()) {
			r.pending = append(r.pending, does.Token.GetData()...)
			whole := wholeCharacters(r.pending)
			text := string(r.pending[:whole])
			r.pending = r.pending[whole:]
			if err := r.writer.Token(text); err != nil {
				return err
			}
		}
	case *v1.ScriptStep_Wait:
		return r.gates.wait(ctx, string(does.Wait))
	case *v1.ScriptStep_Open:
		r.gates.pass(string(does.Open))
	case *v1.ScriptStep_Fail:
		return errScripted
	case *v1.ScriptStep_Citation:
		return r.writer.Write(&v1.AnswerEvent{Event: &v1.AnswerEvent_Citation{Citation: does.Citation}})
	case *v1.ScriptStep_Progress:
		return r.writer.Write(&v1.AnswerEvent{Event: &v1.AnswerEvent_Progress{Progress: does.Progress}})
	}
	return nil
}

// flush writes what is left of a character that was never completed; the writer makes it U+FFFD.
func (r *run) flush() error { return r.writer.Text(string(r.pending)) }

// wholeCharacters returns how many bytes stand before a character that is not complete yet (STRM-TXT-001).
func wholeCharacters(data []byte) int {
	for start := len(data) - 1; start >= max(0, len(data)-utf8.UTFMax+1); start-- {
		if utf8.RuneStart(data[start]) {
			if !utf8.FullRune(data[start:]) {
				return start
			}
			break
		}
	}
	return len(data)
}
