// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package readers

import (
	"encoding/base32"
	"strings"

	"consilience.dev/examples/units/internal/wire"
)

// ParseID returns the key of which a text is exactly the text form (NODE-ID-001).
func ParseID(text string) ([]byte, error) {
	digits := strings.ToUpper(strings.TrimPrefix(text, "cn1"))
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(digits)
	if err != nil || len(key) != 32 || wire.IDText(key) != text {
		return nil, broken("NODE-ID-001", "not the text form of a node id: cn1 and 52 characters of a-z and 2-7")
	}
	return key, nil
}
