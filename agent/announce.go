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
		select {
		case <-a.engine.Ready():
			a.log.Info("hostnicd ready", "socket", socket, "version", Version)
			a.notify("STATUS=" + a.standing())
		case <-ctx.Done():
		}
	case <-ctx.Done():
	}
	<-ctx.Done()
	a.notify(daemon.SdNotifyStopping + "\nSTATUS=stopping; the network stays as it is")
	return nil
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
