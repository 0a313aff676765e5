package manual

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func read(t *testing.T, path ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// wants fails the test unless all of the lines are in a page, in that order.
func wants(t *testing.T, page string, lines ...string) {
	t.Helper()
	rest := "\n" + page
	for _, line := range lines {
		_, after, ok := strings.Cut(rest, "\n"+line+"\n")
		if !ok {
			t.Errorf("no line %q, or not there, in\n%s", line, page)
			return
		}
		rest = "\n" + after
	}
}

func TestCommands(t *testing.T) {
	root := &cobra.Command{Use: "tool", Short: "Does it", Long: "First.\n\nSecond:\n  a  b\n.end of it"}
	sub := &cobra.Command{Use: "go NIC", Short: "Goes", Long: "It goes.", Example: "  tool go", Run: func(*cobra.Command, []string) {}}
	sub.Flags().StringP("far", "f", "there", "`place` to go to")
	sub.Flags().Bool("secret", false, "not told")
	_ = sub.Flags().MarkHidden("secret")
	root.AddCommand(sub, &cobra.Command{Use: "guard", Hidden: true, Run: sub.Run})
	dir := t.TempDir()
	if err := Commands(dir, root, 1, "other(5)"); err != nil {
		t.Fatal(err)
	}
	wants(t, read(t, dir, "man1", "tool.1"), `tool \- Does it`, "First.", ".PP", "Second:", ".RS 2", ".nf", "a  b", ".fi", ".RE", `\&.end of it`, `\fBtool\-go(1)\fR`, "Goes")
	page := read(t, dir, "man1", "tool-go.1")
	wants(t, page, `tool\-go \- Goes`, `.B tool go NIC [flags]`, ".TP", `\fB\-f, \-\-far place\fR`, "place to go to (default there)", "tool go", "tool(1), other(5)")
	if strings.Contains(page, "secret") {
		t.Error("a hidden flag is told")
	}
	if _, err := os.Stat(filepath.Join(dir, "man1", "tool-guard.1")); err == nil {
		t.Error("a hidden command has a page")
	}
}

func TestSettings(t *testing.T) {
	source := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(source, name), []byte("package x\n\n"+text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	type Deep struct{ Cert, Key string }
	settings := struct {
		Where, Why string
		Deep       Deep
	}{Where: "/here", Deep: Deep{Key: "/key"}}
	dir := t.TempDir()
	page := func() error { return Settings(dir, "x.yaml", "settings", "About.", source, "Config", settings) }
	write("a.go", "type Config struct {\n\t// Where is the place.\n\tWhere string `yaml:\"where\"`\n\t// Why tells.\n\tWhy string `yaml:\"why\"`\n\tDeep Deep `yaml:\"deep\"`\n}\n")
	write("b.go", "// Deep is deeper.\ntype Deep struct {\n\t// Cert and Key are files.\n\tCert string `yaml:\"cert\"`\n\tKey string `yaml:\"key\"`\n}\n")
	if err := page(); err != nil {
		t.Fatal(err)
	}
	wants(t, read(t, dir, "man5", "x.yaml.5"), "About.", `\fBwhere\fR`, `where is the place.  Default: /here.`, `\fBwhy\fR`, "why tells.",
		`\fBdeep\fR`, "deep is deeper.", `\fBdeep.cert\fR`, "cert and Key are files.", `\fBdeep.key\fR`, "See deep.cert.  Default: /key.")
	write("b.go", "type Deep struct {\n\tCert string `yaml:\"cert\"`\n}\n")
	if err := page(); err == nil {
		t.Error("a setting of which nothing is said is taken")
	}
}

// Every field of the API's HostNic is told, those that can be configured first.
func TestDocument(t *testing.T) {
	dir := t.TempDir()
	if err := Document(dir, "../../../proto/hostnic/v1/host_nic.proto"); err != nil {
		t.Fatal(err)
	}
	wants(t, read(t, dir, "man5", "host_nic.5"), ".SH WHAT CAN BE CONFIGURED", `\fBname\fR`, `\fBip.netmask\fR`, `\fBbonding.slaves\fR`,
		".SH WHAT IS REPORTED", `\fBspeed\fR`, `\fBstatus.state\fR`)
}
