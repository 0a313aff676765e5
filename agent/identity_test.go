package agent

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hostnic/hostnic/agent/store"
)

func openStore(t *testing.T, dir string) *store.Store {
	t.Helper()
	st, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	return st
}

func TestIdentify(t *testing.T) {
	const machine = "0123456789abcdef0123456789abcdef"
	file := filepath.Join(t.TempDir(), "machine-id")
	if err := os.WriteFile(file, []byte(machine+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	st := openStore(t, t.TempDir())
	identity := func(set, file string) string {
		t.Helper()
		id, err := identify(set, file, st, slog.New(slog.DiscardHandler))
		if err != nil || !uuid.MatchString(id) {
			t.Fatalf("%q, %v", id, err)
		}
		return id
	}
	if got := identity("2AB5E1DA-b726-4274-bbf7-0a42b16a0fc3", file); got != "2ab5e1da-b726-4274-bbf7-0a42b16a0fc3" {
		t.Errorf("set: %s", got)
	}
	derived := identity("", file)
	if derived != identity("", file) {
		t.Error("the same machine has two ids")
	}
	if plain := strings.ReplaceAll(derived, "-", ""); plain == machine || strings.Contains(plain, machine[:8]) {
		t.Errorf("the machine id shows in %s", derived)
	}
	random := identity("", filepath.Join(t.TempDir(), "none"))
	if random == derived {
		t.Error("a host without a machine id has another's")
	}
	for _, text := range []string{"", "uninitialized\n", "0123"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := identity("", file); got != random {
			t.Errorf("%q: %s, want the one that is kept, %s", text, got, random)
		}
	}
}

func TestBootID(t *testing.T) {
	id, err := bootID()
	if err != nil || !uuid.MatchString(id) {
		t.Errorf("%q, %v", id, err)
	}
}
