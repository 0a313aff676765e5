// Command hostnicd is the agent that owns the network configuration of one host.
package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/hostnic/hostnic/agent"
)

// Exit codes.
const (
	exitError = 1
	exitUsage = 2
)

func main() {
	// A log that nobody reads any more is no reason to end, nor is a terminal that is gone:
	// a change may have cut it, which is to be taken back.
	signal.Ignore(syscall.SIGPIPE, syscall.SIGHUP)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	// Whoever asks twice does not want to wait.
	context.AfterFunc(ctx, stop)
	err := command().ExecuteContext(ctx)
	stop()
	var usage *usageError
	switch {
	case errors.As(err, &usage):
		fmt.Fprintf(os.Stderr, "hostnicd: %v\nhostnicd --help says more\n", err)
		os.Exit(exitUsage)
	case err != nil:
		fmt.Fprintf(os.Stderr, "hostnicd: %v\n", err)
		os.Exit(exitError)
	}
}

// usageError is about how the program was called.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

// flags are what stands on the command line; empty is not given.
type flags struct {
	config, stateDir, socket, netns, resolvConf, drift, metrics, logLevel string
	listen                                                                []string
}

func command() *cobra.Command {
	var f flags
	var version bool
	cmd := &cobra.Command{
		Use:   "hostnicd",
		Short: "The agent that owns the network configuration of one host",
		Long: `hostnicd owns the network configuration of one host: it brings the host to what
was committed, and serves its API on a unix socket, for agentctl and others, and with
--listen on the network, over TLS with certificates on both sides. It runs in the
foreground until SIGTERM, and then leaves the network as it is.

Flags win over the settings file. Exit codes: 0 ended on request, 1 error,
2 called wrongly.`,
		Args:          func(_ *cobra.Command, args []string) error { return noArguments(args) },
		SilenceErrors: true, SilenceUsage: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if version {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), "hostnicd", agent.Version)
				return err
			}
			return run(cmd.Context(), f)
		},
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	cmd.CompletionOptions.DisableDefaultCmd = true
	cmd.Flags().StringVar(&f.config, "config", "", "settings file (default "+agent.DefaultConfigFile+", which may be missing)")
	cmd.Flags().StringVar(&f.stateDir, "state-dir", "", "folder of the state (default "+agent.DefaultStateDir+")")
	cmd.Flags().StringVar(&f.socket, "socket", "", "socket of the API (default "+agent.DefaultSocket+")")
	cmd.Flags().StringArrayVar(&f.listen, "listen", nil, "`HOST:PORT` of the API on the network, which takes certificates and roles in the settings file; may be given several times (default none)")
	cmd.Flags().StringVar(&f.netns, "netns", "", "network namespace to work in, by name or path (default the one it is started in)")
	cmd.Flags().StringVar(&f.resolvConf, "resolv-conf", "", "file in which the host's programs find DNS servers, or none (default /etc/resolv.conf, with --netns NAME /etc/netns/NAME/resolv.conf)")
	cmd.Flags().StringVar(&f.drift, "drift", "", "what to do when somebody changes what the agent has configured: report or heal (default "+agent.DefaultDrift+")")
	cmd.Flags().StringVar(&f.metrics, "metrics", "", "where Prometheus is told what the agent knows: IP:PORT or the path of a socket (default nowhere)")
	cmd.Flags().StringVar(&f.logLevel, "log-level", "", "debug, info, warn or error (default "+agent.DefaultLogLevel+")")
	// A version that cobra prints goes through text/template, which calls methods by name:
	// the linker then has to keep all there are.
	cmd.Flags().BoolVarP(&version, "version", "v", false, "version for hostnicd")
	cmd.AddCommand(guardCommand())
	cmd.AddCommand(extras()...)
	cmd.SetHelpCommand(&cobra.Command{Hidden: true})
	return cmd
}

func noArguments(args []string) error {
	if len(args) > 0 {
		return &usageError{fmt.Errorf("%q is not understood: hostnicd takes flags only", args[0])}
	}
	return nil
}

func run(ctx context.Context, f flags) error {
	c, err := settings(f)
	if err != nil {
		return err
	}
	level, err := c.Level()
	if err != nil {
		return &usageError{err}
	}
	if _, err := c.DriftPolicy(); err != nil {
		return &usageError{err}
	}
	collectLess()
	if c.Netns != "" {
		if err := enterNetns(c.Netns); err != nil {
			return err
		}
	}
	return agent.Run(ctx, c, logger(os.Stderr, level))
}

// A commit of 1,000 NICs leaves some 15 MB of garbage behind on a heap that keeps 3:
// at Go's default a tenth of the agent's own work is then collecting it. So the heap
// grows to two and a half times of what is kept, and to 6 MB at least, before it is
// collected: more makes nothing faster, and on a host with 4,000 links takes 6 MiB. But
// where it gets to memoryLimit the collector runs as often as it takes.
const (
	collectAt   = 150
	memoryLimit = 128 << 20
)

// collectLess leaves what the operator has set by GOGC and GOMEMLIMIT.
func collectLess() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectAt)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
}

// settings are the file's, with the flags over them.
func settings(f flags) (agent.Config, error) {
	path := f.config
	if path == "" {
		path = agent.DefaultConfigFile
	}
	c, err := agent.ReadConfig(path)
	if errors.Is(err, fs.ErrNotExist) && f.config == "" {
		c, err = agent.DefaultConfig(), nil
	}
	if err != nil {
		return c, err
	}
	for _, o := range []struct {
		given string
		to    *string
	}{{f.stateDir, &c.StateDir}, {f.socket, &c.Socket}, {f.netns, &c.Netns}, {f.resolvConf, &c.ResolvConf}, {f.drift, &c.Drift}, {f.metrics, &c.Metrics}, {f.logLevel, &c.LogLevel}} {
		if o.given != "" {
			*o.to = o.given
		}
	}
	if len(f.listen) > 0 {
		c.Listen = f.listen
	}
	return c, nil
}
