package main

import (
	"fmt"

	"github.com/jedib0t/go-pretty/v6/text"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// progress shows what an operation is doing: on a terminal a line for each phase,
// drawn anew as the phase goes on, elsewhere a line for each step.
type progress struct {
	s     screen
	quiet bool
	phase string
	open  bool // the cursor is at the end of a line that will be drawn again
}

// clearLine goes back to the beginning of the line and wipes it.
const clearLine = "\r\x1b[K"

func (p *progress) step(step *hostnicv1.Step) {
	if p.phase != step.GetPhase() {
		p.end()
		p.phase = step.GetPhase()
	}
	p.show(fmt.Sprintf("%-12s %s", p.phase, step.GetText()))
}

// note is a line of our own.
func (p *progress) note(line string) {
	p.end()
	p.phase = ""
	p.show(line)
}

func (p *progress) show(line string) {
	switch {
	case p.quiet:
	case p.s.live:
		if p.s.width > 0 {
			line = text.Trim(line, p.s.width-1) // a line that wraps cannot be drawn over
		}
		p.s.print(clearLine + line)
		p.open = true
	default:
		p.s.println(wrap(line, p.s.width, 4))
	}
}

// end leaves the last line as it is, for others to write below.
func (p *progress) end() {
	if p.open {
		p.s.print("\n")
		p.open = false
	}
}
