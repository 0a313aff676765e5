package codec_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/codec"
)

type refused struct {
	name   string
	format codec.Format
	text   string
	want   string
}

func checkRefused(t *testing.T, tests []refused) {
	t.Helper()
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, refusals(t, test.text, test.format)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", test.text, diff)
			}
		})
	}
}

// TestFault_C26: unknown field, wrong type, repeated key.
func TestFault_C26(t *testing.T) {
	checkRefused(t, []refused{
		{"unknown at the top in JSON", codec.JSON, `{"hostnics": []}`, "1:2 hostnics unknown-field"},
		{"unknown in a NIC in YAML", codec.YAML, "host_nics:\n- name: eth0\n  mtuu: 1500\n", "3:3 host_nics[eth0].mtuu unknown-field"},
		{"unknown deep inside", codec.YAML, "host_nics:\n- name: eth0\n  ip:\n    addr: 192.0.2.1\n", "4:5 host_nics[eth0].ip.addr unknown-field"},
		{"of another case", codec.JSON, `{"host_nics": [{"Name": "eth0"}]}`, "1:17 host_nics[0].Name unknown-field"},
		{"unknown in networks", codec.JSON, `{"networks": [{"colour": 1}]}`, "1:16 networks[0].colour unknown-field"},
		{"wrong type in JSON", codec.JSON, `{"host_nics": [{"name": "eth0", "mtu": [], "ip": "192.0.2.1"}]}`,
			"1:40 host_nics[eth0].mtu wrong-type\n1:50 host_nics[eth0].ip wrong-type"},
		{"boolean of another kind", codec.YAML, "networks: [{bridged: yes}, {bridged: 1}, {bridged: True}]",
			"1:22 networks[0].bridged wrong-type\n1:38 networks[1].bridged wrong-type\n1:52 networks[2].bridged wrong-type"},
		{"key twice in JSON", codec.JSON, `{"host_nics": [{"name": "eth0", "mtu": 1500, "mtu": 9000}]}`, "1:46 host_nics[eth0].mtu duplicate-field"},
		{"key twice in YAML", codec.YAML, "host_nics:\n- name: eth0\n  ip: {}\n  ip: {}\n", "4:3 host_nics[eth0].ip duplicate-field"},
		{"key twice at the top", codec.JSON, `{"removed": [], "removed": []}`, "1:17 removed duplicate-field"},
		{"option twice", codec.YAML, "host_nics:\n- name: b\n  bonding:\n    options:\n      mode: 1\n      mode: 1\n", "6:7 host_nics[b].bonding.options.mode duplicate-field"},
		{"element twice", codec.XML, "<nic>\n<name>eth0</name>\n<name>eth1</name>\n</nic>", "3:1 host_nics[eth0].name duplicate-field"},
		{"part in both forms", codec.XML, `<nic><ip address="192.0.2.1"><address>192.0.2.2</address></ip></nic>`, "1:30 host_nics[0].ip.address duplicate-field"},
		{"attribute twice", codec.XML, `<nic><ip address="192.0.2.1" address="192.0.2.2"/></nic>`, "1:6 host_nics[0].ip.address duplicate-field"},
	})
}

