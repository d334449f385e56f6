// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package asks

import (
	"context"
	"errors"
	"log"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
	"consilience.dev/examples/units/internal/refusals"
)

// Register offers a service whose requests go through steps 1 and 2 of 2.2, on the bytes as they came. grpc-go would
// refuse what is too long or does not parse itself, without a reason. The server needs RawCodec.
func Register(server *grpc.Server, service grpc.ServiceDesc, implementation any, maxMessageBytes int64) {
	service.Methods = slices.Clone(service.Methods)
	for i, method := range service.Methods {
		service.Methods[i].Handler = func(
			implementation any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor,
		) (response any, err error) {
			defer refuseFault(ctx, &err)
			return method.Handler(implementation, ctx, func(request any) error {
				return parse(decode, request, maxMessageBytes)
			}, interceptor)
		}
	}
	service.Streams = slices.Clone(service.Streams)
	for i, method := range service.Streams {
		service.Streams[i].Handler = func(implementation any, stream grpc.ServerStream) (err error) {
			defer refuseFault(stream.Context(), &err)
			return method.Handler(implementation, parsingStream{stream, maxMessageBytes})
		}
	}
	server.RegisterService(&service, implementation)
}

// parsingStream parses its request by our own rules.
type parsingStream struct {
	grpc.ServerStream
	maxMessageBytes int64
}

func (s parsingStream) RecvMsg(request any) error {
	return parse(s.ServerStream.RecvMsg, request, s.maxMessageBytes)
}

func parse(receive func(any) error, request any, maxMessageBytes int64) error {
	var encoded []byte
	if err := receive(&encoded); err != nil {
		return err
	}
	if size := int64(len(encoded)); size > maxMessageBytes {
		return refusals.Limit("max_message_bytes", maxMessageBytes, size)
	}
	if err := proto.Unmarshal(encoded, request.(proto.Message)); err != nil {
		return refusals.New(v1.ErrorReason_ERROR_REASON_ENVELOPE_MALFORMED, "the request does not parse")
	}
	return nil
}

// refuseFault gives everything that went wrong unforeseen a reason.
func refuseFault(ctx context.Context, err *error) {
	fault := recover()
	var refusal *refusals.Refusal
	if fault == nil && (*err == nil || errors.As(*err, &refusal) || ctx.Err() != nil) {
		return
	}
	log.Printf("a call failed: panic %T, error %T, status %v", fault, *err, status.Code(*err)) // no text (SEC-LOG-001)
	*err = refusals.New(v1.ErrorReason_ERROR_REASON_NODE_FAULT, "the node failed")
}

// RawCodec is the codec of protobuf, which also hands out bytes as they are.
type RawCodec struct{ encoding.CodecV2 }

// Unmarshal copies the bytes where bytes are wanted, and parses them otherwise.
func (c RawCodec) Unmarshal(data mem.BufferSlice, into any) error {
	if raw, is := into.(*[]byte); is {
		*raw = data.Materialize()
		return nil
	}
	return c.CodecV2.Unmarshal(data, into)
}
