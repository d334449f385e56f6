// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

// Package vectors answers the questions of the vectors, for our own tests and for the executor: one function by type,
// as docs/spec/write-a-node.md lists them.
package vectors

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/code"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
	"consilience.dev/examples/units/internal/payments"
	"consilience.dev/examples/units/internal/readers"
	"consilience.dev/examples/units/internal/wire"
)

// Bytes are written in hexadecimal.
type Bytes []byte

// UnmarshalText reads hexadecimal digits.
func (b *Bytes) UnmarshalText(text []byte) (err error) {
	*b, err = hex.DecodeString(string(text))
	return err
}

// MarshalText writes hexadecimal digits.
func (b Bytes) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, b), nil }

// Input holds the fields of a test, laid over those of its group; each type has some of them.
type Input struct {
	Seed, Payload, PublicKey, Signature, Node, EncodedHeader, Card, OldCard, Succession, Ask, Status Bytes

	Tariff, Usage, Quote, Terms Bytes

	Reviewer, Salt, Accepted, Record, Held, Newcomer Bytes

	PayloadType, ExpectedType, Method, Text, ErrorReason string

	Charge int64 `json:",string"`

	KnownExtensions []string
	Cards, Events   []Bytes
	Exchanges       []struct{ Ask, Answer, Receipt Bytes }
	Now             time.Time
}

// Values are what has to come out of an accepted test.
type Values map[string]any

// Types holds the function of every type. An error is a refusal, of which RefusedAs tells the name.
var Types = map[string]func(Input) (Values, error){
	"PreAuthenticationEncoding": preAuthenticationEncoding,
	"EnvelopeSign":              envelopeSign,
	"EnvelopeVerify":            envelopeVerify,
	"CallHeaderCheck":           callHeaderCheck,
	"NodeIdText":                nodeIDText,
	"CardSelection":             cardSelection,
	"CardCheck":                 cardCheck,
	"KeySuccession":             keySuccession,
	"TranscriptFraming":         transcriptFraming,
	"EventLog":                  eventLog,
	"ExchangeCheck":             exchangeCheck,
	"ReasonCode":                reasonCode,
	"RefusalStatus":             refusalStatus,
	"TariffCost":                tariffCost,
	"ReceiptChain":              receiptChain,
	"ReviewerCommitment":        reviewerCommitment,
	"TicketCheck":               ticketCheck,
	"ChargeDigits":              chargeDigits,
	"RecordCheck":               recordCheck,
	"SlotDecision":              slotDecision,
}

// RefusedAs returns the reason of a refusal, or the requirement that is broken where there is no reason. All other
// errors are of bytes that do not parse.
func RefusedAs(err error) string {
	if reason, _, unread := readers.ReadRefusal(status.Convert(err).Proto()); unread == nil {
		return reason
	}
	var broken *readers.Broken
	if errors.As(err, &broken) {
		return broken.Requirement
	}
	return wire.Name(v1.ErrorReason_ERROR_REASON_ENVELOPE_MALFORMED)
}

func preAuthenticationEncoding(in Input) (Values, error) {
	pae := wire.PAE(in.PayloadType, in.Payload)
	digest := sha256.Sum256(pae)
	return Values{"pae": Bytes(pae), "digest": Bytes(digest[:])}, nil
}

func envelopeSign(in Input) (Values, error) {
	signed := wire.SignPayload(ed25519.NewKeyFromSeed(in.Seed), in.PayloadType, in.Payload)
	return Values{"publicKey": Bytes(signed.GetPublicKey()), "signature": Bytes(signed.GetSignature())}, nil
}

func envelopeVerify(in Input) (Values, error) {
	envelope := &v1.SignedEnvelope{
		PayloadType: in.PayloadType, Payload: in.Payload, PublicKey: in.PublicKey, Signature: in.Signature,
	}
	digest := wire.DigestOf(envelope)
	return Values{"digest": Bytes(digest[:])}, wire.Verify(envelope, in.ExpectedType)
}

func callHeaderCheck(in Input) (Values, error) {
	header := &v1.CallHeader{}
	if err := proto.Unmarshal(in.EncodedHeader, header); err != nil {
		return nil, err
	}
	if err := wire.CheckFields(header); err != nil {
		return nil, err
	}
	if err := wire.CheckAddress(header, in.Method, in.Node, in.KnownExtensions); err != nil {
		return nil, err
	}
	return Values{}, wire.CheckFreshness(header, in.Now)
}

func nodeIDText(in Input) (Values, error) {
	key, err := readers.ParseID(in.Text)
	if err != nil {
		return nil, err
	}
	return Values{"publicKey": Bytes(key), "text": wire.IDText(key)}, nil
}

