// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package asks

import (
	"context"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
	"consilience.dev/examples/units/internal/envelopes"
	"consilience.dev/examples/units/internal/nodes"
	"consilience.dev/examples/units/internal/refusals"
)

const drainWait = 5 * time.Second

// Service takes questions and streams answers.
type Service struct {
	v1.UnimplementedAskServiceServer
	cards    *nodes.Cards
	limits   *v1.Limits
	policy   *v1.DataPolicy
	skills   map[string]*Skill
	skillIDs []string
	answers  *answers
}

// NewService offers skills under the cards of a node.
func NewService(cards *nodes.Cards, limits *v1.Limits, policy *v1.DataPolicy, skills ...*Skill) *Service {
	service := &Service{cards: cards, limits: limits, policy: policy, skills: map[string]*Skill{}, answers: newAnswers()}
	for _, skill := range skills {
		service.skills[skill.Card.GetId()] = skill
		service.skillIDs = append(service.skillIDs, skill.Card.GetId())
	}
	return service
}

// Drain takes no new asks, and returns once all work has ended; what is left when patience ends is interrupted.
func (s *Service) Drain(patience context.Context) { s.answers.drain(patience) }

// Ask starts the work on an ask, or attaches to it, and streams its log from the beginning.
func (s *Service) Ask(request *v1.AskRequest, stream grpc.ServerStreamingServer[v1.AskResponse]) error {
	ask := &v1.Ask{}
	if err := open(s, request.GetAsk(), ask, v1.AskService_Ask_FullMethodName); err != nil {
		return err
	}
	read, err := s.accept(ask, envelopes.DigestOf(request.GetAsk()))
	if err != nil {
		return err
	}
	return s.stream(stream.Context(), read, 0, func(events []*v1.AnswerEvent) error {
		return stream.Send(&v1.AskResponse{Events: events})
	})
}

// ResumeAnswer streams the log of an answer from behind a sequence.
func (s *Service) ResumeAnswer(
	request *v1.ResumeAnswerRequest, stream grpc.ServerStreamingServer[v1.ResumeAnswerResponse],
) error {
	call := &v1.ResumeAnswerCall{}
	read, err := called(s, request.GetCall(), call, v1.AskService_ResumeAnswer_FullMethodName)
	if err != nil {
		return err
	}
	s.answers.mutex.Lock()
	err = s.answers.enter(read, s.limits.GetMaxReadersPerAnswer())
	s.answers.mutex.Unlock()
	if err != nil {
		return err
	}
	return s.stream(stream.Context(), read, call.GetAfterSequence(), func(events []*v1.AnswerEvent) error {
		return stream.Send(&v1.ResumeAnswerResponse{Events: events})
	})
}

// GetAnswer returns what there is of an answer.
func (s *Service) GetAnswer(_ context.Context, request *v1.GetAnswerRequest) (*v1.GetAnswerResponse, error) {
	read, err := called(s, request.GetCall(), &v1.GetAnswerCall{}, v1.AskService_GetAnswer_FullMethodName)
	if err != nil {
		return nil, err
	}
	s.answers.mutex.Lock()
	defer s.answers.mutex.Unlock()
	written := read.log.summary()
	response := &v1.GetAnswerResponse{LastSequence: written.lastSequence, Text: written.text, Final: written.final}
	if !read.keepUntil.IsZero() {
		response.KeepUntilTime = instant(read.keepUntil)
	}
	return response, nil
}

// CancelAnswer stops the work on an answer, and returns once its Final stands in the log.
func (s *Service) CancelAnswer(ctx context.Context, request *v1.CancelAnswerRequest) (*v1.CancelAnswerResponse, error) {
	read, err := called(s, request.GetCall(), &v1.CancelAnswerCall{}, v1.AskService_CancelAnswer_FullMethodName)
	if err != nil {
		return nil, err
	}
	read.stop(cancelled)
	select {
	case <-read.finished:
		return &v1.CancelAnswerResponse{Final: read.log.summary().final}, nil
	case <-ctx.Done():
		return nil, status.FromContextError(ctx.Err()).Err()
	}
}

// stream is a cursor over a log: it sends what is there, and waits for more until the Final has gone out (2.4).
func (s *Service) stream(ctx context.Context, read *answer, after uint64, send func([]*v1.AnswerEvent) error) error {
	defer s.answers.leave(read)
	for {
		events, ended, grown, err := read.log.next(after)
		if err != nil {
			return err
		}
		if len(events) > 0 {
			if err := send(events); err != nil {
				return err
			}
			after = events[len(events)-1].GetSequence()
		} else if !ended {
			select {
			case <-grown:
			case <-ctx.Done():
				return status.FromContextError(ctx.Err()).Err()
			}
		}
		if ended {
			return nil
		}
	}
}

// call is what the payloads of all signed calls have.
type call interface {
	proto.Message
	GetHeader() *v1.CallHeader
}

// open takes steps 2 to 5 of 2.2.
func open[C call](s *Service, envelope *v1.SignedEnvelope, payload C, fullMethod string) error {
	if envelope == nil {
		return refusals.New(v1.ErrorReason_ERROR_REASON_ENVELOPE_MALFORMED, "the request carries no envelope")
	}
	caller := func(opened C) []byte { return opened.GetHeader().GetCaller() }
	if err := envelopes.Open(envelope, payload, caller); err != nil {
		return err
	}
	if err := envelopes.CheckFields(payload); err != nil {
		return err
	}
	return envelopes.CheckAddress(payload.GetHeader(), strings.TrimPrefix(fullMethod, "/"), s.cards.NodeID(), nil)
}

// called opens a call about an answer and looks the answer up (2.6).
func called[C interface {
	call
	GetAskRequestId() []byte
}](s *Service, envelope *v1.SignedEnvelope, payload C, fullMethod string) (*answer, error) {
	if err := open(s, envelope, payload, fullMethod); err != nil {
		return nil, err
	}
	if err := envelopes.CheckFreshness(payload.GetHeader(), time.Now()); err != nil {
		return nil, err
	}
	return s.answers.owned(payload.GetHeader().GetCaller(), payload.GetAskRequestId())
}
