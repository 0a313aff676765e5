package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// compactLine writes JSON without blanks, which protojson varies on purpose.
func compactLine(out io.Writer, raw []byte) error {
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		return fmt.Errorf("laying out the answer as JSON: %w", err)
	}
	b.WriteByte('\n')
	_, err := out.Write(printableDocument(b.Bytes()))
	return err
}

// shownPast is how much of the past a table shows, in as many bars.
const (
	shownPast = time.Minute
	mostBars  = 20
)

// history is by NIC the traffic of the last minute, in bytes a second.
type history map[string][]moment

type moment struct {
	at   time.Time
	rate float64
}

func (h history) add(all []*hostnicv1.Statistics) {
	for _, s := range all {
		if s.DataCurrentRx == nil {
			continue
		}
		now := s.GetTime().AsTime()
		list := append(h[s.GetNic()], moment{now, traffic(s)})
		h[s.GetNic()] = slices.DeleteFunc(list, func(m moment) bool { return now.Sub(m.at) > shownPast })
	}
}

func traffic(s *hostnicv1.Statistics) float64 { return s.GetDataCurrentRx() + s.GetDataCurrentTx() }

func busiestFirst(all []*hostnicv1.Statistics) {
	slices.SortStableFunc(all, func(a, b *hostnicv1.Statistics) int { return cmp.Compare(traffic(b), traffic(a)) })
}

// bars draws the last minute, each bar the mean of its part of it, the highest as high
// as can be.
func (h history) bars(nic string, ascii bool) string {
	list := h[nic]
	if len(list) == 0 {
		return "-"
	}
	levels := []rune("▁▂▃▄▅▆▇█")
	if ascii {
		levels = []rune("_.:-=+*#")
	}
	n := min(len(list), mostBars)
	means := make([]float64, n)
	most := 0.0
	for i := range means {
		part := list[i*len(list)/n : (i+1)*len(list)/n]
		for _, m := range part {
			means[i] += m.rate / float64(len(part))
		}
		most = max(most, means[i])
	}
	var b strings.Builder
	for _, mean := range means {
		level := 0
		if most > 0 {
			level = int(mean / most * float64(len(levels)-1))
		}
		b.WriteRune(levels[level])
	}
	return b.String()
}

// statsTable has a column for the last minute where past is given.
func statsTable(s screen, all []*hostnicv1.Statistics, past history) string {
	header := []string{"name", "rx/s", "tx/s", "rx pkt/s", "tx pkt/s", "rx total", "tx total", "errors", "drops"}
	if past != nil {
		header = append(header, "last minute")
	}
	var rows [][]string
	for _, st := range all {
		total := func(n int64) string {
			text := quantity(float64(n), "B")
			if st.GetResets() > 0 {
				text += fmt.Sprintf(" (%d resets)", st.GetResets())
			}
			return text
		}
		row := []string{
			st.GetNic(), rate(st.DataCurrentRx, "B"), rate(st.DataCurrentTx, "B"), rate(st.PacketsCurrentRx, ""), rate(st.PacketsCurrentTx, ""),
			total(st.GetDataTotalRx()), total(st.GetDataTotalTx()),
			s.alarming(st.GetErrorsTotalRx() + st.GetErrorsTotalTx()), fmt.Sprint(st.GetDroppedTotalRx() + st.GetDroppedTotalTx()),
		}
		if past != nil {
			row = append(row, past.bars(st.GetNic(), s.ascii))
		}
		rows = append(rows, row)
	}
	return s.table(header, rows)
}

func (s screen) alarming(n int64) string {
	if n == 0 {
		return "0"
	}
	return s.paint(red, fmt.Sprint(n))
}

func rate(r *float64, unit string) string {
	if r == nil {
		return "-"
	}
	return quantity(*r, unit)
}

// quantity is a number in the unit that makes it short, in powers of 1,000.
func quantity(n float64, unit string) string {
	for _, p := range []struct {
		size float64
		name string
	}{{1e15, "P"}, {1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if n >= p.size {
			return fmt.Sprintf("%.3g %s%s", n/p.size, p.name, unit)
		}
	}
	return strings.TrimSpace(fmt.Sprintf("%.0f %s", n, unit))
}

// drawStats writes a table, over the one that was drawn before where the terminal can
// do that, and returns how many lines it has.
func drawStats(s screen, all []*hostnicv1.Statistics, past history, drawn int) int {
	more := 0
	if s.live && s.height > 2 && len(all) > s.height-2 {
		more = len(all) - (s.height - 2)
		all = all[:s.height-2]
	}
	lines := statsTable(s, all, past)
	if more > 0 {
		lines += fmt.Sprintf("\nand %d more with less traffic", more)
	}
	if s.live && drawn > 0 {
		s.print(fmt.Sprintf("\x1b[%dA\x1b[J", drawn)) // up, and clear to the end of the screen
	}
	s.println(lines)
	return strings.Count(lines, "\n") + 1
}