func cardSelection(in Input) (Values, error) {
	first, second := &v1.SignedEnvelope{}, &v1.SignedEnvelope{}
	if err := parse(map[*v1.SignedEnvelope]Bytes{first: in.Cards[0], second: in.Cards[1]}); err != nil {
		return nil, err
	}
	winner, err := readers.SelectCard(first, second)
	return Values{"winner": winner}, err
}

func cardCheck(in Input) (Values, error) {
	card := &v1.SignedEnvelope{}
	if err := proto.Unmarshal(in.Card, card); err != nil {
		return nil, err
	}
	return Values{}, readers.CheckCard(card, in.Now)
}

func keySuccession(in Input) (Values, error) {
	oldCard, succession := &v1.SignedEnvelope{}, &v1.SignedEnvelope{}
	if err := parse(map[*v1.SignedEnvelope]Bytes{oldCard: in.OldCard, succession: in.Succession}); err != nil {
		return nil, err
	}
	return Values{}, readers.CheckSuccession(oldCard, succession)
}

func transcriptFraming(in Input) (Values, error) {
	log, err := readers.ReadLog(encoded(in.Events))
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256([]byte(log.Text))
	return Values{
		"text": log.Text, "transcriptDigest": Bytes(digest[:]), "transcriptBytes": len(log.Text),
		"lastSequence": log.LastSequence,
	}, nil
}

func eventLog(in Input) (Values, error) {
	_, err := readers.ReadLog(encoded(in.Events))
	return Values{}, err
}

func exchangeCheck(in Input) (Values, error) {
	card, ask := &v1.SignedEnvelope{}, &v1.SignedEnvelope{}
	if err := parse(map[*v1.SignedEnvelope]Bytes{card: in.Card, ask: in.Ask}); err != nil {
		return nil, err
	}
	log, err := readers.ReadLog(encoded(in.Events))
	if err != nil {
		return nil, err
	}
	return Values{}, readers.CheckExchange(card, ask, log)
}

func reasonCode(in Input) (Values, error) {
	number, known := v1.ErrorReason_value["ERROR_REASON_"+in.ErrorReason]
	if !known {
		return nil, fmt.Errorf("no reason %q in the catalogue", in.ErrorReason)
	}
	grpcCode, detail := wire.Catalogue(v1.ErrorReason(number))
	return Values{
		"number": number, "code": code.Code(grpcCode).String(), "codeNumber": grpcCode, "detail": detail,
	}, nil
}

func refusalStatus(in Input) (Values, error) {
	received := &rpcstatus.Status{}
	if err := proto.Unmarshal(in.Status, received); err != nil {
		return nil, err
	}
	reason, details, err := readers.ReadRefusal(received)
	if err != nil {
		return nil, err
	}
	return Values{"errorReason": reason, "code": code.Code(received.GetCode()).String(), "details": details}, nil
}

func tariffCost(in Input) (Values, error) {
	tariff, usage := &v1.Tariff{}, &v1.Usage{}
	if err := errors.Join(proto.Unmarshal(in.Tariff, tariff), proto.Unmarshal(in.Usage, usage)); err != nil {
		return nil, err
	}
	if err := wire.CheckFields(tariff); err != nil {
		return nil, err
	}
	return Values{"cost": amount(payments.Cost(tariff, usage))}, nil
}

func receiptChain(in Input) (Values, error) {
	card, quote, terms := &v1.SignedEnvelope{}, &v1.SignedEnvelope{}, &v1.SignedEnvelope{}
	sources := map[*v1.SignedEnvelope]Bytes{card: in.Card, quote: in.Quote, terms: in.Terms}
	var exchanges []readers.Exchange
	for _, each := range in.Exchanges {
		exchange := readers.Exchange{
			Ask: &v1.SignedEnvelope{}, Answer: &v1.SignedEnvelope{}, Receipt: &v1.SignedEnvelope{},
		}
		sources[exchange.Ask], sources[exchange.Answer], sources[exchange.Receipt] = each.Ask, each.Answer, each.Receipt
		exchanges = append(exchanges, exchange)
	}
	if err := parse(sources); err != nil {
		return nil, err
	}
	last, err := readers.CheckChain(card, quote, terms, exchanges)
	return Values{
		"sessionSpent": amount(last.GetSessionSpent()), "sessionRefunded": amount(last.GetSessionRefunded()),
	}, err
}

// amount writes a number of 64 bits as a text, because not every reader of JSON has those.
func amount(of int64) string { return strconv.FormatInt(of, 10) }

func parse(sources map[*v1.SignedEnvelope]Bytes) error {
	for envelope, source := range sources {
		if err := proto.Unmarshal(source, envelope); err != nil {
			return err
		}
	}
	return nil
}

func encoded(events []Bytes) [][]byte {
	plain := make([][]byte, len(events))
	for i, event := range events {
		plain[i] = event
	}
	return plain
}
