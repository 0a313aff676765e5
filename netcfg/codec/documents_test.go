package codec_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/codec"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestDocuments reads each testdata/documents/*/given.*, compares the value with
// value.json, renders it in every format beside it, and reads each rendering
// again. A new case is a new folder; run with -update and look at what it says.
func TestDocuments(t *testing.T) {
	givens, err := filepath.Glob("testdata/documents/*/given.*")
	if err != nil || len(givens) < 8 {
		t.Fatalf("found %d cases: %v", len(givens), err)
	}
	for _, given := range givens {
		dir := filepath.Dir(given)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			doc := decode(t, read(t, given), codec.Auto)
			golden(t, filepath.Join(dir, "value.json"), indented(t, doc))
			c := configOf(doc)
			for _, r := range renderings {
				text := encode(t, c, r.format, r.options)
				golden(t, filepath.Join(dir, r.file), text)
				again := configOf(decode(t, text, r.format))
				if diff := cmp.Diff(r.keeps(c), r.keeps(again), cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("%s read again (-want +got):\n%s", r.file, diff)
				}
			}
		})
	}
}

// renderings are all the ways of writing, each with what of a value it keeps.
var renderings = []struct {
	file    string
	format  codec.Format
	options codec.EncodeOptions
	keeps   func(netcfg.Config) netcfg.Config
}{
	{"rendered.yaml", codec.YAML, codec.EncodeOptions{}, meaning},
	{"rendered.json", codec.JSON, codec.EncodeOptions{}, meaning},
	{"rendered.v3.xml", codec.XML, codec.EncodeOptions{Version: 3}, sayableInXML},
	{"rendered.v4.xml", codec.XML, codec.EncodeOptions{Version: 4}, sayableInXML},
}

// meaning brings the options of bonds into the form in which YAML and JSON write
// them.
func meaning(c netcfg.Config) netcfg.Config {
	c = c.Clone()
	for i := range c.HostNics {
		b := c.HostNics[i].Bonding
		if b == nil {
			continue
		}
		var known, unknown []netcfg.BondOption
		for _, o := range b.Options {
			s, ok := netcfg.BondOptionSpec(o.Name)
			if !ok {
				unknown = append(unknown, netcfg.BondOption{Name: o.Name, Value: o.Value})
				continue
			}
			if v, err := s.Canonical(o.Value); err == nil {
				o.Value = v
			}
			known = append(known, netcfg.BondOption{Name: s.Name, Value: o.Value})
		}
		order := func(o netcfg.BondOption) int {
			return slices.IndexFunc(netcfg.BondOptions, func(s netcfg.OptionSpec) bool { return s.Name == o.Name })
		}
		slices.SortFunc(known, func(a, b netcfg.BondOption) int { return order(a) - order(b) })
		b.Options = slices.Concat(known, unknown)
	}
	return c
}

// sayableInXML takes out what XMLOmits says is omitted.
func sayableInXML(c netcfg.Config) netcfg.Config {
	c = c.Clone()
	for _, path := range codec.XMLOmits(c) {
		switch {
		case path == "networks":
			c.Networks = nil
		case path == "routes":
			c.Routes = nil
		case path == "dns":
			c.DNS = nil
		case strings.HasSuffix(path, "].expected_neighbour"):
			name, _ := netcfg.NicOf(path)
			c.Nic(name).ExpectedNeighbour = nil
		default:
			name := strings.TrimSuffix(strings.TrimPrefix(path, "host_nics["), "].additional_ips")
			c.Nic(name).AdditionalIPs = nil
		}
	}
	return c
}

// TestScenario_W05 compares the seed's documents with their rendering in its own
// form: equal but for white space and what the seed elides or the engine adds.
func TestScenario_W05(t *testing.T) {
	for _, name := range []string{"seed-12.8", "seed-12.9", "seed-put"} {
		t.Run(name, func(t *testing.T) {
			given := read(t, filepath.Join("testdata/documents", name, "given.xml"))
			c := configOf(decode(t, given, codec.XML))
			v3 := encode(t, c, codec.XML, codec.EncodeOptions{Version: 3})
			if diff := cmp.Diff(substance(t, given), substance(t, v3)); diff != "" {
				t.Errorf("in v3 form (-given +rendered):\n%s", diff)
			}
			v4 := encode(t, c, codec.XML, codec.EncodeOptions{Version: 4})
			if diff := cmp.Diff(c, configOf(decode(t, v4, codec.XML))); diff != "" {
				t.Errorf("in v4 form (-want +got):\n%s", diff)
			}
		})
	}
}

// substance lists what an XML document says, a line each. The root may be called
// nic, as in the seed's PUT.
func substance(t *testing.T, text []byte) []string {
	t.Helper()
	var out, path []string
	elided := []string{"link", "actions", "speed", "status", "options"}
	dec := xml.NewDecoder(bytes.NewReader(text))
	for {
		tok, err := dec.Token()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		skip := slices.ContainsFunc(path, func(name string) bool { return slices.Contains(elided, name) })
		switch tok := tok.(type) {
		case xml.StartElement:
			path = append(path, strings.Replace(tok.Name.Local, "host_nic", "nic", 1))
			for _, a := range tok.Attr {
				if a.Name.Local != "href" && !skip && !slices.Contains(elided, tok.Name.Local) {
					out = append(out, strings.Join(path, "/")+"@"+a.Name.Local+"="+a.Value)
				}
			}
		case xml.EndElement:
			path = path[:len(path)-1]
		case xml.CharData:
			if s := strings.TrimSpace(string(tok)); s != "" && !skip {
				out = append(out, strings.Join(path, "/")+"="+s)
			}
		}
	}
}

// configOf takes the NICs of a document as they are, unlike netcfg.Merge: those of
// the seed's PUT have no name.
func configOf(doc netcfg.Document) netcfg.Config {
	c := netcfg.Config{DNS: doc.DNS}
	for _, e := range doc.Nics {
		c.HostNics = append(c.HostNics, e.HostNic)
	}
	if doc.Networks != nil {
		c.Networks = *doc.Networks
	}
	if doc.Routes != nil {
		c.Routes = *doc.Routes
	}
	return c
}

// indented is all of a document but the places, for people to read.
func indented(t *testing.T, doc netcfg.Document) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := codec.EncodeStored(&b, configOf(doc)); err != nil {
		t.Fatal(err)
	}
	enc := json.NewEncoder(&b)
	for _, e := range doc.Nics {
		if len(e.Unset) > 0 {
			if err := enc.Encode(map[string]any{"name": e.Name, "unset": e.Unset}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, w := range doc.Warnings {
		b.WriteString("warning: " + w.String() + "\n")
	}
	return b.Bytes()
}

func decode(t *testing.T, text []byte, f codec.Format) netcfg.Document {
	t.Helper()
	doc, err := codec.Decode(text, f)
	if err != nil {
		t.Fatalf("Decode as %s: %v\n%s", f, err, text)
	}
	return doc
}

func encode(t *testing.T, c netcfg.Config, f codec.Format, o codec.EncodeOptions) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := codec.Encode(&b, c, f, o); err != nil {
		t.Fatalf("Encode as %s: %v", f, err)
	}
	return b.Bytes()
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(string(read(t, file)), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}
