// Copyright 2026 The Consilience Authors
// SPDX-License-Identifier: Apache-2.0

package node

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net/netip"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	v1 "consilience.dev/examples/units/gen/consilience/v1"
	"consilience.dev/examples/units/internal/wire"
)

const certificateLife = 10 * 365 * 24 * time.Hour

// Transport returns the endpoint at an address, for the card, and the credentials that go with it.
func Transport(address string, withTLS bool, root ed25519.PrivateKey) (
	*v1.Endpoint, credentials.TransportCredentials, error,
) {
	if !withTLS {
		if at, err := netip.ParseAddrPort(address); err != nil || !at.Addr().IsLoopback() {
			return nil, nil, fmt.Errorf("%s is not on a loopback address; add --tls (NODE-TLS-003)", address)
		}
		plain := &v1.Endpoint{Uri: "http://" + address, TlsMode: v1.TlsMode_TLS_MODE_LOOPBACK_PLAIN}
		return plain, insecure.NewCredentials(), nil
	}
	certificate, pin, err := pinnedCertificate(root)
	if err != nil {
		return nil, nil, err
	}
	config := &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	endpoint := &v1.Endpoint{Uri: "https://" + address, TlsMode: v1.TlsMode_TLS_MODE_PINNED, SpkiSha256: pin[:]}
	return endpoint, credentials.NewTLS(config), nil
}

// pinnedCertificate makes the self-signed certificate of a pinned endpoint (NODE-TLS-002), and its pin.
//
// Its key is drawn from the root key: a node that is started again makes another certificate with the same pin, so no
// second file has to be kept. It is of P-256: BoringSSL, on which gRPC stands in other languages, takes no
// certificate of Ed25519.
func pinnedCertificate(root ed25519.PrivateKey) (tls.Certificate, [sha256.Size]byte, error) {
	var pin [sha256.Size]byte
	seed, err := hkdf.Key(sha256.New, root.Seed(), nil, "certificate of a pinned endpoint", 32)
	if err != nil {
		return tls.Certificate{}, pin, err
	}
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), seed)
	if err != nil {
		return tls.Certificate{}, pin, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return tls.Certificate{}, pin, err
	}
	name := wire.IDText(root.Public().(ed25519.PublicKey))
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: name},
		DNSNames:              []string{name},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(certificateLife),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IsCA:                  true, // so that a library can be told to trust this one certificate as a root
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, pin, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, pin, err
	}
	pin = sha256.Sum256(certificate.RawSubjectPublicKeyInfo)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: certificate}, pin, nil
}
