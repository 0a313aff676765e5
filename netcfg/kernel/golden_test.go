package kernel

import (
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what the messages in testdata mean, instead of comparing")

// decoders are those of the messages in testdata, by folder.
var decoders = map[string]func([]byte) (any, error){
	"link": func(b []byte) (any, error) {
		l, primary, err := decodeLink(b)
		return map[string]any{"link": l, "primary": primary}, err
	},
	"address": func(b []byte) (any, error) { a, ok, err := decodeAddress(b); return []any{a, ok}, err },
	"route":   func(b []byte) (any, error) { r, ok, err := decodeRoute(b); return []any{r, ok}, err },
	"modes": func(b []byte) (any, error) {
		m, err := decodeLinkModes(b)
		return []any{m.index, m.speed, m.duplex, m.autoneg}, err
	},
}

// TestGolden decodes messages that TestCapture has taken from a kernel.
func TestGolden(t *testing.T) {
	for folder, decode := range decoders {
		files := goldenFiles(t, folder)
		if len(files) == 0 {
			t.Errorf("no messages in testdata/%s", folder)
		}
		for _, file := range files {
			t.Run(strings.TrimPrefix(file, "testdata/"), func(t *testing.T) {
				value, err := decode(readHex(t, file))
				if err != nil {
					t.Fatal(err)
				}
				compareGolden(t, strings.TrimSuffix(file, ".hex")+".json", value)
			})
		}
	}
}

func compareGolden(t *testing.T, file string, value any) {
	t.Helper()
	got, err := json.MarshalIndent(value, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", file, got, want)
	}
}

func goldenFiles(t testing.TB, folder string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", folder, "*.hex"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func readHex(t testing.TB, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	message, err := hex.DecodeString(strings.Join(strings.Fields(string(b)), ""))
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return message
}

// hexLines is 32 bytes a line.
func hexLines(b []byte) []byte {
	var out []byte
	for len(b) > 0 {
		n := min(32, len(b))
		out = append(hex.AppendEncode(out, b[:n]), '\n')
		b = b[n:]
	}
	return out
}
