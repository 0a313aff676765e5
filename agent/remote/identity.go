package remote

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/hostnic/hostnic/netcfg"
)

// mostIdentity is how long an identity may be, in bytes: it is logged, and kept with
// every revision. SPIFFE says 2048, and nobody reads that.
const mostIdentity = 255

// Client is who has connected.
type Client struct {
	// Identity is the certificate's one URI SAN (spiffe://example.org/engine), or where
	// it has none its subject as RFC 2253 writes it (CN=engine,O=Example).
	Identity string
	// Chain is what it has shown for it.
	Chain *Chain
}

// Handshake is the server's side of TLS on a connection, which may take as long as the
// connection has time.
func (c *Certificates) Handshake(conn *Conn) (*tls.Conn, Client, error) {
	var used *material
	secure := tls.Server(conn, &tls.Config{MinVersion: tls.VersionTLS13, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		if used = c.current(); used == nil {
			return nil, errNone
		}
		return used.config, nil
	}})
	if err := secure.Handshake(); err != nil {
		return nil, Client{}, explain(err, c)
	}
	state := secure.ConnectionState()
	if state.NegotiatedProtocol != "h2" {
		return nil, Client{}, errors.New("the client does not speak HTTP/2 (ALPN h2)")
	}
	identity, err := identityOf(state.PeerCertificates[0])
	if err != nil {
		return nil, Client{}, err
	}
	return secure, Client{identity, &Chain{certs: state.PeerCertificates, by: used}}, nil
}

// explain adds what an error about time does not say.
func explain(err error, c *Certificates) error {
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil {
		return fmt.Errorf("%w; the certificate holds from %s to %s, and by the agent's clock it is %s",
			err, stampTime(invalid.Cert.NotBefore), stampTime(invalid.Cert.NotAfter), stampTime(c.now()))
	}
	return err
}

func identityOf(leaf *x509.Certificate) (string, error) {
	var identity string
	switch len(leaf.URIs) {
	case 0:
		identity = leaf.Subject.String()
	case 1:
		identity = leaf.URIs[0].String()
	default:
		return "", fmt.Errorf("the certificate names %d URIs, and who its holder is takes one", len(leaf.URIs))
	}
	switch {
	case identity == "":
		return "", errors.New("the certificate names neither a URI nor a subject")
	case len(identity) > mostIdentity:
		return "", fmt.Errorf("the identity in the certificate has %d bytes, and %d are the most", len(identity), mostIdentity)
	}
	return netcfg.Printable(identity), nil
}
