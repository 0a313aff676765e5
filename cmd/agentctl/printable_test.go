package main

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

func TestSanitizeReachesAllText(t *testing.T) {
	const bad, good = "a\x1b[2J\n", `a\u001b[2J\n`
	message := func(text string) *hostnicv1.HostNic {
		return &hostnicv1.HostNic{
			Name: text, Mac: &hostnicv1.Mac{Address: text}, AdditionalIps: []string{"ok", text},
			Bonding:       &hostnicv1.Bonding{Options: map[string]string{text: text, "mode": text}, Slaves: []string{text}},
			Addresses:     []*hostnicv1.Address{{Address: text}},
			AbsentReasons: map[string]string{text: text},
		}
	}
	got := message(bad)
	sanitize(got)
	if diff := cmp.Diff(message(good), got, protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestPrintable(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"bond0", "bond0"},
		{"1–4094 brücke 橋", "1–4094 brücke 橋"},
		{"\x1b]0;x\x07", `\u001b]0;x\u0007`},
		{"a\u202eb", `a\u202eb`},
		{"a\U000e0001b", `a\udb40\udc01b`},
		{"a\xffb", `a\xffb`},
		{"a\r\n\tb", `a\r\n\tb`},
		{"a\u009bb", `a\u009bb`},
	} {
		if got := printable(c.in); got != c.want {
			t.Errorf("printable(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

func TestPrintableDocumentIsStillJSON(t *testing.T) {
	const text = "a\u202e\U000e0001\u009b\u2028b"
	got := printableDocument([]byte("{\n\t\"a\": \"" + text + "\"\n}\n"))
	var decoded map[string]string
	if err := json.Unmarshal(got, &decoded); err != nil {
		t.Fatalf("%v: %s", err, got)
	}
	if decoded["a"] != text {
		t.Errorf("got %q back, want %q", decoded["a"], text)
	}
}

func TestInASCII(t *testing.T) {
	if got, want := inASCII("1–4094 … ü"), `1-4094 ... \u00fc`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
