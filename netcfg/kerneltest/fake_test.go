package kerneltest

import (
	"testing"
	"time"
)

// fakeHost is the fake as the contract wants it: its NICs are ends of veth pairs,
// as those of the real one are.
type fakeHost struct{ *Fake }

func (h fakeHost) AddNIC(name string)                     { h.Fake.AddNIC(name, NIC{Veth: true}) }
func (h fakeHost) AddBridge(name string, ports ...string) { h.Fake.AddBridge(name, ports...) }
func (h fakeHost) Patience() time.Duration                { return 0 }

func TestFakeKeepsContract(t *testing.T) {
	Contract(t, func(*testing.T) Host { return fakeHost{NewFake()} })
}
