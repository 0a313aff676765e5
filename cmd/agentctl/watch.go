package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

type watchOptions struct {
	*globals
	nics  []string
	kinds []string
	owned bool
}

func newWatchCommand(g *globals) *cobra.Command {
	o := watchOptions{globals: g}
	cmd := &cobra.Command{
		Use:   "watch [NIC…]",
		Short: "Follow what changes, one line each",
		Long: `Every change of an interface as it happens: when, which, and what of it was and is. It
ends when it is interrupted, and goes on where it was when the agent restarts. With -o
json there is one object a line, beginning with the interfaces as they are.` + exits(exitUnreachable),
		Example: `  agentctl watch
  agentctl watch bond0 --kind bond -o json`,
		GroupID:           groupLook,
		Args:              arguments(0, -1),
		ValidArgsFunction: g.completeNics(-1, anyNic),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.nics = args
			if o.output == formatYAML {
				return &usageError{what: "watch cannot print \"yaml\"; it has -o table, json", command: cmd}
			}
			return runWatch(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringSliceVar(&o.kinds, "kind", nil, "only interfaces of this kind: nic, bond, vlan, or the kernel's word for others")
	cmd.Flags().BoolVar(&o.owned, "owned", false, "only what the agent made or manages")
	return cmd
}

// watchAgain is the pause before an agent that has gone is asked again.
const watchAgain = time.Second

func runWatch(ctx context.Context, o watchOptions, out, errOut io.Writer) error {
	c, err := o.connect()
	if err != nil {
		return err
	}
	defer c.close()
	w := watcher{o: o, out: out, screen: o.screen(out)}
	for {
		err := w.follow(ctx, c)
		var failure *agentError
		switch {
		case ctx.Err() != nil:
			return nil // interrupted, as it is meant to end
		case !errors.As(err, &failure):
			return err
		case failure.code == codes.OutOfRange:
			w.resume = ""
			continue
		case failure.code != codes.Unavailable || w.resume == "":
			return err
		}
		if reached, _ := c.dialed(); reached && !w.lost {
			w.lost = true
			o.screen(errOut).println("lost sight of the agent; waiting for it")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(watchAgain):
		}
	}
}

// watcher prints what it is told.
type watcher struct {
	o      watchOptions
	out    io.Writer
	screen screen
	// resume is where it is; lost that it has said so when the agent has gone.
	resume string
	lost   bool
}

// follow goes on to an error: a watch has no other end.
func (w *watcher) follow(ctx context.Context, c *connection) error {
	stream, err := c.nics().WatchHostNics(ctx, &hostnicv1.WatchHostNicsRequest{Resume: w.resume, Nics: w.o.nics, Kinds: w.o.kinds, Owned: w.o.owned})
	for err == nil {
		var m *hostnicv1.WatchHostNicsResponse
		if m, err = stream.Recv(); err != nil {
			break
		}
		w.lost = false
		if m.GetResume() != "" {
			w.resume = m.GetResume()
		}
		if err := w.print(m, c.clean); err != nil {
			return err
		}
	}
	return c.streamError(err)
}

func (w *watcher) print(m *hostnicv1.WatchHostNicsResponse, clean bool) error {
	if w.o.machine() {
		raw, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
		if err != nil {
			return fmt.Errorf("writing the answer as JSON: %w", err)
		}
		return compactLine(w.out, raw)
	}
	if clean {
		sanitize(m)
	}
	line := ""
	switch m.GetEvent() {
	case hostnicv1.WatchEvent_WATCH_EVENT_CHANGED:
		line = changeLine(m.GetOld(), m.GetNew())
	case hostnicv1.WatchEvent_WATCH_EVENT_RESYNC:
		line = "changes were left out, because they came faster than they were read"
	}
	if line != "" {
		w.screen.println(wrap(time.Now().Format(time.TimeOnly)+"  "+line, w.screen.width, 10))
	}
	return nil
}
