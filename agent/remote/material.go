package remote

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"time"
)

// material is one reading of all files. It does not change.
type material struct {
	config *tls.Config
	leaf   *x509.Certificate
	roots  *x509.CertPool
	// revoked are serial numbers by the DER of their issuer's name.
	revoked map[string]map[string]bool
	// renewed is when a newer list of the revoked should have been there; zero is never.
	renewed time.Time
}

func (f Files) paths() []string {
	all := []string{f.Cert, f.Key, f.CA}
	if f.CRL != "" {
		all = append(all, f.CRL)
	}
	return all
}

// forOthers are the permissions of a key that are too many.
const forOthers = 0o007

func (f Files) load(now func() time.Time) (*material, error) {
	key, err := os.Stat(f.Key)
	switch {
	case err != nil:
		return nil, fmt.Errorf("tls.key: %w", err)
	case key.Mode().Perm()&forOthers != 0:
		return nil, fmt.Errorf("tls.key: %s can be read or written by everybody, mode %04o: chmod 600 it, and think of having a new one made", f.Key, key.Mode().Perm())
	}
	pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		return nil, fmt.Errorf("tls.cert %s and tls.key %s: %w", f.Cert, f.Key, err)
	}
	m := &material{leaf: pair.Leaf, roots: x509.NewCertPool()}
	authorities, err := readAuthorities(f.CA)
	if err != nil {
		return nil, fmt.Errorf("tls.ca %s: %w", f.CA, err)
	}
	for _, a := range authorities {
		m.roots.AddCert(a)
	}
	if f.CRL != "" {
		if err := m.readRevoked(f.CRL, authorities); err != nil {
			return nil, fmt.Errorf("tls.crl %s: %w", f.CRL, err)
		}
	}
	m.config = &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2"},
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: m.roots, Time: now,
		// A ticket would outlive the certificate that it was given for.
		SessionTicketsDisabled: true,
		VerifyConnection:       func(s tls.ConnectionState) error { return m.notRevoked(s.VerifiedChains) },
	}
	return m, nil
}

// blocks are the PEM blocks of one kind in a file.
func blocks(path, kind string) (all [][]byte, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for {
		var b *pem.Block
		if b, data = pem.Decode(data); b == nil {
			break
		}
		if b.Type == kind {
			all = append(all, b.Bytes)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("there is no PEM block %q in it", kind)
	}
	return all, nil
}

func readAuthorities(path string) (out []*x509.Certificate, err error) {
	all, err := blocks(path, "CERTIFICATE")
	if err != nil {
		return nil, err
	}
	for i, der := range all {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", i+1, err)
		}
		out = append(out, c)
	}
	return out, nil
}

func (m *material) readRevoked(path string, authorities []*x509.Certificate) error {
	all, err := blocks(path, "X509 CRL")
	if err != nil {
		return err
	}
	m.revoked = map[string]map[string]bool{}
	for i, der := range all {
		list, err := x509.ParseRevocationList(der)
		if err != nil {
			return fmt.Errorf("list %d: %w", i+1, err)
		}
		if err := signed(list, authorities); err != nil {
			return fmt.Errorf("list %d: %w", i+1, err)
		}
		if m.renewed.IsZero() || list.NextUpdate.Before(m.renewed) {
			m.renewed = list.NextUpdate
		}
		serials := m.revoked[string(list.RawIssuer)]
		if serials == nil {
			serials = map[string]bool{}
			m.revoked[string(list.RawIssuer)] = serials
		}
		for _, e := range list.RevokedCertificateEntries {
			serials[e.SerialNumber.String()] = true
		}
	}
	return nil
}

// signed refuses a list that none of the authorities has made.
func signed(list *x509.RevocationList, authorities []*x509.Certificate) error {
	err := errors.New("it is signed by none of the certificates in tls.ca")
	for _, a := range authorities {
		if bytes.Equal(a.RawSubject, list.RawIssuer) {
			if err = list.CheckSignatureFrom(a); err == nil {
				return nil
			}
		}
	}
	return err
}

// notRevoked wants one chain without a revoked certificate.
func (m *material) notRevoked(chains [][]*x509.Certificate) error {
	var found *x509.Certificate
	for _, chain := range chains {
		bad := m.revokedIn(chain)
		if bad == nil {
			return nil
		}
		found = bad
	}
	if found == nil {
		return errors.New("no chain of certificates leads to tls.ca")
	}
	return fmt.Errorf("the certificate with serial number %s is revoked", found.SerialNumber)
}

func (m *material) revokedIn(chain []*x509.Certificate) *x509.Certificate {
	for _, c := range chain {
		if m.revoked[string(c.RawIssuer)][c.SerialNumber.String()] {
			return c
		}
	}
	return nil
}

// verify is what a handshake does with the client's certificates.
func (m *material) verify(certs []*x509.Certificate, now time.Time) error {
	between := x509.NewCertPool()
	for _, c := range certs[1:] {
		between.AddCert(c)
	}
	chains, err := certs[0].Verify(x509.VerifyOptions{Roots: m.roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err != nil {
		return err
	}
	return m.notRevoked(chains)
}

// timely says what is over by the clock.
func (m *material) timely(f Files, now time.Time) error {
	switch {
	case now.After(m.leaf.NotAfter):
		return fmt.Errorf("the agent's certificate %s has expired at %s, by its clock it is %s: put a new one there", f.Cert, stampTime(m.leaf.NotAfter), stampTime(now))
	case now.Before(m.leaf.NotBefore):
		return fmt.Errorf("the agent's certificate %s holds from %s, and by its clock it is %s: is that right?", f.Cert, stampTime(m.leaf.NotBefore), stampTime(now))
	case !m.renewed.IsZero() && now.After(m.renewed):
		return fmt.Errorf("tls.crl %s should have been renewed by %s: who was revoked since is not known, the list goes on being used", f.CRL, stampTime(m.renewed))
	}
	return nil
}
