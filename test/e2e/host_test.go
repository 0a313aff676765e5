//go:build kernel

package e2e

import (
	"testing"

	"github.com/hostnic/hostnic/test/hypervisor"
)

// host is a hypervisor, with what is done to it here.
type host struct{ *hypervisor.Host }

func newHost(t *testing.T, nics ...string) *host {
	t.Helper()
	return &host{hypervisor.New(t, nics...)}
}
