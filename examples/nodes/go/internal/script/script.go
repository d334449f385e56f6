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

	"google.golang.org/protobuf/proto"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
	"consilience.dev/examples/units/internal/asks"
	"consilience.dev/examples/units/internal/envelopes"
	"consilience.dev/examples/units/internal/refusals"
)

const mediaType = "application/vnd.consilience.script"

// Model is what the card says of the model that answers.
var Model = &v1.Model{Id: "conformance/script"}

var errScripted = errors.New("the script says so")

// Skill serves scripts to testers with a grant that the root key of the node has signed.
func Skill(node ed25519.PublicKey) *asks.Skill {
	gates := &gates{waiting: map[string]*gate{}}
	return &asks.Skill{
		Card: &v1.Skill{
			Id:              "conformance.script",
			Description:     "Answers what a tester writes, for testers with a grant.",
			InputMediaTypes: []string{mediaType},
			ModelIds:        []string{Model.GetId()},
		},
		Model: Model,
		Admit: func(ask *v1.Ask, now time.Time) error { return admit(ask, node, now) },
		Answer: func(ctx context.Context, ask *v1.Ask, writer *asks.Writer) (asks.Conclusion, error) {
			conclusion := asks.Conclusion{
				Outcome: v1.Outcome_OUTCOME_ANSWERED, StopReason: v1.StopReason_STOP_REASON_COMPLETE,
			}
			program := &v1.ConformanceScript{}
			if err := proto.Unmarshal(scriptOf(ask), program); err != nil {
				return conclusion, err
			}
			for _, step := range program.GetSteps() {
				if err := carryOut(ctx, step, gates, writer, &conclusion); err != nil || step.GetConclusion() != nil {
					return conclusion, err
				}
			}
			return conclusion, nil
		},
	}
}

// admit is step 20 of 2.2 for this skill: it checks a script and its grant (7.2).
func admit(ask *v1.Ask, node ed25519.PublicKey, now time.Time) error {
	encoded := scriptOf(ask)
	program := &v1.ConformanceScript{}
	path := fmt.Sprintf("turns[%d].parts", len(ask.GetTurns())-1)
	if encoded == nil || proto.Unmarshal(encoded, program) != nil {
		return envelopes.FieldInvalid(path, "the last turn is one blob that holds a ConformanceScript")
	}
	if err := envelopes.CheckFieldsBelow(path+"[0].blob.data.", program); err != nil {
		return err
	}
	grant := &v1.ConformanceGrant{}
	err := envelopes.Open(program.GetGrant(), grant, (*v1.ConformanceGrant).GetNodeId)
	if err == nil {
		err = envelopes.CheckFields(grant)
	}
	isCaller := func(tester []byte) bool { return bytes.Equal(tester, ask.GetHeader().GetCaller()) }
	switch {
	case err != nil:
		return invalid("the grant does not open: " + err.Error())
	case !bytes.Equal(grant.GetNodeId(), node):
		return invalid("the grant is for another node")
	case !slices.ContainsFunc(grant.GetTesters(), isCaller):
		return invalid("the grant is for other testers")
	case now.Before(grant.GetIssueTime().AsTime().Add(-envelopes.ClockSkew)), now.After(grant.GetExpireTime().AsTime()):
		return invalid("the grant does not hold now")
	}
	return nil
}

func invalid(why string) error {
	return refusals.New(v1.ErrorReason_ERROR_REASON_GRANT_INVALID, why)
}

// scriptOf returns the data of the one part of the last turn, or nil where there is no such blob.
func scriptOf(ask *v1.Ask) []byte {
	parts := ask.GetTurns()[len(ask.GetTurns())-1].GetParts()
	if len(parts) != 1 || parts[0].GetBlob() == nil {
		return nil
	}
	return append([]byte{}, parts[0].GetBlob().GetData()...)
}

// carryOut does one step (SEC-SCRIPT-001).
func carryOut(
	ctx context.Context, step *v1.ScriptStep, gates *gates, writer *asks.Writer, conclusion *asks.Conclusion,
) error {
	switch does := step.GetStep().(type) {
	case *v1.ScriptStep_Token:
		for range max(1, does.Token.GetTimes()) {
			if err := writer.Token(does.Token.GetData()); err != nil {
				return err
			}
		}
	case *v1.ScriptStep_Wait:
		return gates.wait(ctx, string(does.Wait))
	case *v1.ScriptStep_Open:
		gates.pass(string(does.Open))
	case *v1.ScriptStep_Fail:
		return errScripted
	case *v1.ScriptStep_Citation:
		return writer.Cite(does.Citation)
	case *v1.ScriptStep_Progress:
		return writer.Progress(does.Progress)
	case *v1.ScriptStep_Conclusion:
		conclusion.Outcome, conclusion.StopReason = does.Conclusion.GetOutcome(), does.Conclusion.GetStopReason()
		conclusion.Detail, conclusion.Confidence = does.Conclusion.GetDetail(), does.Conclusion.GetConfidence()
		conclusion.Intake, conclusion.InputTokens = does.Conclusion.GetIntake(), does.Conclusion.GetInputTokens()
	}
	return nil
}
