package server

import (
	"strings"
	"testing"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// What somebody stages is in the log, on one line, with who it was; so is a lease that
// somebody asks for. What is only tried is not.
func TestEditsAreLogged(t *testing.T) {
	f := newFarHost(t)
	f.as(theOperator)
	try := staging("host_nics: [{name: eth0, mtu: 1300}]")
	try.ValidateOnly = true
	if _, err := f.config.Stage(f.ctx(), try); err != nil {
		t.Fatal(err)
	}
	f.stage("host_nics:\n- {name: eth0, mtu: 1400}\n")
	if edits := f.log.With("msg=edited"); len(edits) != 1 || !strings.Contains(edits[0], "host_nics:; - {name: eth0, mtu: 1400}") || !strings.Contains(edits[0], theOperator) {
		t.Errorf("%q", edits)
	}
	_, err := f.nics.ReleaseLease(f.ctx(), &hostnicv1.ReleaseLeaseRequest{Nic: "eth0"})
	if refused := f.log.With("edit refused"); err == nil || len(refused) != 1 || !strings.Contains(refused[0], "nic=eth0") {
		t.Errorf("%v, %q", err, refused)
	}
}

func TestAsked(t *testing.T) {
	document := func(nic, text string) *hostnicv1.Document {
		return &hostnicv1.Document{Nic: nic, Content: []byte(text)}
	}
	if got := asked([]*hostnicv1.Document{document("eth0", "mtu: 1400\n"), document("", "a\x1b[2Jb")}); !strings.HasPrefix(got, "eth0: mtu: 1400 a") || strings.ContainsAny(got, "\n\x1b") {
		t.Errorf("%q", got)
	}
	long := strings.Repeat("ä", mostAsked)
	for _, all := range [][]*hostnicv1.Document{{document("", long)}, {document("", "x"), document(long, "y"), document("", long)}} {
		if got := asked(all); len(got) > 2*mostAsked || !strings.HasSuffix(got, " …") {
			t.Errorf("%d bytes, ending in %q", len(got), got[len(got)-8:])
		}
	}
}
