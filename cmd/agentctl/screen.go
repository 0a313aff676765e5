package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"golang.org/x/term"
)

// screen is where people read: how wide it is, and what it can show.
type screen struct {
	w io.Writer
	// width is 0 where lines may be as long as they are: not a terminal.
	width int
	// height is how many lines a terminal has; 0 where it is not known.
	height int
	// live is true of a terminal on which a line can be drawn again.
	live  bool
	color bool
	ascii bool
}

// Widths: a terminal that claims less than the first is not believed, one that
// claims nothing has the second, and tables without a terminal keep to the third.
const (
	leastWidth   = 40
	consoleWidth = 80
	pageWidth    = 100
)

func (g *globals) screen(w io.Writer) screen {
	s := screen{w: w, ascii: !localeIsUTF8(g.getenv)}
	terminal := false
	if f, ok := w.(interface{ Fd() uintptr }); ok && term.IsTerminal(int(f.Fd())) {
		terminal, s.live = true, g.getenv("TERM") != "dumb"
		s.width, s.height, _ = term.GetSize(int(f.Fd())) // unknown is 0
	}
	if columns, err := strconv.Atoi(g.getenv("COLUMNS")); err == nil && s.width == 0 {
		s.width = columns
	}
	if terminal && s.width == 0 {
		s.width = consoleWidth // a serial console does not know
	}
	if s.width != 0 {
		s.width = max(s.width, leastWidth)
	}
	s.color = g.color == "always" || g.color == "auto" && s.live && g.getenv("NO_COLOR") == ""
	return s
}

// localeIsUTF8 follows the order of setlocale(3).
func localeIsUTF8(getenv func(string) string) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if locale := strings.ToLower(getenv(name)); locale != "" {
			return strings.Contains(locale, "utf-8") || strings.Contains(locale, "utf8")
		}
	}
	return false
}

// style is the color of a word. What it says is always said by the word too.
type style string

const (
	plain  style = ""
	bold   style = "1"
	red    style = "31"
	green  style = "32"
	yellow style = "33"
)

func (s screen) paint(with style, words string) string {
	if !s.color || with == plain || words == "" {
		return words
	}
	return "\x1b[" + string(with) + "m" + words + "\x1b[0m"
}

func (s screen) println(line string) { s.print(line + "\n") }

func (s screen) print(words string) {
	if s.ascii {
		words = inASCII(words)
	}
	fmt.Fprint(s.w, words)
}

// paragraph prints a line that begins with a painted word, wrapped on a terminal.
func (s screen) paragraph(lead string, with style, rest string, hang int) {
	lines := wrap(lead+rest, s.width, hang)
	s.println(s.paint(with, lead) + strings.TrimPrefix(lines, lead))
}

// wrap breaks lines between words so that none is longer than width, where the
// words allow it. Further lines are indented by hang. Width 0 breaks nothing.
func wrap(lines string, width, hang int) string {
	if width == 0 {
		return lines
	}
	var wrapped []string
	for line := range strings.SplitSeq(lines, "\n") {
		wrapped = append(wrapped, wrapLine(line, width, hang)...)
	}
	return strings.Join(wrapped, "\n")
}

func wrapLine(line string, width, hang int) []string {
	var done []string
	for text.RuneWidthWithoutEscSequences(line) > width {
		cut := lastBlank(line, width)
		if cut < 0 {
			break
		}
		done = append(done, strings.TrimRight(line[:cut], " "))
		line = strings.Repeat(" ", hang) + strings.TrimLeft(line[cut:], " ")
	}
	return append(done, line)
}

// lastBlank is where a line is best broken: at the last blank within the width
// that has something before it, else at the first one after it, else nowhere.
func lastBlank(line string, width int) int {
	best, column := -1, 0
	start := len(line) - len(strings.TrimLeft(line, " "))
	for i, r := range line {
		if r == ' ' && i > start {
			if column > width && best >= 0 {
				return best
			}
			best = i
			if column > width {
				return best
			}
		}
		column += text.RuneWidth(r)
	}
	return best
}

// table aligns rows below a header, without lines between them. The last column
// is wrapped to what the others leave of the width. A cell may hold several lines.
func (s screen) table(header []string, rows [][]string) string {
	t := table.NewWriter()
	t.SetStyle(table.Style{
		Box:     table.BoxStyle{PaddingRight: "  "},
		Format:  table.FormatOptions{Header: text.FormatUpper},
		Options: table.OptionsNoBordersAndSeparators,
	})
	t.SuppressTrailingSpaces()
	t.AppendHeader(tableRow(header))
	used := 0
	for i, name := range header[:len(header)-1] {
		widest := len(name)
		for _, row := range rows {
			widest = max(widest, text.LongestLineLen(row[i]))
		}
		used += widest + 2
	}
	if s.width > 0 {
		t.SetColumnConfigs([]table.ColumnConfig{{
			Number: len(header), WidthMax: max(s.width-used, 16), WidthMaxEnforcer: func(cell string, width int) string {
				return wrap(cell, width, 2)
			},
		}})
	}
	for _, row := range rows {
		t.AppendRow(tableRow(row))
	}
	return t.Render()
}

func tableRow(cells []string) table.Row {
	row := make(table.Row, len(cells))
	for i, cell := range cells {
		row[i] = cell
	}
	return row
}

// properties aligns names and values at the colon, so that "name: value" can also
// be searched for. A value of several lines goes on below itself.
func (s screen) properties(indent int, entries []property) {
	widest := 0
	for _, e := range entries {
		widest = max(widest, utf8.RuneCountInString(e.name))
	}
	for _, e := range entries {
		lead := strings.Repeat(" ", indent+widest-utf8.RuneCountInString(e.name)) + e.name + ":"
		below := strings.Repeat(" ", indent+widest+2)
		for i, line := range strings.Split(e.value, "\n") {
			if i > 0 {
				lead = below[:len(below)-1]
			}
			s.println(wrap(lead+" "+line, s.width, len(below)))
		}
	}
}

// property is a line of properties.
type property struct{ name, value string }
