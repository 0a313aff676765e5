package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"
)

// explain turns the error of a call into ours. Where nobody answered it says which
// agent was tried, and what may help.
func (c *connection) explain(err error) error {
	s := status.Convert(err)
	reached, dialErr := c.dialed()
	switch {
	case s.Code() == codes.Canceled:
		return &agentError{code: codes.Canceled, what: "interrupted before the agent at " + c.target + " answered"}
	case s.Code() == codes.DeadlineExceeded && reached && c.conn.GetState() == connectivity.Ready:
		e := agentErrorOf(s)
		e.what = fmt.Sprintf("the agent at %s has not answered within %v", c.target, c.timeout)
		return e
	case s.Code() == codes.DeadlineExceeded && reached && c.local: // it listens, and no more
		return &agentError{
			code: codes.Unavailable, rule: "unreachable", what: fmt.Sprintf("the agent at %s has not answered within %v", c.target, c.timeout),
			next: "see what it is doing: journalctl -u hostnicd; start it anew: systemctl restart hostnicd",
		}
	case s.Code() == codes.DeadlineExceeded:
		return c.nobody(fmt.Errorf("no answer within %v", c.timeout))
	case s.Code() == codes.Unavailable && !reached && dialErr != nil:
		return c.nobody(dialErr)
	case s.Code() == codes.Unavailable:
		e := agentErrorOf(s)
		e.what = fmt.Sprintf("the agent at %s cannot be talked to: %s", c.target, transportError(e.what))
		if next := tlsAdvice(e.what); next != "" {
			e.next = next
		}
		return e
	case s.Code() == codes.PermissionDenied && !c.local:
		e := agentErrorOf(s)
		e.next = "give it a role that may, in the agent.yaml of that host, and start its hostnicd again"
		return e
	}
	return agentErrorOf(s)
}

// tlsAdvice is what to do about a handshake that failed. TLS has no other way to tell
// than its alerts (RFC 8446 section 6.2), of which gRPC hands on the words.
func tlsAdvice(what string) string {
	_, alert, told := strings.Cut(what, "remote error: tls: ")
	switch {
	case !told:
		return ""
	case strings.HasPrefix(alert, "expired certificate"):
		return "by the agent's clock --cert is not valid, now: look at its dates (openssl x509 -dates -noout -in CERT), and at the time of that host"
	case strings.HasPrefix(alert, "unknown certificate authority"):
		return "the agent trusts those in its tls.ca: take a --cert that one of these has issued"
	}
	return "the agent does not take --cert; its log says why: journalctl -u hostnicd"
}

// nobody is told where there is no agent to talk to.
func (c *connection) nobody(err error) error {
	e := &agentError{code: codes.Unavailable, rule: "unreachable"}
	start := "start it: systemctl start hostnicd; or say where it listens: --socket PATH, AGENTCTL_SOCKET"
	switch {
	case errors.Is(err, fs.ErrPermission):
		e.code, e.rule = codes.PermissionDenied, "permission"
		e.what = "not permitted to talk to the agent at " + c.target
		e.next = "be root, or a member of the group hostnic: usermod -aG hostnic NAME, and log in again"
	case !c.local:
		e.what = fmt.Sprintf("no agent at %s: %s", c.target, reason(err))
		e.next = "see whether the host is up, and whether its hostnicd has --listen with this port"
	case errors.Is(err, fs.ErrNotExist):
		e.what = "no agent at " + c.target + ": there is no such socket"
		e.next = start
	case errors.Is(err, syscall.ECONNREFUSED):
		e.what = "no agent at " + c.target + ": nobody listens on this socket any more"
		e.next = start
	default:
		e.what = fmt.Sprintf("no agent at %s: %s", c.target, reason(err))
		e.next = start
	}
	return e
}

// reason is the innermost error, without the names that stand before it already.
func reason(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}

// transportError is what gRPC says of a connection, without what it says of itself.
func transportError(message string) string {
	for _, prefix := range []string{"connection error: desc = ", "transport: "} {
		if rest, ok := strings.CutPrefix(message, prefix); ok {
			message = strings.Trim(rest, `"`)
		}
	}
	if strings.HasPrefix(message, "error reading server preface: ") { // of HTTP/2, which only the wire knows
		return "it takes the connection, and says nothing"
	}
	return message
}
