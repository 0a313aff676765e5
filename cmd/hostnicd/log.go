package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// logger writes for who reads: text on a terminal, lines with levels for the
// journal, JSON for everybody else.
func logger(out *os.File, level slog.Level) *slog.Logger {
	o := &slog.HandlerOptions{Level: level}
	switch {
	case isTerminal(out):
		return slog.New(slog.NewTextHandler(out, o))
	case isJournal(out):
		return slog.New(newJournalHandler(out, level))
	}
	return slog.New(slog.NewJSONHandler(out, o))
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// isJournal is systemd.exec(5), JOURNAL_STREAM: the variable is inherited by
// processes that log elsewhere.
func isJournal(f *os.File) bool {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return false
	}
	return os.Getenv("JOURNAL_STREAM") == fmt.Sprintf("%d:%d", st.Dev, st.Ino)
}

// journalHandler writes text lines with the level in front, as sd-daemon(3) wants
// them. The journal adds the time.
type journalHandler struct {
	slog.Handler
	line *journalLine
}

// journalLine is the line that is being written.
type journalLine struct {
	mu  sync.Mutex
	out io.Writer
	buf bytes.Buffer
}

// Write gathers a line.
func (l *journalLine) Write(p []byte) (int, error) { return l.buf.Write(p) }

func newJournalHandler(out io.Writer, level slog.Level) *journalHandler {
	l := &journalLine{out: out}
	return &journalHandler{line: l, Handler: slog.NewTextHandler(l, &slog.HandlerOptions{Level: level,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey) {
				return slog.Attr{}
			}
			return a
		}})}
}

// Handle writes one line.
func (h *journalHandler) Handle(ctx context.Context, r slog.Record) error {
	h.line.mu.Lock()
	defer h.line.mu.Unlock()
	h.line.buf.Reset()
	fmt.Fprintf(&h.line.buf, "<%d>", priority(r.Level))
	if err := h.Handler.Handle(ctx, r); err != nil {
		return err
	}
	_, err := h.line.out.Write(h.line.buf.Bytes())
	return err
}

// WithAttrs keeps the level in front.
func (h *journalHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &journalHandler{h.Handler.WithAttrs(attrs), h.line}
}

// WithGroup keeps the level in front.
func (h *journalHandler) WithGroup(name string) slog.Handler {
	return &journalHandler{h.Handler.WithGroup(name), h.line}
}

// priority is that of syslog(3).
func priority(level slog.Level) int {
	switch {
	case level >= slog.LevelError:
		return 3
	case level >= slog.LevelWarn:
		return 4
	case level >= slog.LevelInfo:
		return 6
	}
	return 7
}
