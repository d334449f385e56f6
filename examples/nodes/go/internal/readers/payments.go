// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package readers

import (
	"bytes"
	"crypto/sha256"
	"time"

	"google.golang.org/protobuf/proto"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
	"consilience.dev/examples/units/internal/payments"
	"consilience.dev/examples/units/internal/wire"
)

// Payment is what a payer holds of a paid ask. All are envelopes; Previous is the receipt before, or nil.
type Payment struct{ Card, Quote, Ask, Terms, Answer, Previous *v1.SignedEnvelope }

// opened is the same, opened.
type opened struct {
	card   *v1.NodeCard
	quote  *v1.Quote
	ask    *v1.Ask
	terms  *v1.SessionTerms
	answer *v1.Answer
}

func (p *Payment) open() (*opened, error) {
	o := &opened{&v1.NodeCard{}, &v1.Quote{}, &v1.Ask{}, &v1.SessionTerms{}, &v1.Answer{}}
	for _, err := range []error{
		wire.Open(p.Card, o.card, (*v1.NodeCard).GetNodeId),
		wire.Open(p.Quote, o.quote, (*v1.Quote).GetSigningKey),
		wire.Open(p.Ask, o.ask, func(ask *v1.Ask) []byte { return ask.GetHeader().GetCaller() }),
		wire.Open(p.Terms, o.terms, (*v1.SessionTerms).GetPayer),
		wire.Open(p.Answer, o.answer, (*v1.Answer).GetSigningKey),
	} {
		if err != nil {
			return nil, err
		}
	}
	return o, nil
}

// ceiling is up to what the ask can be charged.
func (o *opened) ceiling() int64 {
	if limits := o.ask.GetLimits(); limits != nil && limits.MaxCharge != nil {
		return min(o.quote.GetMaxCharge(), limits.GetMaxCharge())
	}
	return o.quote.GetMaxCharge()
}

// CheckQuote checks a price by 3.2, given what was asked for.
func CheckQuote(cardEnvelope, envelope *v1.SignedEnvelope, asked *v1.GetQuoteCall, now time.Time) error {
	card, quote := &v1.NodeCard{}, &v1.Quote{}
	if err := wire.Open(cardEnvelope, card, (*v1.NodeCard).GetNodeId); err != nil {
		return err
	}
	if err := wire.Open(envelope, quote, (*v1.Quote).GetSigningKey); err != nil {
		return err
	}
	if err := wire.CheckFields(quote); err != nil {
		return err
	}
	cardDigest := wire.DigestOf(cardEnvelope)
	asset := quote.GetTariff().GetAsset()
	switch {
	case !bytes.Equal(quote.GetNodeId(), card.GetNodeId()), !bytes.Equal(quote.GetCardDigest(), cardDigest[:]),
		!signs(card, quote.GetSigningKey(), quote.GetIssueTime()):
		return broken("PAY-QUO-004", "the quote rests on another card, or on a key that does not sign for it")
	case !bytes.Equal(quote.GetPayer(), asked.GetHeader().GetCaller()), quote.GetSkillId() != asked.GetSkillId(),
		quote.GetModelId() != asked.GetModelId(),
		asked.GetAsset() != "" && asset != "" && asset != asked.GetAsset():
		return broken("PAY-QUO-004", "the quote is for something else than was asked")
	case now.After(quote.GetExpireTime().AsTime()), now.Before(quote.GetIssueTime().AsTime().Add(-wire.ClockSkew)):
		return broken("PAY-QUO-004", "the quote does not hold now")
	}
	return nil
}

// CheckMeters checks all Meters of a log against what stood before them (PAY-MTR-001 to 003).
func CheckMeters(held *Payment, log *Log) error {
	o, err := held.open()
	if err != nil {
		return err
	}
	askDigest, quoteDigest := wire.DigestOf(held.Ask), wire.DigestOf(held.Quote)
	sessionID := wire.DigestOf(held.Terms)
	before := &v1.Meter{}
	for _, metered := range log.Meters {
		meter := &v1.Meter{}
		if err := wire.Open(metered.Meter, meter, (*v1.Meter).GetSigningKey); err != nil {
			return err
		}
		if err := wire.CheckFields(meter); err != nil {
			return err
		}
		digest := sha256.Sum256([]byte(metered.Text))
		usage, last := meter.GetUsage(), before.GetUsage()
		switch {
		case !bytes.Equal(meter.GetNodeId(), o.card.GetNodeId()), !signs(o.card, meter.GetSigningKey(), meter.GetIssueTime()),
			!bytes.Equal(meter.GetAskDigest(), askDigest[:]), !bytes.Equal(meter.GetQuoteDigest(), quoteDigest[:]),
			!bytes.Equal(meter.GetSessionId(), sessionID[:]):
			return broken("PAY-MTR-003", "the Meter is of another node, ask, quote or session")
		case usage.GetOutputBytes() != int64(len(metered.Text)), usage.GetOutputTokens() != metered.Tokens,
			!bytes.Equal(meter.GetTranscriptDigest(), digest[:]):
			return broken("PAY-MTR-002", "the Meter counts other text than stands before it")
		case usage.GetInputTokens() < last.GetInputTokens(), usage.GetHiddenTokens() < last.GetHiddenTokens(),
			usage.GetDuration().AsDuration() < last.GetDuration().AsDuration():
			return broken("PAY-MTR-002", "a count is lower than before")
		case meter.GetCharge() != min(payments.Cost(o.quote.GetTariff(), usage), o.ceiling()):
			return broken("PAY-MTR-002", "the charge is another one")
		case meter.GetCharge() > before.GetCharge()+o.quote.GetWindow():
			return broken("PAY-MTR-001", "more than a window lies between two Meters")
		}
		before = meter
	}
	return nil
}

