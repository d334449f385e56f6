// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package node

import (
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
	"consilience.dev/examples/units/internal/payments"
	"consilience.dev/examples/units/internal/wire"
)

// paymentMethods returns the methods of PaymentService.
func (n *Node) paymentMethods() map[string]grpc.StreamHandler {
	p := n.payments
	return map[string]grpc.StreamHandler{
		"GetQuote":           handler(n, signed(n, (*v1.GetQuoteRequest).GetCall, reply(n.getQuote))),
		"OpenSession":        handler(n, signed(n, (*v1.OpenSessionRequest).GetCall, reply(p.OpenSession))),
		"ConfirmDeposit":     handler(n, signed(n, (*v1.ConfirmDepositRequest).GetCall, reply(p.ConfirmDeposit))),
		"GetSession":         handler(n, signed(n, (*v1.GetSessionRequest).GetCall, reply(p.GetSession))),
		"AcknowledgeReceipt": handler(n, signed(n, (*v1.AcknowledgeReceiptRequest).GetCall, reply(p.AcknowledgeReceipt))),
		"ListReceipts":       handler(n, signed(n, (*v1.ListReceiptsRequest).GetCall, reply(p.ListReceipts))),
		"Withdraw":           handler(n, signed(n, (*v1.WithdrawRequest).GetCall, reply(p.Withdraw))),
		"CloseSession":       handler(n, signed(n, (*v1.CloseSessionRequest).GetCall, reply(p.CloseSession))),
		// A voucher speaks for itself and has no header.
		"SubmitVoucher": handler(n, func(stream grpc.ServerStream, request *v1.SubmitVoucherRequest) error {
			return reply(p.SubmitVoucher)(stream, request.GetVoucher(), time.Now())
		}),
	}
}

// reply sends what comes of a call.
func reply[C, R proto.Message](
	handle func(C, time.Time) (R, error),
) func(grpc.ServerStream, C, time.Time) error {
	return func(stream grpc.ServerStream, call C, now time.Time) error {
		response, err := handle(call, now)
		if err != nil {
			return err
		}
		return stream.SendMsg(response)
	}
}

// getQuote returns a price.
func (n *Node) getQuote(call *v1.GetQuoteCall, now time.Time) (*v1.GetQuoteResponse, error) {
	caller := call.GetHeader().GetCaller()
	if err := n.payments.CountQuote(caller, now); err != nil {
		return nil, err
	}
	skill, err := n.offered(call.GetSkillId(), call.GetModelId())
	if err != nil {
		return nil, err
	}
	card, err := n.currentCard(now)
	if err != nil {
		return nil, err
	}
	quote, err := n.payments.Quote(caller, skill, call.GetModelId(), call.GetAsset(), wire.DigestOf(card), now)
	return &v1.GetQuoteResponse{Quote: quote}, err
}

// admitPayment is step 21 of 2.2. For a free ask there is no bill.
func (n *Node) admitPayment(
	request *v1.AskRequest, ask *v1.Ask, digest wire.Digest, now time.Time,
) (*payments.Bill, error) {
	skill := n.skills[ask.GetSkillId()]
	switch {
	case len(skill.Card.GetTariffIds()) == 0, ask.GetPayment() == nil && skill.FreeOnRequest:
		return nil, nil
	case ask.GetPayment() == nil:
		return nil, n.payments.Challenge(ask, skill.Card, now)
	}
	return n.payments.Admit(request, ask, digest, now)
}
