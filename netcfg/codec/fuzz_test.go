package codec_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/codec"
)

func FuzzYAML(f *testing.F) {
	f.Add([]byte("removed: [!!str 1, &a b, *a]\n---\n<<: {}"))
	fuzz(f, codec.YAML, ".yaml", ".json")
}

func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"removed": ["\u0000\ud800"], "dns": null}`))
	fuzz(f, codec.JSON, ".json")
}

func FuzzXML(f *testing.F) {
	f.Add([]byte(`<!DOCTYPE a [<!ENTITY b "c">]><nic id="&#x202e;"><![CDATA[x]]><!-- --><?pi?></nic>`))
	fuzz(f, codec.XML, ".xml")
}

// fuzz holds every input against three promises: no panic; nothing beside an
// error, and an error that can be shown; and what is accepted is written so that
// it is read as the same.
func fuzz(f *testing.F, format codec.Format, extensions ...string) {
	files, err := filepath.Glob("testdata/documents/*/*")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		for _, ext := range extensions {
			if strings.HasSuffix(file, ext) && filepath.Base(file) != "value.json" {
				text, err := os.ReadFile(file)
				if err != nil {
					f.Fatal(err)
				}
				f.Add(text)
			}
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		doc, err := codec.Decode(text, format)
		if err != nil {
			if s := err.Error(); strings.ContainsFunc(s, func(r rune) bool { return r != '\n' && netcfg.Printable(string(r)) != string(r) }) {
				t.Errorf("the error cannot be shown: %q", s)
			}
			if diff := cmp.Diff(netcfg.Document{}, doc); diff != "" {
				t.Errorf("half a document beside the error: %s", diff)
			}
			return
		}
		want, problems := netcfg.Merge(netcfg.Config{}, doc, identity)
		if problems != nil {
			return
		}
		for _, r := range renderings {
			checkRewritten(t, want, r.format, r.options, r.keeps)
		}
	})
}

func checkRewritten(t *testing.T, want netcfg.Config, f codec.Format, o codec.EncodeOptions, keeps func(netcfg.Config) netcfg.Config) {
	t.Helper()
	var b bytes.Buffer
	if err := codec.Encode(&b, want, f, o); err != nil {
		t.Fatalf("Encode as %s: %v", f, err)
	}
	doc, err := codec.Decode(b.Bytes(), f)
	if err != nil {
		t.Fatalf("%s is not read again: %v\n%s", f, err, b.Bytes())
	}
	got, problems := netcfg.Merge(netcfg.Config{}, doc, identity)
	if problems != nil {
		t.Fatalf("%s is not merged again: %v\n%s", f, problems, b.Bytes())
	}
	if diff := cmp.Diff(keeps(want), keeps(got), cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("%s (-want +got):\n%s\n%s", f, diff, b.Bytes())
	}
}
