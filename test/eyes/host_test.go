//go:build kernel

package eyes

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
	"github.com/hostnic/hostnic/test/need"
	"github.com/hostnic/hostnic/test/netns"
)

// atOnce is how many of the parallel tests run together. By itself it is one a processor,
// of which user-mode Linux has one, and most of them wait.
const atOnce = 8

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", strconv.Itoa(atOnce)); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// patience is how long anything may take on a machine that is busy.
const patience = time.Minute

// host is a namespace with NICs and a daemon in it.
type host struct {
	t       *testing.T
	ns, far *netns.NS
	dir     string
	daemon  *exec.Cmd
	exited  chan struct{} // closed when the daemon has
	conn    *grpc.ClientConn
}

// newHost makes a host with NICs of these names. The far end of eth0 is p-eth0 in
// the namespace far, and up.
func newHost(t *testing.T, nics ...string) *host {
	t.Helper()
	need.Kernel(t, need.Netns, need.Veth, need.Bond, need.VLAN, need.IPv6)
	for _, v := range []string{"HOSTNICD", "AGENTCTL"} {
		if os.Getenv(v) == "" {
			t.Fatalf("%s does not name the program: run make test-kernel", v)
		}
	}
	h := &host{t: t, ns: netns.New(t), far: netns.New(t), dir: t.TempDir()}
	for _, n := range nics {
		h.ns.Veth(t, n, h.far, "p-"+n)
		h.far.Up(t, "p-"+n)
	}
	return h
}

func (h *host) socket() string { return filepath.Join(h.dir, "sock") }

// start starts the daemon with these settings, and waits until it is ready.
func (h *host) start(settings ...string) {
	h.t.Helper()
	if len(settings) > 0 {
		h.write("agent.yaml", strings.Join(settings, "\n")+"\n")
	}
	args := []string{"--state-dir", h.path("state"), "--socket", h.socket(), "--log-level", "info"}
	if _, err := os.Stat(h.path("agent.yaml")); err == nil {
		args = append(args, "--config", h.path("agent.yaml"))
	}
	cmd := exec.Command(os.Getenv("HOSTNICD"), args...)
	log, err := os.OpenFile(h.path("log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		h.t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	h.ns.Do(func() { err = cmd.Start() })
	if err != nil {
		h.t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() { _ = cmd.Wait(); close(exited) }()
	h.daemon, h.exited = cmd, exited
	h.t.Cleanup(h.stop)
	h.dial()
	// A staging waits for the daemon to be ready, and an empty one changes nothing.
	h.eventually("the daemon is ready", func() bool {
		_, err := h.config().Stage(h.t.Context(), &hostnicv1.StageRequest{ValidateOnly: true})
		return err == nil
	})
}

func (h *host) path(name string) string { return filepath.Join(h.dir, name) }

func (h *host) write(name, text string) {
	h.t.Helper()
	if err := os.MkdirAll(filepath.Dir(h.path(name)), 0o700); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(h.path(name), []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) stop() {
	if h.daemon == nil {
		return
	}
	_ = h.daemon.Process.Signal(syscall.SIGTERM)
	<-h.exited
	h.daemon = nil
	if h.conn != nil {
		_ = h.conn.Close()
	}
	if h.t.Failed() {
		h.t.Logf("the daemon's log:\n%s", h.log())
	}
}

// pid is that of the client of the API.
func (h *host) pid() int { return os.Getpid() }

func (h *host) log() string {
	text, _ := os.ReadFile(h.path("log"))
	return string(text)
}

// dial makes a client: starting agentctl for each question costs more than the question.
func (h *host) dial() {
	h.t.Helper()
	again := backoff.Config{BaseDelay: 5 * time.Millisecond, Multiplier: 1, MaxDelay: 5 * time.Millisecond}
	conn, err := grpc.NewClient("unix:"+h.socket(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.WaitForReady(true)),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: again, MinConnectTimeout: time.Second}))
	if err != nil {
		h.t.Fatal(err)
	}
	h.conn = conn
}

func (h *host) nics() hostnicv1.HostNicServiceClient {
	return hostnicv1.NewHostNicServiceClient(h.conn)
}
func (h *host) config() hostnicv1.NetConfigServiceClient {
	return hostnicv1.NewNetConfigServiceClient(h.conn)
}

// nic is a NIC as the API has it; nil where there is none.
func (h *host) nic(name string) *hostnicv1.HostNic {
	h.t.Helper()
	answer, err := h.nics().GetHostNic(context.Background(), &hostnicv1.GetHostNicRequest{Nic: name})
	if err != nil {
		h.t.Fatal(err)
	}
	return answer.GetHostNic()
}

// try runs agentctl, and returns what it prints to either side.
func (h *host) try(args ...string) (out string, code int) {
	h.t.Helper()
	cmd := exec.Command(os.Getenv("AGENTCTL"), append([]string{"--socket", h.socket()}, args...)...)
	var b bytes.Buffer
	cmd.Stdout, cmd.Stderr = &b, &b
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		h.t.Fatal(err)
	}
	return b.String(), cmd.ProcessState.ExitCode()
}

// run is try that has to succeed.
func (h *host) run(args ...string) string {
	h.t.Helper()
	out, code := h.try(args...)
	if code != 0 {
		h.t.Fatalf("agentctl %s: exit code %d\n%s", strings.Join(args, " "), code, out)
	}
	return out
}

// read is what agentctl prints as JSON.
func (h *host) read(into proto.Message, args ...string) {
	h.t.Helper()
	out, _ := h.try(append(args, "-o", "json")...)
	if err := protojson.Unmarshal([]byte(out), into); err != nil {
		h.t.Fatalf("agentctl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// stage puts a document into the candidate.
func (h *host) stage(doc string) {
	h.t.Helper()
	if _, err := h.config().Stage(h.t.Context(), &hostnicv1.StageRequest{Documents: []*hostnicv1.Document{{Content: []byte(doc)}}}); err != nil {
		h.t.Fatalf("stage: %v\n%s", err, doc)
	}
}

// writeFile writes to a file of the kernel.
func (h *host) writeFile(path, text string) {
	h.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

// writeAt makes a file of another program's.
func (h *host) writeAt(path, text string) {
	h.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		h.t.Fatal(err)
	}
	h.writeFile(path, text)
}

// commit makes a document the whole configuration, without rehearsal and probes, which
// take longer than all the rest.
func (h *host) commit(doc string) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	_, err := h.config().Stage(ctx, &hostnicv1.StageRequest{Replace: true, Documents: []*hostnicv1.Document{{Content: []byte(doc)}}})
	if err != nil {
		h.t.Fatalf("stage: %v\n%s", err, doc)
	}
	stream, err := h.config().Commit(ctx, &hostnicv1.CommitRequest{Options: &hostnicv1.ApplyOptions{NoRehearse: true, Probes: []string{"none"}}})
	for err == nil {
		var answer *hostnicv1.CommitResponse
		if answer, err = stream.Recv(); err == nil && answer.GetUpdate().GetOperation().GetDone() {
			if op := answer.GetUpdate().GetOperation(); op.GetState() != "done" {
				h.t.Fatalf("commit: %s: %s", op.GetState(), op.GetError())
			}
			return
		}
	}
	h.t.Fatalf("commit: %v", err)
}

func (h *host) eventually(what string, cond func() bool) {
	h.t.Helper()
	for end := time.Now().Add(patience); !cond(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			h.t.Fatalf("waited %v in vain: %s", patience, what)
		}
	}
}
