// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package node

import (
	"log"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/encoding"
	encodingproto "google.golang.org/grpc/encoding/proto"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
	"consilience.dev/examples/units/internal/wire"
)

// libraryMargin lets messages pass that are a little too long, so that they are refused by name (0.5).
const libraryMargin = 4 << 20

// NewServer returns a server with the services of a node.
//
// grpc-go parses the request of a unary method before any interceptor runs, and refuses what does not parse without a
// reason. So every method stands here as a stream of bytes, which on the wire is the same.
func (n *Node) NewServer(transport credentials.TransportCredentials) *grpc.Server {
	server := grpc.NewServer(
		grpc.Creds(transport),
		grpc.ForceServerCodecV2(rawCodec{encoding.GetCodecV2(encodingproto.Name)}),
		grpc.MaxRecvMsgSize(int(n.limits().GetMaxMessageBytes())+libraryMargin),
		grpc.MaxConcurrentStreams(128),
		// Pings find out that a reader is gone whose network vanished; clients may ping too, to keep a path open.
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: time.Minute, Timeout: 20 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
	)
	services := map[string]map[string]grpc.StreamHandler{
		v1.NodeService_ServiceDesc.ServiceName: {
			"GetNodeCard": handler(n, n.getNodeCard),
		},
		v1.AskService_ServiceDesc.ServiceName: {
			"Ask":          handler(n, n.ask),
			"ResumeAnswer": handler(n, signed(n, (*v1.ResumeAnswerRequest).GetCall, about(n, n.resumeAnswer))),
			"GetAnswer":    handler(n, signed(n, (*v1.GetAnswerRequest).GetCall, about(n, n.getAnswer))),
			"CancelAnswer": handler(n, signed(n, (*v1.CancelAnswerRequest).GetCall, about(n, n.cancelAnswer))),
		},
	}
	if n.payments != nil {
		services[v1.PaymentService_ServiceDesc.ServiceName] = n.paymentMethods()
	}
	for service, methods := range services {
		description := &grpc.ServiceDesc{ServiceName: service}
		for name, handler := range methods {
			description.Streams = append(description.Streams, grpc.StreamDesc{StreamName: name, Handler: handler})
		}
		server.RegisterService(description, nil)
		n.health.SetServingStatus(service, healthv1.HealthCheckResponse_SERVING)
	}
	healthv1.RegisterHealthServer(server, n.health)
	reflection.Register(server)
	return server
}

// handler takes steps 1 and 2 of 2.2, on the request as it came. What goes wrong unforeseen gets a reason, too.
func handler[R proto.Message](n *Node, handle func(grpc.ServerStream, R) error) grpc.StreamHandler {
	return func(_ any, stream grpc.ServerStream) (err error) {
		defer func() {
			fault := recover()
			if _, isStatus := status.FromError(err); fault != nil || !isStatus {
				log.Printf("a call failed: panic %T, error %T", fault, err) // without their texts (SEC-LOG-001)
				err = wire.Refuse(v1.ErrorReason_ERROR_REASON_NODE_FAULT, "the node failed")
			}
		}()
		var encoded []byte
		if err := stream.RecvMsg(&encoded); err != nil {
			return err
		}
		if err := wire.CheckLimit("max_message_bytes", n.limits().GetMaxMessageBytes(), len(encoded)); err != nil {
			return err
		}
		request := newMessage[R]()
		if err := proto.Unmarshal(encoded, request); err != nil {
			return wire.Refuse(v1.ErrorReason_ERROR_REASON_ENVELOPE_MALFORMED, "the request does not parse")
		}
		return handle(stream, request)
	}
}

// signedCall is what the payloads of all signed calls have.
type signedCall interface {
	proto.Message
	GetHeader() *v1.CallHeader
}

// open takes steps 3 to 5 of 2.2, and returns the payload of a call.
func open[C signedCall](n *Node, stream grpc.ServerStream, envelope *v1.SignedEnvelope) (C, error) {
	call := newMessage[C]()
	if envelope == nil {
		return call, wire.Refuse(v1.ErrorReason_ERROR_REASON_ENVELOPE_MALFORMED, "the request carries no envelope")
	}
	if err := wire.Open(envelope, call, func(opened C) []byte { return opened.GetHeader().GetCaller() }); err != nil {
		return call, err
	}
	if err := wire.CheckFields(call); err != nil {
		return call, err
	}
	method, _ := grpc.MethodFromServerStream(stream)
	return call, wire.CheckAddress(call.GetHeader(), strings.TrimPrefix(method, "/"), n.ID(), nil)
}

// signed opens a call, and checks that it is of now.
func signed[R proto.Message, C signedCall](
	n *Node, envelopeOf func(R) *v1.SignedEnvelope, handle func(grpc.ServerStream, C, time.Time) error,
) func(grpc.ServerStream, R) error {
	return func(stream grpc.ServerStream, request R) error {
		call, err := open[C](n, stream, envelopeOf(request))
		if err != nil {
			return err
		}
		now := time.Now()
		if err := wire.CheckFreshness(call.GetHeader(), now); err != nil {
			return err
		}
		return handle(stream, call, now)
	}
}

// about hands on the answer that a call names, if it is the caller's (2.6, ASK-OWN-001).
func about[C interface {
	signedCall
	GetAskRequestId() []byte
}](n *Node, handle func(grpc.ServerStream, C, *answer) error) func(grpc.ServerStream, C, time.Time) error {
	return func(stream grpc.ServerStream, call C, now time.Time) error {
		n.mutex.Lock()
		found := n.lookUp(keyOf(call.GetHeader().GetCaller(), call.GetAskRequestId()), now)
		n.mutex.Unlock()
		if found == nil {
			return wire.Refuse(v1.ErrorReason_ERROR_REASON_ANSWER_UNKNOWN, "there is no such answer")
		}
		return handle(stream, call, found)
	}
}

func newMessage[M proto.Message]() M {
	var none M
	return none.ProtoReflect().New().Interface().(M)
}

// rawCodec is the codec of protobuf, which also hands out bytes as they are.
type rawCodec struct{ encoding.CodecV2 }

func (c rawCodec) Unmarshal(data mem.BufferSlice, into any) error {
	if raw, is := into.(*[]byte); is {
		*raw = data.Materialize()
		return nil
	}
	return c.CodecV2.Unmarshal(data, into)
}
