// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"io"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
	"consilience.dev/examples/units/internal/node"
	"consilience.dev/examples/units/internal/readers"
	"consilience.dev/examples/units/internal/wire"
)

const patience = 20 * time.Second

// asker is a client of a node that runs in this process.
type asker struct {
	t       *testing.T
	key     ed25519.PrivateKey
	root    ed25519.PrivateKey // of the node: it is the operator who grants scripts
	node    *node.Node
	server  *grpc.Server
	nodes   v1.NodeServiceClient
	asks    v1.AskServiceClient
	card    *v1.SignedEnvelope
	ctx     context.Context
	channel *grpc.ClientConn
}

// startNode serves a node at a free port, and returns somebody who can ask it.
func startNode(t *testing.T) *asker {
	t.Helper()
	return startNodeWith(t, nil)
}

// startNodeWith serves one that has prices, if there are any.
func startNodeWith(t *testing.T, costs *prices) *asker {
	t.Helper()
	root := newKey(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	endpoint, transport, err := node.Transport(listener.Addr().String(), false, root)
	if err != nil {
		t.Fatal(err)
	}
	serving, err := newNode(root, endpoint, true, costs)
	if err != nil {
		t.Fatal(err)
	}
	server := serving.NewServer(transport)
	go server.Serve(listener)
	t.Cleanup(server.Stop)
	channel, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(func() { cancel(); channel.Close() })
	who := &asker{t: t, root: root, node: serving, server: server, ctx: ctx, channel: channel,
		nodes: v1.NewNodeServiceClient(channel), asks: v1.NewAskServiceClient(channel)}
	response, err := who.nodes.GetNodeCard(ctx, &v1.GetNodeCardRequest{})
	if err != nil {
		t.Fatal(err)
	}
	who.card = response.GetCard()
	return who.another()
}

// another returns a client of the same node with a key of its own.
func (a *asker) another() *asker {
	other := *a
	other.key = newKey(a.t)
	return &other
}

func newKey(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func publicOf(key ed25519.PrivateKey) []byte { return key.Public().(ed25519.PublicKey) }

func (a *asker) header(method string) *v1.CallHeader {
	id := make([]byte, 16)
	rand.Read(id)
	now := time.Now()
	return &v1.CallHeader{
		Method:    "consilience.v1.AskService/" + method,
		Audience:  publicOf(a.root),
		Caller:    publicOf(a.key),
		RequestId: id,
		IssueTime: timestamppb.New(now), ExpireTime: timestamppb.New(now.Add(2 * time.Minute)),
	}
}

func (a *asker) question(text string) *v1.Ask {
	digest := wire.DigestOf(a.card)
	return &v1.Ask{
		Header:     a.header("Ask"),
		SkillId:    "units.convert",
		CardDigest: digest[:],
		Turns: []*v1.Turn{{Role: v1.Role_ROLE_ASKER, Parts: []*v1.Part{
			{Content: &v1.Part_Text{Text: text}},
		}}},
		DataClass: v1.DataClass_DATA_CLASS_PUBLIC,
	}
}

// scripted returns an ask for the script skill, with a grant.
func (a *asker) scripted(steps ...*v1.ScriptStep) *v1.Ask {
	now := time.Now()
	grant := a.signed(a.root, &v1.ConformanceGrant{
		NodeId: publicOf(a.root), Testers: [][]byte{publicOf(a.key)},
		IssueTime: timestamppb.New(now), ExpireTime: timestamppb.New(now.Add(time.Hour)),
	})
	return a.withScript(&v1.ConformanceScript{Grant: grant, Steps: steps})
}

func (a *asker) withScript(program *v1.ConformanceScript) *v1.Ask {
	data, err := proto.Marshal(program)
	if err != nil {
		a.t.Fatal(err)
	}
	ask := a.question("")
	ask.SkillId = "conformance.script"
	ask.Turns[0].Parts[0] = &v1.Part{Content: &v1.Part_Blob{
		Blob: &v1.Blob{MediaType: "application/vnd.consilience.script", Data: data},
	}}
	return ask
}

func (a *asker) signed(key ed25519.PrivateKey, message proto.Message) *v1.SignedEnvelope {
	a.t.Helper()
	envelope, err := wire.Sign(key, message)
	if err != nil {
		a.t.Fatal(err)
	}
	return envelope
}

// stream is what reading needs of both kinds of streams.
type stream interface {
	next() ([]*v1.AnswerEvent, error)
}

type askStream struct {
	grpc.ServerStreamingClient[v1.AskResponse]
}

func (s askStream) next() ([]*v1.AnswerEvent, error) {
	response, err := s.Recv()
	return response.GetEvents(), err
}

type resumeStream struct {
	grpc.ServerStreamingClient[v1.ResumeAnswerResponse]
}

func (s resumeStream) next() ([]*v1.AnswerEvent, error) {
	response, err := s.Recv()
	return response.GetEvents(), err
}

func (a *asker) ask(ctx context.Context, ask *v1.Ask) askStream {
	return a.send(ctx, a.signed(a.key, ask))
}

func (a *asker) send(ctx context.Context, envelope *v1.SignedEnvelope) askStream {
	a.t.Helper()
	opened, err := a.asks.Ask(ctx, &v1.AskRequest{Ask: envelope})
	if err != nil {
		a.t.Fatal(err)
	}
	return askStream{opened}
}

func (a *asker) resume(ask *v1.Ask, after uint64) resumeStream {
	a.t.Helper()
	call := &v1.ResumeAnswerCall{
		Header: a.header("ResumeAnswer"), AskRequestId: ask.GetHeader().GetRequestId(), AfterSequence: after,
	}
	opened, err := a.asks.ResumeAnswer(a.ctx, &v1.ResumeAnswerRequest{Call: a.signed(a.key, call)})
	if err != nil {
		a.t.Fatal(err)
	}
	return resumeStream{opened}
}

func (a *asker) cancel(ask *v1.Ask) (*v1.Answer, error) {
	call := &v1.CancelAnswerCall{Header: a.header("CancelAnswer"), AskRequestId: ask.GetHeader().GetRequestId()}
	response, err := a.asks.CancelAnswer(a.ctx, &v1.CancelAnswerRequest{Call: a.signed(a.key, call)})
	if err != nil {
		return nil, err
	}
	return a.answerIn(response.GetFinal()), nil
}

func (a *asker) get(ask *v1.Ask) (*v1.GetAnswerResponse, error) {
	call := &v1.GetAnswerCall{Header: a.header("GetAnswer"), AskRequestId: ask.GetHeader().GetRequestId()}
	return a.asks.GetAnswer(a.ctx, &v1.GetAnswerRequest{Call: a.signed(a.key, call)})
}

// untilFinal looks at an answer until it has ended.
func (a *asker) untilFinal(ask *v1.Ask) {
	a.t.Helper()
	for {
		shown, err := a.get(ask)
		if err != nil {
			a.t.Fatal(err)
		}
		if shown.GetFinal() != nil {
			return
		}
	}
}

func (a *asker) answerIn(final *v1.Final) *v1.Answer {
	a.t.Helper()
	answer := &v1.Answer{}
	if err := wire.Open(final.GetAnswer(), answer, (*v1.Answer).GetSigningKey); err != nil {
		a.t.Fatal(err)
	}
	return answer
}

// exchange asks, reads to the end, and checks all that a client checks.
func (a *asker) exchange(ask *v1.Ask) (*readers.Log, *v1.Answer) {
	a.t.Helper()
	envelope := a.signed(a.key, ask)
	return a.wholeLog(envelope, rest(a.t, a.send(a.ctx, envelope)))
}

// wholeLog checks all the events of an exchange.
func (a *asker) wholeLog(ask *v1.SignedEnvelope, events []*v1.AnswerEvent) (*readers.Log, *v1.Answer) {
	a.t.Helper()
	var encoded [][]byte
	for _, event := range events {
		bytes, err := proto.Marshal(event)
		if err != nil {
			a.t.Fatal(err)
		}
		encoded = append(encoded, bytes)
	}
	log, err := readers.ReadLog(encoded)
	if err == nil {
		err = readers.CheckExchange(a.card, ask, log)
	}
	if err != nil {
		a.t.Fatal(err)
	}
	return log, a.answerIn(log.Final)
}

// rest reads a stream to its end.
func rest(t *testing.T, from stream) (events []*v1.AnswerEvent) {
	t.Helper()
	for {
		more, err := from.next()
		if err != nil {
			if err != io.EOF {
				t.Fatal(err)
			}
			return events
		}
		events = append(events, more...)
	}
}

// until reads a stream until so much text has come.
func until(t *testing.T, from stream, text string) (events []*v1.AnswerEvent) {
	t.Helper()
	for read := ""; read != text; {
		more, err := from.next()
		if err != nil {
			t.Fatal(err)
		}
		for _, event := range more {
			read += event.GetTextDelta().GetText()
		}
		events = append(events, more...)
	}
	return events
}

// refusalOf returns the reason of an error, and its details.
func refusalOf(t *testing.T, err error) (reason string, details []string) {
	t.Helper()
	encoded := status.Convert(err).Proto()
	reason, details, unread := readers.ReadRefusal(encoded)
	if unread != nil {
		t.Fatalf("%v: %v", unread, err)
	}
	if size := proto.Size(encoded); size > 4096 {
		t.Errorf("a status of %d bytes", size)
	}
	grpcCode, _ := wire.Catalogue(v1.ErrorReason(v1.ErrorReason_value["ERROR_REASON_"+reason]))
	if status.Code(err) != grpcCode {
		t.Errorf("%s came with %s", reason, status.Code(err))
	}
	return reason, details
}
