package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
)

// authority signs certificates for a test.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	a.key = a.newKey()
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.file = a.write("ca.pem", "CERTIFICATE", der)
	return a
}

func (a *authority) newKey() *ecdsa.PrivateKey {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	return key
}

func (a *authority) write(name, kind string, der []byte) string {
	a.t.Helper()
	path := filepath.Join(a.dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return path
}

// issue makes a certificate for either side and returns the files.
func (a *authority) issue(name string) (cert, key string) {
	a.t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	private := a.newKey()
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, private.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.write(name+".pem", "CERTIFICATE", der), a.write(name+"-key.pem", "PRIVATE KEY", pkcs8)
}

// remoteAgent is a fake agent that wants to see a certificate of this authority.
func remoteAgent(t *testing.T, ca *authority) (address string) {
	t.Helper()
	cert, key := ca.issue("agent")
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	clients := x509.NewCertPool()
	clients.AddCert(ca.cert)
	agent := newFakeAgent(t.TempDir(), grpc.Creds(credentials.NewTLS(&tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair}, ClientCAs: clients, ClientAuth: tls.RequireAndVerifyClientCert,
	})))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	agent.serve(listener)
	t.Cleanup(agent.stop)
	return listener.Addr().String()
}

func TestAddress(t *testing.T) {
	ours, theirs := newAuthority(t, "ours"), newAuthority(t, "theirs")
	address := remoteAgent(t, ours)
	cert, key := ours.issue("client")
	otherCert, otherKey := theirs.issue("stranger")
	for _, c := range []struct {
		name, cert, key, ca string
		code                int
		says                string
	}{
		{"both sides known", cert, key, ours.file, 0, ""},
		{"the agent is a stranger", cert, key, theirs.file, 6, "certificate signed by unknown authority"},
		{"the client is a stranger", otherCert, otherKey, ours.file, 6, "error: the agent at " + address + " cannot be talked to"},
		{"key of another", cert, otherKey, ours.file, 1, "private key does not match public key"},
		{"no certificate in the file", cert, key, key, 1, "there is no certificate in it"},
		{"no file", cert, key, "nowhere", 1, "error: reading --ca: open nowhere: no such file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := runHere(t.Context(), nil, "--address", address, "--cert", c.cert, "--key", c.key, "--ca", c.ca, "nics")
			if got.code != c.code || !strings.Contains(got.errOut, c.says) {
				t.Errorf("got exit code %d, want %d\nout: %s\nerr: %s", got.code, c.code, got.out, got.errOut)
			}
		})
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := listener.Addr().String()
	listener.Close()
	got := runHere(t.Context(), nil, "--address", nobody, "--cert", cert, "--key", key, "--ca", ours.file, "apply")
	if got.code != 6 || !strings.Contains(got.errOut, "error: no agent at "+nobody+": connection refused\n") {
		t.Errorf("nobody there: got exit code %d\n%s", got.code, got.errOut)
	}
}

// What an agent says about a certificate may be lost on the way, when it ends the
// connection before that was read. Where it is not, it is explained.
func TestTLSAdvice(t *testing.T) {
	for what, want := range map[string]string{
		"authentication handshake failed: remote error: tls: expired certificate":           "openssl x509 -dates",
		"error reading server preface: remote error: tls: unknown certificate authority":    "one of these has issued",
		"error reading server preface: remote error: tls: bad certificate":                  "its log says why",
		"authentication handshake failed: tls: failed to verify certificate: x509: unknown": "",
	} {
		if got := tlsAdvice(what); !strings.Contains(got, want) || (got == "") != (want == "") {
			t.Errorf("%s: %q", what, got)
		}
	}
}

// A socket whose permissions forbid it cannot be tried by tests that run as root.
func TestNotPermittedOnSocket(t *testing.T) {
	c := &connection{target: "/run/hostnic/agent.sock", local: true}
	err := c.nobody(&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.EACCES)})
	var e *agentError
	if !errors.As(err, &e) || e.code != codes.PermissionDenied || exitCode(err) != exitUnreachable || !strings.Contains(e.next, "group hostnic") {
		t.Errorf("got %#v", err)
	}
}

// Characters of file names that mean something in a target of gRPC mean nothing here.
func TestOddSocketPath(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a b%20?#:c")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	agent, err := startFakeAgent(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(agent.stop)
	if got := runHere(t.Context(), nil, "--socket", agent.socket, "nics"); got.code != 0 {
		t.Errorf("got exit code %d\n%s", got.code, got.errOut)
	}
}
