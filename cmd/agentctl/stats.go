package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

type statsOptions struct {
	*globals
	nics     []string
	watch    bool
	interval time.Duration
	// times is how often to look; 0 is until interrupted.
	times int
}

func newStatsCommand(g *globals) *cobra.Command {
	o := statsOptions{globals: g}
	cmd := &cobra.Command{
		Use:   "stats [NIC…]",
		Short: "Counters and rates of network interfaces",
		Long:  statsLong + exits(exitRefused, exitUnreachable),
		Example: `  agentctl stats
  agentctl stats bond0 --watch`,
		GroupID:           groupLook,
		Args:              arguments(0, -1),
		ValidArgsFunction: g.completeNics(-1, anyNic),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.nics = args
			if o.interval < time.Second || o.interval > time.Minute {
				return &usageError{what: fmt.Sprintf("--interval %s is out of bounds: give from 1s to 1m", o.interval), command: cmd}
			}
			if !o.watch && cmd.Flags().Changed("times") {
				return &usageError{what: "--times is for --watch", command: cmd}
			}
			return runStats(cmd.Context(), o, cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVarP(&o.watch, "watch", "w", false, "look again and again, the busiest first, with the last minute of each")
	cmd.Flags().DurationVar(&o.interval, "interval", time.Second, "time between two looks")
	cmd.Flags().IntVar(&o.times, "times", 0, "with --watch, how many looks; 0 is until interrupted")
	return cmd
}

const statsLong = `Bytes and packets received and sent a second, measured over the interval, and the
totals since the link was made. ERRORS are packets damaged or not sent, DROPS those
thrown away. A dash is not known; a total that has begun anew in the driver is counted
on, and marked with the number of times. With -o json --watch there is one object a
line.`

func runStats(ctx context.Context, o statsOptions, out io.Writer) error {
	c, err := o.connect()
	if err != nil {
		return err
	}
	defer c.close()
	if o.watch {
		return watchStats(ctx, o, c, out)
	}
	answer, err := c.nics().GetStatistics(ctx, &hostnicv1.GetStatisticsRequest{Nics: o.nics, Interval: durationpb.New(o.interval)})
	if err != nil {
		return err
	}
	if o.machine() {
		raw, err := statisticsJSON(answer)
		if err != nil {
			return err
		}
		return o.printTree(out, raw)
	}
	s := o.screen(out)
	s.println(statsTable(s, answer.GetStatistics(), nil))
	return nil
}

// watchStats looks again and again. On a terminal the table is drawn over itself.
func watchStats(ctx context.Context, o statsOptions, c *connection, out io.Writer) error {
	s, past, drawn := o.screen(out), history{}, 0
	tick := time.NewTicker(o.interval)
	defer tick.Stop()
	for n := 1; ; n++ {
		answer, err := c.nics().GetStatistics(ctx, &hostnicv1.GetStatisticsRequest{Nics: o.nics})
		switch {
		case ctx.Err() != nil:
			return nil // interrupted, as it is meant to end
		case err != nil:
			return err
		case o.machine():
			if err := printLine(out, answer); err != nil {
				return err
			}
		default:
			past.add(answer.GetStatistics())
			busiestFirst(answer.GetStatistics())
			drawn = drawStats(s, answer.GetStatistics(), past, drawn)
		}
		if n == o.times {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// printLine writes an answer as one line of JSON.
func printLine(out io.Writer, answer *hostnicv1.GetStatisticsResponse) error {
	raw, err := statisticsJSON(answer)
	if err != nil {
		return err
	}
	return compactLine(out, raw)
}

// statisticsJSON has totals that are zero, too, which the mapping would leave out: they
// have been counted. Rates that nobody has measured stay absent.
func statisticsJSON(answer proto.Message) ([]byte, error) {
	raw, err := protojson.MarshalOptions{UseProtoNames: true, EmitDefaultValues: true}.Marshal(answer)
	if err != nil {
		return nil, fmt.Errorf("writing the answer as JSON: %w", err)
	}
	return raw, nil
}
