package main

import (
	"fmt"
	"io"
	"slices"
	"time"
)

// results are what has been measured, in the order of the contestants.
type results struct {
	names  []string
	series map[key]*series
}

type key struct {
	name string
	task task
}

type series struct {
	times  []time.Duration
	writes int
}

func (r *results) add(name string, t task, took time.Duration, writes int) {
	if !slices.Contains(r.names, name) {
		r.names = append(r.names, name)
	}
	if r.series == nil {
		r.series = map[key]*series{}
	}
	s := r.series[key{name, t}]
	if s == nil {
		s = &series{}
		r.series[key{name, t}] = s
	}
	s.times, s.writes = append(s.times, took), writes
}

// median is 0 where nothing was measured.
func (r *results) median(name string, t task) time.Duration {
	s := r.series[key{name, t}]
	if s == nil {
		return 0
	}
	times := slices.Sorted(slices.Values(s.times))
	n := len(times)
	return (times[(n-1)/2] + times[n/2]) / 2
}

func (r *results) print(out io.Writer) {
	const row = "  %-10s  %-18s %10s %9s %12s %8s\n"
	fmt.Fprintf(out, row, "task", "contestant", "ms", "/ raw", "/ ip -batch", "writes")
	for _, t := range tasks {
		label := t
		for _, name := range r.names {
			m := r.median(name, t)
			if m == 0 {
				continue
			}
			writes := "-"
			if n := r.series[key{name, t}].writes; n >= 0 {
				writes = fmt.Sprint(n)
			}
			fmt.Fprintf(out, row, label, name, fmt.Sprintf("%.2f", float64(m)/1e6),
				ratio(m, r.median("raw", t)), ratio(m, r.median("ip -batch", t)), writes)
			label = ""
		}
	}
}

func ratio(a, b time.Duration) string {
	if b == 0 {
		return "-"
	}
	digits := 2
	if a >= 100*b {
		digits = 0
	}
	return fmt.Sprintf("%.*f", digits, float64(a)/float64(b))
}
