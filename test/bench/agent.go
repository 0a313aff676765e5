package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// agent is the daemon, resident, asked over its socket to stage and commit. With a
// rehearsal, which is what it does unless told otherwise, it does everything twice.
type agent struct {
	daemon   string
	settings string // a file, or empty
	rehearse bool
	cmd      *exec.Cmd
	ended    chan struct{}
	conn     *grpc.ClientConn
	client   hostnicv1.NetConfigServiceClient
	stages   map[task]*hostnicv1.StageRequest
	sent     int
}

func (a *agent) name() string {
	if a.rehearse {
		return "hostnic, rehearsed"
	}
	return "hostnic"
}

func (a *agent) start(ctx context.Context, w workload, dir string) error {
	if a.daemon == "" {
		return errors.New("which daemon? -hostnicd FILE, or -only raw,'ip -batch'")
	}
	if err := a.prepare(w); err != nil {
		return err
	}
	socket := filepath.Join(dir, "sock")
	a.cmd = exec.CommandContext(ctx, a.daemon, "--state-dir", filepath.Join(dir, "state"), "--socket", socket, "--log-level", "error")
	if a.settings != "" {
		a.cmd.Args = append(a.cmd.Args, "--config", a.settings)
	}
	a.cmd.Stderr = os.Stderr
	if err := a.cmd.Start(); err != nil {
		return err
	}
	a.ended = make(chan struct{})
	go func() { _ = a.cmd.Wait(); close(a.ended) }()
	conn, err := grpc.NewClient("unix:"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	a.conn, a.client = conn, hostnicv1.NewNetConfigServiceClient(conn)
	for {
		if _, err = a.client.GetStatus(ctx, &hostnicv1.GetStatusRequest{}); err == nil {
			return nil
		}
		select {
		case <-a.ended:
			return fmt.Errorf("it has ended: %s", a.cmd.ProcessState)
		case <-ctx.Done():
			return err
		case <-time.After(10 * time.Millisecond):
		}
		a.conn.ResetConnectBackoff()
	}
}

// prepare makes the requests: to write documents is the client's work, not the
// agent's.
func (a *agent) prepare(w workload) error {
	whole, err := w.documents()
	if err != nil {
		return err
	}
	one, err := w.oneChange()
	if err != nil {
		return err
	}
	none, err := w.removal()
	if err != nil {
		return err
	}
	a.stages = map[task]*hostnicv1.StageRequest{}
	for t, docs := range map[task][][]byte{apply: whole, noop: whole, change: {one}, teardown: {none}} {
		req := &hostnicv1.StageRequest{}
		for _, d := range docs {
			req.Documents = append(req.Documents, &hostnicv1.Document{Content: d, Format: hostnicv1.DocumentFormat_DOCUMENT_FORMAT_JSON})
		}
		a.stages[t] = req
	}
	return nil
}

func (a *agent) do(ctx context.Context, t task) error {
	if _, err := a.client.Stage(ctx, a.stages[t]); err != nil {
		return err
	}
	return a.commit(ctx)
}

func (a *agent) commit(ctx context.Context) error {
	// The others do not probe either.
	stream, err := a.client.Commit(ctx, &hostnicv1.CommitRequest{Options: &hostnicv1.ApplyOptions{NoRehearse: !a.rehearse, Probes: []string{"none"}}})
	if err != nil {
		return err
	}
	for {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		op := m.GetUpdate().GetOperation()
		if !op.GetDone() {
			continue
		}
		a.sent += int(op.GetWrites())
		if op.GetState() != "done" {
			return fmt.Errorf("%s: %s", op.GetState(), op.GetError())
		}
		return nil
	}
}

func (a *agent) writes() int { return a.sent }

func (a *agent) stop() {
	if a.conn != nil {
		_ = a.conn.Close()
	}
	if a.ended != nil {
		_ = a.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-a.ended:
		case <-time.After(10 * time.Second):
			_ = a.cmd.Process.Kill()
			<-a.ended
		}
	}
}
