// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package node

import (
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
	"consilience.dev/examples/units/internal/wire"
)

// maxBatchBytes bounds what goes out together, but for its last event. With that it stays below 4 MiB (STRM-SIZE-001).
const maxBatchBytes = 128 << 10

// ask starts the work on an ask, or attaches to it, and streams its log from the beginning.
func (n *Node) ask(stream grpc.ServerStream, request *v1.AskRequest) error {
	ask, err := open[*v1.Ask](n, stream, request.GetAsk())
	if err != nil {
		return err
	}
	read, err := n.accept(request, ask)
	if err != nil {
		return err
	}
	return n.follow(stream, read, 0, func(events []*v1.AnswerEvent) proto.Message {
		return &v1.AskResponse{Events: events}
	})
}

// resumeAnswer streams the log of an answer from behind a sequence.
func (n *Node) resumeAnswer(stream grpc.ServerStream, call *v1.ResumeAnswerCall, read *answer) error {
	if events, _ := read.log.read(); call.GetAfterSequence() > uint64(len(events)) {
		return wire.Refuse(v1.ErrorReason_ERROR_REASON_SEQUENCE_UNKNOWN, "the log has not reached this sequence")
	}
	n.mutex.Lock()
	err := n.enter(read)
	n.mutex.Unlock()
	if err != nil {
		return err
	}
	return n.follow(stream, read, call.GetAfterSequence(), func(events []*v1.AnswerEvent) proto.Message {
		return &v1.ResumeAnswerResponse{Events: events}
	})
}

// follow is a cursor over a log: it sends what is there, and waits for more until the Final has gone out (2.4).
func (n *Node) follow(
	stream grpc.ServerStream, read *answer, after uint64, response func([]*v1.AnswerEvent) proto.Message,
) error {
	defer n.leave(read)
	for {
		events, grown := read.log.read()
		if batch := firstOf(events[after:]); len(batch) > 0 {
			if err := stream.SendMsg(response(batch)); err != nil {
				return err
			}
			after += uint64(len(batch))
			continue
		}
		if finalIn(events) != nil {
			return nil
		}
		select {
		case <-grown:
		case <-stream.Context().Done():
			return status.FromContextError(stream.Context().Err()).Err()
		}
	}
}

// firstOf returns as many events as go out together.
func firstOf(events []*v1.AnswerEvent) []*v1.AnswerEvent {
	size, count := 0, 0
	for ; count < len(events) && size < maxBatchBytes; count++ {
		size += proto.Size(events[count])
	}
	return events[:count]
}

// getAnswer returns what there is of an answer.
func (n *Node) getAnswer(stream grpc.ServerStream, _ *v1.GetAnswerCall, shown *answer) error {
	n.mutex.Lock()
	events, _ := shown.log.read()
	keepUntil := shown.keepUntil
	n.mutex.Unlock()
	response := &v1.GetAnswerResponse{LastSequence: uint64(len(events)), Text: textIn(events), Final: finalIn(events)}
	if !keepUntil.IsZero() {
		response.KeepUntilTime = wire.Instant(keepUntil)
	}
	return stream.SendMsg(response)
}

// cancelAnswer stops the work on an answer, and returns once its Final stands in the log.
func (n *Node) cancelAnswer(stream grpc.ServerStream, _ *v1.CancelAnswerCall, unwanted *answer) error {
	unwanted.stop(cancelled)
	select {
	case <-unwanted.ended:
	case <-stream.Context().Done():
		return status.FromContextError(stream.Context().Err()).Err()
	}
	events, _ := unwanted.log.read()
	return stream.SendMsg(&v1.CancelAnswerResponse{Final: finalIn(events)})
}
