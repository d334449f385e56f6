// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package payments

import (
	"context"
	"crypto/sha256"
	"hash"
	"slices"
	"sort"
	"strconv"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/durationpb"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
	"consilience.dev/examples/units/internal/wire"
)

// Bill is what a running ask is charged, and what is set aside for it (3.6). That of a free ask is nil. All methods but
// those that take the mutex are for the one who writes the answer.
type Bill struct {
	payments   *Payments
	session    *session
	quote      *v1.Quote
	use        *use
	ask        *v1.Ask
	askDigest  wire.Digest
	acceptTime time.Time
	ceiling    int64
	reserved   int64 // guarded by the mutex of the payments

	usage   *v1.Usage // of the text in the log
	text    hash.Hash
	metered int64         // the charge of the last Meter
	waited  time.Duration // for vouchers, which costs nothing
}

// Stop is an error that ends an answer whose next text is not paid.
type Stop v1.StopReason

func (s Stop) Error() string { return v1.StopReason(s).String() }

// Admit is step 21 of 2.2, for an ask that names a payment. What the bill needs at first is reserved with it.
func (p *Payments) Admit(
	request *v1.AskRequest, ask *v1.Ask, digest wire.Digest, now time.Time,
) (*Bill, error) {
	quote, err := p.quoteOf(ask, request.GetQuote(), now)
	if err != nil {
		return nil, err
	}
	ceiling := quote.GetMaxCharge()
	if ask.GetLimits() != nil && ask.GetLimits().MaxCharge != nil {
		ceiling = min(ceiling, ask.GetLimits().GetMaxCharge())
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	s, err := p.find(ask.GetHeader().GetCaller(), ask.GetPayment().GetSessionId())
	if err != nil {
		return nil, err
	}
	if s.terms.GetAsset() != quote.GetTariff().GetAsset() || !slices.Contains(quote.GetRailIds(), s.terms.GetRailId()) {
		return nil, quoteInvalid("the quote is in another asset than the session, or for another rail")
	}
	if err := p.takeAlong(s, request.GetVoucher()); err != nil {
		return nil, err
	}
	needed := min(quote.GetWindow(), ceiling)
	required := s.state.GetSpent() + s.state.GetReserved() + needed
	if err := s.checkOpen(required); err != nil {
		return nil, err
	}
	of, err := p.useOf(quote, wire.DigestOf(request.GetQuote()), ceiling, now)
	if err != nil {
		return nil, err
	}
	if s.free() < needed {
		return nil, s.refuse(v1.ErrorReason_ERROR_REASON_BALANCE_TOO_LOW, "the first window is not authorized", required)
	}
	p.uses[wire.DigestOf(request.GetQuote())] = of
	of.asks++
	of.ceilings += ceiling
	s.running++
	s.state.Reserved += needed
	return &Bill{
		payments: p, session: s, quote: quote, use: of, ask: ask, askDigest: digest, acceptTime: now,
		ceiling: ceiling, reserved: needed, usage: &v1.Usage{}, text: sha256.New(),
	}, nil
}

// takeAlong takes the voucher that came with an ask. Needs the mutex.
func (p *Payments) takeAlong(s *session, envelope *v1.SignedEnvelope) error {
	if envelope == nil {
		return nil
	}
	voucher, err := openVoucher(envelope)
	if err != nil {
		return err
	}
	named, err := p.find(voucher.GetPayer(), voucher.GetSessionId())
	if err != nil {
		return err
	}
	if named != s {
		return wire.Refuse(v1.ErrorReason_ERROR_REASON_SESSION_UNKNOWN, "the voucher is for another session")
	}
	return s.take(voucher, envelope)
}

// Authorize returns what may go into the log of a text: its beginning, and all of it where that costs little. Where the
// session does not cover it, it asks for a voucher and waits.
func (b *Bill) Authorize(ctx context.Context, text string, tokens int64, write func(*v1.AnswerEvent)) (string, error) {
	if b == nil {
		return text, nil
	}
	b.usage.Duration = durationpb.New((time.Since(b.acceptTime) - b.waited).Truncate(time.Microsecond))
	if b.costWith(len(text), tokens) > b.ceiling {
		return "", Stop(v1.StopReason_STOP_REASON_CHARGE_LIMIT)
	}
	b.meter(write)
	piece := b.piece(text, tokens)
	return piece, b.cover(ctx, b.costWith(len(piece), tokens), write)
}

// Delivered counts text that stands in the log now.
func (b *Bill) Delivered(text string, tokens int64, write func(*v1.AnswerEvent)) {
	if b == nil {
		return
	}
	b.usage.OutputBytes += int64(len(text))
	b.usage.OutputTokens += tokens
	b.text.Write([]byte(text))
	b.meter(write)
}

// costWith returns the cost of what stands in the log, and of so much more.
func (b *Bill) costWith(size int, tokens int64) int64 {
	return Cost(b.quote.GetTariff(), &v1.Usage{
		OutputBytes: b.usage.GetOutputBytes() + int64(size), OutputTokens: b.usage.GetOutputTokens() + tokens,
		InputTokens: b.usage.GetInputTokens(), Duration: b.usage.GetDuration(),
	})
}

// step is half a window. So often there is a Meter, and no text goes out that costs more: a payer that follows the
// Meters then covers every text, and never more than a window (PAY-VCH-004).
func (b *Bill) step() int64 { return max(1, b.quote.GetWindow()/2) }

// piece returns the first characters of a text that cost a step at most, and one at least.
func (b *Bill) piece(text string, tokens int64) string {
	bound := b.costWith(0, 0) + b.step()
	size := sort.Search(len(text), func(size int) bool { return b.costWith(size+1, tokens) > bound })
	if size == len(text) {
		return text
	}
	for size > 0 && !utf8.RuneStart(text[size]) {
		size--
	}
	if size == 0 {
		_, size = utf8.DecodeRuneInString(text)
	}
	return text[:size]
}

// meter writes a Meter where one is due (PAY-MTR-001).
func (b *Bill) meter(write func(*v1.AnswerEvent)) {
	charge := min(b.costWith(0, 0), b.ceiling)
	if charge-b.metered < b.step() {
		return
	}
	b.metered = charge
	b.payments.mutex.Lock()
	required := b.required(min(charge+b.quote.GetWindow(), b.ceiling))
	b.payments.mutex.Unlock()
	envelope, err := wire.Sign(b.payments.key, &v1.Meter{
		NodeId: b.payments.id(), SigningKey: b.payments.id(), AskDigest: b.askDigest[:],
		QuoteDigest: b.ask.GetPayment().GetQuoteDigest(), SessionId: b.session.state.GetSessionId(),
		Usage: b.usage, Charge: charge, TranscriptDigest: b.text.Sum(nil), RequiredCumulative: required,
		IssueTime: wire.Instant(time.Now()),
	})
	if err != nil {
		panic(err) // there is no text in it
	}
	write(&v1.AnswerEvent{Event: &v1.AnswerEvent_Metered{Metered: &v1.Metered{Meter: envelope}}})
}

// required is the total that has to be authorized so that this ask can cost so much. Needs the mutex.
func (b *Bill) required(cost int64) int64 {
	return b.session.state.GetSpent() + b.session.state.GetReserved() - b.reserved + cost
}

// cover reserves what text costs, and a window ahead of it; where not even the text is authorized, it stands still.
func (b *Bill) cover(ctx context.Context, cost int64, write func(*v1.AnswerEvent)) error {
	required, changed := b.reserve(cost)
	if changed == nil {
		return nil
	}
	began, holdOpen := time.Now(), b.quote.GetHoldOpen().AsDuration()
	defer func() { b.waited += time.Since(began) }()
	patience := time.After(holdOpen)
	for told := int64(-1); ; required, changed = b.reserve(cost) {
		if changed == nil {
			return nil
		}
		if required != told { // another ask may have taken what came
			needed := &v1.PaymentNeeded{RequiredCumulative: required, StopTime: wire.Instant(began.Add(holdOpen))}
			write(&v1.AnswerEvent{Event: &v1.AnswerEvent_PaymentNeeded{PaymentNeeded: needed}})
			told = required
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-patience:
			if _, changed = b.reserve(cost); changed == nil { // a voucher came with the last tick
				return nil
			}
			return Stop(v1.StopReason_STOP_REASON_UNPAID)
		}
	}
}

// reserve sets a window ahead of a cost aside, or as much of it as is authorized. Where that is less than the cost, it
// returns what a voucher has to reach, and what is closed when there may be more.
func (b *Bill) reserve(cost int64) (required int64, changed <-chan struct{}) {
	b.payments.mutex.Lock()
	defer b.payments.mutex.Unlock()
	if cost <= b.reserved {
		return 0, nil
	}
	wanted := min(cost+b.quote.GetWindow(), b.ceiling, b.reserved+b.session.free())
	if wanted < cost {
		return b.required(cost), b.session.changed
	}
	b.session.state.Reserved += wanted - b.reserved
	b.reserved = wanted
	return 0, nil
}

// Charge returns what an answer is charged that ends with what stands in the log (PAY-CHG-001).
func (b *Bill) Charge(answer *v1.Answer) int64 {
	if b == nil || answer.GetOutcome() == v1.Outcome_OUTCOME_FAILED && b.usage.GetOutputBytes() == 0 {
		return 0
	}
	b.usage.InputTokens = answer.GetUsage().GetInputTokens()
	b.usage.Duration = durationpb.New(answer.GetUsage().GetDuration().AsDuration() - b.waited)
	return min(b.costWith(0, 0), b.ceiling, b.reserved)
}

// Settle charges an answer, and returns the receipt.
func (b *Bill) Settle(answer *v1.Answer, envelope *v1.SignedEnvelope, charge int64) (*v1.SignedEnvelope, error) {
	if b == nil {
		return nil, nil
	}
	p, s := b.payments, b.session
	p.mutex.Lock()
	defer p.mutex.Unlock()
	b.end(charge)
	answerDigest := wire.DigestOf(envelope)
	number := s.state.GetReceiptCount() + 1
	issued := &v1.Receipt{
		NodeId: p.id(), SigningKey: p.id(), SessionId: s.state.GetSessionId(), Number: number,
		PreviousDigest: s.state.GetLastReceiptDigest(), Payer: s.terms.GetPayer(),
		RequestId: b.ask.GetHeader().GetRequestId(), QuoteDigest: b.ask.GetPayment().GetQuoteDigest(),
		AskDigest: b.askDigest[:], AnswerDigest: answerDigest[:], Usage: answer.GetUsage(),
		Asset: s.terms.GetAsset(), Charge: charge, SessionSpent: s.state.GetSpent(),
		SessionAuthorized: s.state.GetAuthorized(), SessionRefunded: s.state.GetRefunded(),
		Outcome: answer.GetOutcome(), StartTime: answer.GetAcceptTime(), FinishTime: answer.GetFinishTime(),
		Backing: s.terms.GetBacking(), Issuer: s.terms.GetIssuer(),
	}
	if s.state.GetDeposited() > 0 {
		issued.FundingCommitment = s.commitment[:]
	}
	signed, err := wire.Sign(p.key, issued)
	if err != nil {
		return nil, err
	}
	digest := wire.DigestOf(signed)
	s.state.ReceiptCount, s.state.LastReceiptDigest = number, digest[:]
	s.receipts = append(s.receipts, receipt{envelope: signed, digest: digest, spent: issued.GetSessionSpent()})
	return signed, nil
}

// Attest says that the answer of a ticket was paid for, and how many digits the charge has (REV-PAY-001). It returns
// nothing where there is no ticket, or no charge.
func (b *Bill) Attest(ticket *v1.SignedEnvelope, charge int64) (*v1.SignedEnvelope, error) {
	if b == nil || ticket == nil || charge == 0 {
		return nil, nil
	}
	digest, terms := wire.DigestOf(ticket), b.session.terms
	attestation := &v1.PaymentAttestation{
		NodeId: b.payments.id(), SigningKey: b.payments.id(), TicketDigest: digest[:], Asset: terms.GetAsset(),
		ChargeDigits: Digits(charge), Backing: terms.GetBacking(),
	}
	if terms.GetBacking() == v1.Backing_BACKING_ESCROW {
		attestation.Issuer = terms.GetIssuer()
	}
	return wire.Sign(b.payments.key, attestation)
}

// Digits counts the decimal digits of a charge.
func Digits(charge int64) int32 { return int32(len(strconv.FormatInt(charge, 10))) }

// Abandon takes an admission back: the ask was not bound.
func (b *Bill) Abandon() {
	if b == nil {
		return
	}
	b.payments.mutex.Lock()
	defer b.payments.mutex.Unlock()
	b.use.asks--
	b.end(0)
}

// end counts what is charged, and frees the rest. Needs the mutex.
func (b *Bill) end(charge int64) {
	s := b.session
	b.use.ceilings -= b.ceiling
	b.use.charged += charge
	s.state.Spent += charge
	s.state.Reserved -= b.reserved
	s.running--
	s.wake()
	s.closeIfIdle()
}