// CheckReceipt checks a receipt by 3.6, and returns it. Of a refund it does not know what is given back.
func CheckReceipt(held *Payment, envelope *v1.SignedEnvelope) (*v1.Receipt, error) {
	o, err := held.open()
	if err != nil {
		return nil, err
	}
	receipt, previous := &v1.Receipt{}, &v1.Receipt{}
	if err := wire.Open(envelope, receipt, (*v1.Receipt).GetSigningKey); err != nil {
		return nil, err
	}
	if err := wire.CheckFields(receipt); err != nil {
		return nil, err
	}
	if held.Previous != nil {
		if err := wire.Open(held.Previous, previous, (*v1.Receipt).GetSigningKey); err != nil {
			return nil, err
		}
	}
	if err := o.checkNames(held, receipt); err != nil {
		return nil, err
	}
	charge, refund := receipt.GetCharge(), int64(0)
	highest := min(payments.Cost(o.quote.GetTariff(), receipt.GetUsage()), o.ceiling())
	if o.answer.GetOutcome() == v1.Outcome_OUTCOME_FAILED && o.answer.GetTranscriptBytes() == 0 {
		highest = 0
	}
	isRefund := len(receipt.GetRefundOf()) > 0
	if isRefund {
		charge, refund = 0, charge
	}
	previousDigest := wire.DigestOf(held.Previous)
	unknown := held.Previous == nil && receipt.GetNumber() > 1 // the one before
	switch {
	case receipt.GetCharge() > highest:
		return nil, broken("PAY-RCP-005", "the charge is too high")
	case !isRefund && o.answer.GetCharged() != (charge > 0):
		return nil, broken("PAY-CHG-002", "the answer tells otherwise whether it is charged")
	case !unknown && receipt.GetNumber() != previous.GetNumber()+1,
		held.Previous != nil && !bytes.Equal(receipt.GetPreviousDigest(), previousDigest[:]):
		return nil, broken("PAY-RCP-002", "the chain of receipts has a hole")
	case !unknown && receipt.GetSessionSpent()-charge != previous.GetSessionSpent(),
		!unknown && receipt.GetSessionRefunded()-refund != previous.GetSessionRefunded():
		return nil, broken("PAY-RCP-003", "the receipts do not add up")
	}
	return receipt, nil
}

// Exchange is one receipt of a session, with what it is for. All are envelopes.
type Exchange struct{ Ask, Answer, Receipt *v1.SignedEnvelope }

// CheckChain checks all receipts of a session from the first on, and returns the last.
func CheckChain(card, quote, terms *v1.SignedEnvelope, exchanges []Exchange) (*v1.Receipt, error) {
	charged := map[wire.Digest]*v1.Receipt{}
	left := map[wire.Digest]int64{} // to give back
	held, last := &Payment{Card: card, Quote: quote, Terms: terms}, &v1.Receipt{}
	for _, exchange := range exchanges {
		held.Ask, held.Answer = exchange.Ask, exchange.Answer
		receipt, err := CheckReceipt(held, exchange.Receipt)
		if err != nil {
			return nil, err
		}
		if held.Previous == nil && receipt.GetNumber() != 1 {
			return nil, broken("PAY-RCP-002", "the first receipt is missing")
		}
		digest := wire.DigestOf(exchange.Receipt)
		if len(receipt.GetRefundOf()) == 0 {
			charged[digest], left[digest] = receipt, receipt.GetCharge()
		} else {
			of := wire.Digest(receipt.GetRefundOf())
			if left[of] -= receipt.GetCharge(); left[of] < 0 || receipt.GetCharge() == 0 ||
				!bytes.Equal(charged[of].GetAnswerDigest(), receipt.GetAnswerDigest()) {
				return nil, broken("PAY-RCP-003", "more is given back than was charged, or for something else")
			}
		}
		held.Previous, last = exchange.Receipt, receipt
	}
	return last, nil
}

// checkNames takes steps 2 and 3, and of step 4 what the receipt repeats of the answer.
func (o *opened) checkNames(held *Payment, receipt *v1.Receipt) error {
	askDigest, quoteDigest, answerDigest := wire.DigestOf(held.Ask), wire.DigestOf(held.Quote), wire.DigestOf(held.Answer)
	sessionID := wire.DigestOf(held.Terms)
	switch {
	case !bytes.Equal(receipt.GetNodeId(), o.card.GetNodeId()),
		!signs(o.card, receipt.GetSigningKey(), receipt.GetFinishTime()):
		return broken("PAY-RCP-005", "the receipt is of another node, or of a key that does not sign for it")
	case !bytes.Equal(receipt.GetSessionId(), sessionID[:]), !bytes.Equal(receipt.GetPayer(), o.terms.GetPayer()),
		receipt.GetAsset() != o.terms.GetAsset(), receipt.GetBacking() != o.terms.GetBacking(),
		!bytes.Equal(receipt.GetIssuer(), o.terms.GetIssuer()),
		!bytes.Equal(receipt.GetRequestId(), o.ask.GetHeader().GetRequestId()),
		!bytes.Equal(receipt.GetAskDigest(), askDigest[:]), !bytes.Equal(receipt.GetQuoteDigest(), quoteDigest[:]),
		!bytes.Equal(receipt.GetAnswerDigest(), answerDigest[:]):
		return broken("PAY-RCP-005", "the receipt is of another session, ask, quote or answer")
	case !proto.Equal(receipt.GetUsage(), o.answer.GetUsage()), receipt.GetOutcome() != o.answer.GetOutcome():
		return broken("PAY-RCP-005", "the receipt repeats usage or outcome wrongly")
	}
	return nil
}