// TestFault_C27: hostile XML is refused within 50 ms and 16 MiB. The limits are
// those of the catalogue; the race detector is given more.
func TestFault_C27(t *testing.T) {
	var bomb strings.Builder
	bomb.WriteString(`<!DOCTYPE nic [<!ENTITY a0 "lol">`)
	for i := 1; i < 20; i++ {
		fmt.Fprintf(&bomb, `<!ENTITY a%d "%s">`, i, strings.Repeat(fmt.Sprintf("&a%d;", i-1), 10))
	}
	bomb.WriteString("]><nic><name>&a19;</name></nic>")
	for _, test := range []refused{
		{"entity bomb", codec.XML, bomb.String(), "1:1  xml-dtd"},
		{"external entity", codec.XML, `<!DOCTYPE nic [<!ENTITY x SYSTEM "file:///etc/shadow">]><nic><name>&x;</name></nic>`, "1:1  xml-dtd"},
		{"external DTD", codec.XML, `<?xml version="1.0"?><!DOCTYPE nic SYSTEM "http://192.0.2.1/x"><nic/>`, "1:22  xml-dtd"},
		{"DTD within the root", codec.XML, `<nic><!DOCTYPE nic></nic>`, "1:6  xml-dtd"},
		{"undeclared entity", codec.XML, `<nic><name>&x;</name></nic>`, "1:0  syntax"},
		{"attribute of 1 MB", codec.XML, `<nic id="` + strings.Repeat("a", 1<<20) + `"/>`, "1:2  too-large"},
		{"attribute of 4 MB", codec.XML, `<nic id="` + strings.Repeat("a", codec.MaxDocument-20) + `"/>`, "1:2  too-large"},
		{"text of 1 MB", codec.XML, `<nic><name>` + strings.Repeat("a", 1<<20) + `</name></nic>`, "1:7  too-large"},
		{"depth 10000", codec.XML, strings.Repeat("<nic>", 10000) + strings.Repeat("</nic>", 10000), "1:161  too-deep"},
		{"depth 10000 in JSON", codec.JSON, strings.Repeat("[", 10000) + strings.Repeat("]", 10000), "1:33  too-deep"},
		{"depth 10000 in YAML", codec.YAML, strings.Repeat("[", 9999) + strings.Repeat("]", 9999), "1:1  wrong-type\n1:33  too-deep"},
		{"a document of 100 MB", codec.XML, strings.Repeat("<nic/>", 100<<20/6), "0:0  too-large"},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := []byte(test.text)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			_, err := codec.Decode(text, test.format)
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			cost := after.TotalAlloc - before.TotalAlloc
			t.Logf("took %v", took)
			if err == nil || cost > 16<<20 {
				t.Errorf("took %d KiB: %v", cost>>10, err)
			}
			if diff := cmp.Diff(test.want, refusals(t, test.text, test.format)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestFault_C28: YAML that stands for more than it says.
func TestFault_C28(t *testing.T) {
	bomb := "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
	want := "1:1 a0 unknown-field\n1:5  yaml-alias"
	for i := 1; i < 9; i++ {
		bomb += fmt.Sprintf("a%d: &a%d [%s*a%d]\n", i, i, strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 8), i-1)
		want += fmt.Sprintf("\n%d:1 a%d unknown-field\n%d:5  yaml-alias", i+1, i, i+1)
		for k := range 9 {
			want += fmt.Sprintf("\n%d:%d  yaml-alias", i+1, 10+5*k)
		}
	}
	checkRefused(t, []refused{
		{"bomb", codec.YAML, bomb, want},
		{"anchor", codec.YAML, "host_nics:\n- &first {name: eth0}\n", "2:3  yaml-alias"},
		{"alias", codec.YAML, "removed:\n- &a bond0\n- *a\n", "2:3  yaml-alias\n3:3  yaml-alias"},
		{"alias of itself", codec.YAML, "removed: &a [*a]", "1:10  yaml-alias\n1:14  yaml-alias"},
		{"merge key", codec.YAML, "host_nics:\n- name: eth0\n  <<: {mtu: 1}\n", "3:3  yaml-alias"},
		{"tag of one's own", codec.YAML, "host_nics: !!python/object:os.system [x]", "1:12  yaml-tag"},
		{"binary", codec.YAML, "removed: [!!binary YQ==]", "1:11  yaml-tag"},
		{"tag that does not fit", codec.YAML, "removed: !!str [a]", "1:10  yaml-tag"},
		{"two documents", codec.YAML, "removed: []\n---\nremoved: []\n", "2:1  yaml-documents"},
	})
	if got := decode(t, []byte(`removed: [!!str 1]`), codec.YAML).Removed; !cmp.Equal(got, []string{"1"}) {
		t.Errorf("a standard tag that fits gave %q", got)
	}
}

// TestFault_C29: too many NICs.
func TestFault_C29(t *testing.T) {
	document := func(f codec.Format, n int) string {
		var b strings.Builder
		for i := range n {
			switch f {
			case codec.XML:
				fmt.Fprintf(&b, `<host_nic><name>n%d</name><ip address="192.0.2.1" netmask="255.255.255.0"/></host_nic>`, i)
			default:
				fmt.Fprintf(&b, "{\"name\": \"n%d\", \"ip\": {\"address\": \"192.0.2.1\", \"netmask\": \"255.255.255.0\"}},\n", i)
			}
		}
		if f == codec.XML {
			return "<host_nics>" + b.String() + "</host_nics>"
		}
		return "{\"host_nics\": [" + strings.TrimSuffix(b.String(), ",\n") + "]}"
	}
	for _, f := range []codec.Format{codec.YAML, codec.JSON, codec.XML} {
		t.Run(f.String(), func(t *testing.T) {
			if got := refusals(t, document(f, 10000), f); !strings.HasSuffix(got, " host_nics too-many") {
				t.Errorf("10000 NICs: %s", got)
			}
			if got := refusals(t, document(f, codec.MaxNics+1), f); !strings.HasSuffix(got, " host_nics too-many") {
				t.Errorf("one NIC too many: %s", got)
			}
			start := time.Now()
			doc := decode(t, []byte(document(f, codec.MaxNics)), f)
			t.Logf("%d NICs took %v", len(doc.Nics), time.Since(start))
			if len(doc.Nics) != codec.MaxNics {
				t.Errorf("%d of %d NICs", len(doc.Nics), codec.MaxNics)
			}
		})
	}
}

// TestFault_C30: text that is not what it looks like is refused with its path and
// shown escaped. That refusals can be shown is checked for all of them.
func TestFault_C30(t *testing.T) {
	name := "1:25 host_nics[%s].name text"
	checkRefused(t, []refused{
		{"invalid UTF-8", codec.JSON, "{\"removed\": [\"a\xff\"]}", "1:16  text"},
		{"UTF-16", codec.Auto, "\xff\xfe{\x00}\x00", "1:1  text"},
		{"a NUL", codec.YAML, "removed:\n- a\x00b\n", "2:4  text"},
		{"an escaped NUL", codec.JSON, `{"host_nics": [{"name": "a\u0000b"}]}`, fmt.Sprintf(name, `a\x00b`)},
		{"half a surrogate", codec.JSON, `{"host_nics": [{"name": "a\ud800b"}]}`, fmt.Sprintf(name, `a\ufffdb`)},
		{"terminal escape", codec.JSON, `{"host_nics": [{"name": "\u001b[31mred"}]}`, fmt.Sprintf(name, `\x1b[31mred`)},
		{"terminal escape of one character", codec.JSON, `{"host_nics": [{"name": "\u009b31m"}]}`, fmt.Sprintf(name, `\u009b31m`)},
		{"right to left", codec.JSON, `{"host_nics": [{"name": "a` + "\u202e" + `b"}]}`, fmt.Sprintf(name, `a\u202eb`)},
		{"right to left in XML", codec.XML, "<nic><name>a&#x202e;b</name></nic>", `1:6 host_nics[a\u202eb].name text`},
		{"zero width", codec.YAML, "removed: [\"eth\u200b0\"]", "1:11 removed[0] text"},
		{"no-break space", codec.YAML, "removed: [eth\u00a00]", "1:11 removed[0] text"},
		{"line break", codec.YAML, "removed: [\"eth0\\nlo\"]", "1:11 removed[0] text"},
		{"blanks around", codec.JSON, `{"removed": [" bond4"]}`, "1:14 removed[0] text"},
		{"a blank within an id", codec.JSON, `{"removed": [{"id": "a b"}]}`, "1:21 removed[0].id text"},
		{"in a value", codec.YAML, "dns: {search: [\"a\\e[2Jb\"]}", "1:16 dns.search[0] text"},
		{"in the value of an option", codec.YAML, "host_nics: [{name: b, bonding: {options: {mode: \"\\e4\"}}}]", "1:49 host_nics[b].bonding.options.mode text"},
		{"in the name of an option", codec.YAML, "host_nics: [{name: b, bonding: {options: {\"\\e4\": 1}}}]", `1:43 host_nics[b].bonding.options.\x1b4 text`},
		{"in options as text", codec.YAML, "host_nics: [{name: b, bonding: {options: \"mode=\\e4\"}}]", "1:42 host_nics[b].bonding.options text"},
		{"in the name of a field", codec.JSON, `{"\u001b]0;x\u0007": 1}`, `1:2 \x1b]0;x\a unknown-field`},
	})
	_, err := codec.Decode([]byte(`{"removed": ["a\u202eb"]}`), codec.JSON)
	if got := err.(netcfg.Problems)[0].Found; got != `a\u202eb` {
		t.Errorf("found %q", got)
	}
}

// TestManyProblems: four megabytes of mistakes do not give megabytes of reasons.
func TestManyProblems(t *testing.T) {
	_, err := codec.Decode([]byte("{"+strings.Repeat(`"a":1,`, 50000)+`"a":1}`), codec.JSON)
	ps := err.(netcfg.Problems)
	if len(ps) > 300 || !strings.Contains(ps[len(ps)-1].Message, "49745 more") {
		t.Errorf("%d problems, the last: %v", len(ps), ps[len(ps)-1])
	}
	_, err = codec.Decode([]byte(`{"`+strings.Repeat("a", 1<<20)+`": "`+strings.Repeat("b", 1<<20)+`"}`), codec.JSON)
	if n := len(err.Error()); n > 2000 {
		t.Errorf("one long name gives %d bytes of reason", n)
	}
}

// TestManyValues: a document of very many small values is refused before it fills
// the memory.
func TestManyValues(t *testing.T) {
	const n = 300000
	for name, test := range map[string]refused{
		"JSON":       {format: codec.JSON, text: "[" + strings.Repeat("[],", n) + "[]]"},
		"YAML":       {format: codec.YAML, text: strings.Repeat("- 1\n", n)},
		"YAML pairs": {format: codec.YAML, text: "[" + strings.Repeat(":,", n) + "]"},
		"XML":        {format: codec.XML, text: "<nic>" + strings.Repeat("<a/>", n) + "</nic>"},
		"attributes": {format: codec.XML, text: "<nic>" + strings.Repeat("<a"+strings.Repeat(` b=""`, 1000)+"/>", n/1000) + "</nic>"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := refusals(t, test.text, test.format); !strings.HasSuffix(got, "too-large") {
				t.Errorf("%s", got)
			}
		})
	}
}
