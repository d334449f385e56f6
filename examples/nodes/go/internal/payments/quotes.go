// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package payments

import (
	"bytes"
	"crypto/ed25519"
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
	"consilience.dev/examples/units/internal/wire"
)

const quoteLife = 10 * time.Minute

// use is what was asked under a quote.
type use struct {
	asks       int32
	charged    int64 // by the answers that have ended
	ceilings   int64 // of those that run
	expireTime time.Time
}

// CountQuote refuses a caller who has asked for too many prices within a minute.
func (p *Payments) CountQuote(caller []byte, now time.Time) error {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	isOld := func(at time.Time) bool { return now.Sub(at) >= time.Minute }
	if isOld(p.swept) {
		maps.DeleteFunc(p.quoted, func(_ string, times []time.Time) bool { return isOld(times[len(times)-1]) })
		p.swept = now
	}
	recent := slices.DeleteFunc(p.quoted[string(caller)], isOld)
	if err := wire.CheckLimit("max_quotes_per_minute", p.quotesPerMinute, len(recent)+1); err != nil {
		return err
	}
	p.quoted[string(caller)] = append(recent, now)
	return nil
}

// Quote returns a price for one payer, which rests on one card.
func (p *Payments) Quote(
	payer []byte, skill *v1.Skill, modelID, asset string, card wire.Digest, now time.Time,
) (*v1.SignedEnvelope, error) {
	offer, err := p.offer(skill, modelID, asset)
	if err != nil {
		return nil, err
	}
	quote := proto.CloneOf(offer)
	quote.NodeId, quote.SigningKey, quote.CardDigest = p.id(), p.id(), card[:]
	quote.Payer, quote.SkillId, quote.ModelId = payer, skill.GetId(), modelID
	quote.IssueTime, quote.ExpireTime = wire.Instant(now), wire.Instant(now.Add(quoteLife))
	return wire.Sign(p.key, quote)
}

// Challenge refuses an ask that names no payment, with a price that it can be asked under (PAY-ASK-001).
func (p *Payments) Challenge(ask *v1.Ask, skill *v1.Skill, now time.Time) error {
	card := wire.Digest(ask.GetCardDigest())
	quote, err := p.Quote(ask.GetHeader().GetCaller(), skill, ask.GetModelId(), "", card, now)
	if err != nil {
		return err
	}
	return wire.Refuse(v1.ErrorReason_ERROR_REASON_PAYMENT_REQUIRED, "this skill costs something",
		&v1.PaymentRequired{Quote: quote})
}

// offer returns what a quote says of the first tariff of a skill that prices the model, in the asset if one is named.
func (p *Payments) offer(skill *v1.Skill, modelID, asset string) (*v1.Quote, error) {
	if len(skill.GetTariffIds()) == 0 {
		return &v1.Quote{}, nil
	}
	var assets []string
	for _, id := range skill.GetTariffIds() {
		tariff := p.offers[id].GetTariff()
		if !pricesModel(tariff, modelID) {
			continue
		}
		if asset == "" || asset == tariff.GetAsset() {
			return p.offers[id], nil
		}
		assets = append(assets, tariff.GetAsset())
	}
	return nil, wire.RefuseUnsupported(v1.ErrorReason_ERROR_REASON_TERMS_REFUSED, "asset", assets)
}

func pricesModel(tariff *v1.Tariff, modelID string) bool {
	return modelID == "" || len(tariff.GetModelIds()) == 0 || slices.Contains(tariff.GetModelIds(), modelID)
}

// quoteOf takes steps 2 to 4 of the way to pay for an ask (3.6): the quote is this node's, and holds for it.
func (p *Payments) quoteOf(ask *v1.Ask, envelope *v1.SignedEnvelope, now time.Time) (*v1.Quote, error) {
	quote, digest := &v1.Quote{}, wire.DigestOf(envelope)
	err := wire.Open(envelope, quote, (*v1.Quote).GetSigningKey)
	switch {
	case err != nil, !bytes.Equal(digest[:], ask.GetPayment().GetQuoteDigest()),
		!bytes.Equal(quote.GetSigningKey(), p.id()):
		return nil, quoteInvalid("the request does not carry the quote that the ask names, or it is another node's")
	case !bytes.Equal(quote.GetNodeId(), p.id()), !bytes.Equal(quote.GetPayer(), ask.GetHeader().GetCaller()),
		quote.GetSkillId() != ask.GetSkillId(), !bytes.Equal(quote.GetCardDigest(), ask.GetCardDigest()),
		quote.GetModelId() != "" && quote.GetModelId() != ask.GetModelId(),
		quote.GetTariff() == nil, !pricesModel(quote.GetTariff(), ask.GetModelId()):
		return nil, quoteInvalid("the quote is for another node, payer, skill, card or model")
	case now.After(quote.GetExpireTime().AsTime()):
		return nil, quoteInvalid("the quote has expired")
	}
	return quote, nil
}

// useOf returns what was asked under a quote before, and refuses one ask too many (PAY-QUO-003).
func (p *Payments) useOf(quote *v1.Quote, digest wire.Digest, ceiling int64, now time.Time) (*use, error) {
	maps.DeleteFunc(p.uses, func(_ wire.Digest, of *use) bool { return now.After(of.expireTime) })
	of := p.uses[digest]
	if of == nil {
		of = &use{expireTime: quote.GetExpireTime().AsTime()}
	}
	if of.asks >= quote.GetMaxAsks() || of.charged+of.ceilings+ceiling > quote.GetTotalMaxCharge() {
		return nil, quoteInvalid("the quote is used up")
	}
	return of, nil
}

func quoteInvalid(why string) error {
	return wire.Refuse(v1.ErrorReason_ERROR_REASON_QUOTE_INVALID, why)
}

// id is the node, by its key.
func (p *Payments) id() []byte { return p.key.Public().(ed25519.PublicKey) }
