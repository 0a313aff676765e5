// Package manual writes pages of the manual from what the program itself says: its
// commands, its settings, its API. It is for building packages and not in the programs.
package manual

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// page is one page in the language of man(7).
type page struct{ bytes.Buffer }

// newPage begins a page. There is no date on it, so that every build makes the same.
func newPage(name string, section int, short string) *page {
	p := &page{}
	fmt.Fprintf(p, ".TH %s %d \"\" hostnic \"hostnic\"\n.nh\n.ad l\n", strings.ToUpper(escape(name)), section)
	p.section("Name")
	fmt.Fprintf(p, "%s \\- %s\n", escape(name), escape(short))
	return p
}

func (p *page) section(title string) { fmt.Fprintf(p, ".SH %s\n", strings.ToUpper(title)) }

// text writes paragraphs. Lines that are indented stay as they are.
func (p *page) text(text string) {
	for i, paragraph := range strings.Split(strings.Trim(text, "\n"), "\n\n") {
		if i > 0 {
			p.WriteString(".PP\n")
		}
		p.paragraph(paragraph)
	}
}

func (p *page) paragraph(paragraph string) {
	verbatim := false
	for line := range strings.SplitSeq(paragraph, "\n") {
		if indented := strings.HasPrefix(line, "  "); indented != verbatim {
			verbatim = indented
			p.WriteString(map[bool]string{true: ".RS 2\n.nf\n", false: ".fi\n.RE\n"}[verbatim])
		}
		p.WriteString(escape(strings.TrimPrefix(line, "  ")) + "\n")
	}
	if verbatim {
		p.WriteString(".fi\n.RE\n")
	}
}

// item writes a term and what it means.
func (p *page) item(term, text string) {
	fmt.Fprintf(p, ".TP\n\\fB%s\\fR\n", escape(term))
	p.WriteString(escape(strings.ReplaceAll(strings.TrimSpace(text), "\n", " ")) + "\n")
}

// write puts the page where it belongs below dir.
func (p *page) write(dir, name string, section int) error {
	dir = filepath.Join(dir, fmt.Sprintf("man%d", section))
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // for everybody
		return err
	}
	return os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s.%d", name, section)), p.Bytes(), 0o644) //nolint:gosec // for everybody
}

var special = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", "\\(ga", "^", `\(ha`, "~", `\(ti`, "…", "...", "→", `\->`, "–", `\-`)

// escape makes a line mean itself.
func escape(line string) string {
	line = special.Replace(line)
	if strings.HasPrefix(line, ".") {
		line = `\&` + line
	}
	return line
}
