package agent

import (
	"context"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// readyPatience is how long the boot of the machine may be kept waiting for the
// host to be brought to its configuration.
const readyPatience = 20 * time.Second

// announce tells the service manager, if there is one, and the log when the daemon
// is ready and when it ends.
func (a *agent) announce(ctx context.Context, socket string) error {
	patience := time.NewTimer(readyPatience)
	defer patience.Stop()
	select {
	case <-a.engine.Ready():
		a.log.Info("hostnicd ready", "socket", socket, "version", Version)
		a.notify(daemon.SdNotifyReady + "\nSTATUS=" + a.standing())
	case <-patience.C:
		a.log.Warn("the host is not as configured yet; going on with it", "socket", socket)
		a.notify(daemon.SdNotifyReady + "\nSTATUS=still bringing the host to its configuration")
		if a.feed(ctx, a.engine.Ready()); ctx.Err() == nil {
			a.log.Info("hostnicd ready", "socket", socket, "version", Version)
			a.notify("STATUS=" + a.standing())
		}
	case <-ctx.Done():
	}
	a.feed(ctx, nil)
	a.notify(daemon.SdNotifyStopping + "\nSTATUS=stopping; the network stays as it is")
	return nil
}

// feed tells the service manager's watchdog, where there is one, that the loop of the
// engine lives, until ctx ends or something happens. The engine alone decides: that
// this goroutine runs says nothing.
func (a *agent) feed(ctx context.Context, until <-chan struct{}) {
	var tick <-chan time.Time
	if interval, err := daemon.SdWatchdogEnabled(false); err != nil {
		a.log.Warn("the service manager's watchdog is not understood, and not fed", "error", err)
	} else if interval > 0 {
		ticker := time.NewTicker(interval / 3)
		defer ticker.Stop()
		tick = ticker.C
	}
	for hung := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-until:
			return
		case <-tick:
		}
		switch alive := a.engine.Alive(); {
		case alive:
			hung = false
			a.notify(daemon.SdNotifyWatchdog)
		case !hung:
			hung = true
			a.log.Error("the loop of the engine hangs; the watchdog is not fed any more")
		}
	}
}

// standing is one line about where the host stands.
func (a *agent) standing() string {
	v := a.engine.View()
	switch {
	case v.ReadOnly != "":
		return oneLine("read only: " + v.ReadOnly)
	case len(v.Degraded) > 0:
		return oneLine("degraded: " + v.Degraded[0])
	case len(v.Waiting) > 0:
		return "as configured, but for what waits"
	}
	return "the host is as configured"
}

// oneLine keeps a text from being more than one assignment to the service manager.
func oneLine(s string) string { return strings.ReplaceAll(s, "\n", "; ") }

func (a *agent) notify(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		a.log.Warn("the service manager cannot be told", "error", err)
	}
}
