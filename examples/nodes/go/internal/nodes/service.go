// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package nodes

import (
	"context"
	"time"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
)

// Service gives out the card to everyone.
type Service struct {
	v1.UnimplementedNodeServiceServer
	Cards *Cards
}

// GetNodeCard returns the current card.
func (s *Service) GetNodeCard(context.Context, *v1.GetNodeCardRequest) (*v1.GetNodeCardResponse, error) {
	card, err := s.Cards.Current(time.Now())
	if err != nil {
		return nil, err
	}
	return &v1.GetNodeCardResponse{Card: card.Envelope}, nil
}
