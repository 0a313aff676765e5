package metrics

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/net/netutil"
)

// The limits of the listener, to which anybody may connect who reaches its address.
const (
	mostConnections = 16
	mostScrapes     = 2
	headerPatience  = 5 * time.Second
	answerPatience  = 30 * time.Second
	mostHeaders     = 8 << 10
)

// Serve answers GET /metrics on the listener, which it closes, until ctx ends.
func (m *Metrics) Serve(ctx context.Context, l net.Listener, log *slog.Logger) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: mostScrapes, ErrorLog: complaints{log}, Registry: m.registry,
	}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: headerPatience, ReadTimeout: headerPatience, WriteTimeout: answerPatience,
		IdleTimeout: answerPatience, MaxHeaderBytes: mostHeaders, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	served := make(chan error, 1)
	go func() { served <- server.Serve(netutil.LimitListener(l, mostConnections)) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve metrics on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	// A scrape that is under way is worth nothing to anybody any more.
	err := server.Close()
	if e := <-served; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	return err
}

// complaints logs what could not be told in a scrape.
type complaints struct{ log *slog.Logger }

// Println is for promhttp.
func (c complaints) Println(v ...any) { c.log.Warn("metrics: " + fmt.Sprint(v...)) }
