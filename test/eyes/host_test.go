//go:build kernel

package eyes

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
	"github.com/hostnic/hostnic/test/hypervisor"
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

// host is a hypervisor, and a client of its daemon.
type host struct {
	*hypervisor.Host
	conn *grpc.ClientConn
}

func newHost(t *testing.T, nics ...string) *host {
	t.Helper()
	return &host{Host: hypervisor.New(t, nics...)}
}

// start starts the daemon with these settings, and waits until it is ready.
func (h *host) start(settings ...string) {
	h.T.Helper()
	if len(settings) > 0 {
		h.write("agent.yaml", strings.Join(settings, "\n")+"\n")
	}
	h.Launch(os.Getenv("HOSTNICD"))
	h.T.Cleanup(h.stop)
	h.conn = h.Dial()
	// A staging waits for the daemon to be ready, and an empty one changes nothing.
	h.eventually("the daemon is ready", func() bool {
		_, err := h.config().Stage(h.T.Context(), &hostnicv1.StageRequest{ValidateOnly: true})
		return err == nil
	})
}

func (h *host) path(name string) string { return filepath.Join(h.Dir, name) }

func (h *host) write(name, text string) {
	h.T.Helper()
	if err := os.MkdirAll(filepath.Dir(h.path(name)), 0o700); err != nil {
		h.T.Fatal(err)
	}
	if err := os.WriteFile(h.path(name), []byte(text), 0o600); err != nil {
		h.T.Fatal(err)
	}
}

func (h *host) stop() {
	if h.Daemon == nil {
		return
	}
	h.Stop()
	_ = h.conn.Close()
}

// pid is that of the client of the API.
func (h *host) pid() int { return os.Getpid() }

func (h *host) log() string {
	text, _ := os.ReadFile(h.path("log"))
	return string(text)
}

func (h *host) nics() hostnicv1.HostNicServiceClient {
	return hostnicv1.NewHostNicServiceClient(h.conn)
}
func (h *host) config() hostnicv1.NetConfigServiceClient {
	return hostnicv1.NewNetConfigServiceClient(h.conn)
}

// nic is a NIC as the API has it; nil where there is none.
func (h *host) nic(name string) *hostnicv1.HostNic {
	h.T.Helper()
	answer, err := h.nics().GetHostNic(context.Background(), &hostnicv1.GetHostNicRequest{Nic: name})
	if err != nil {
		h.T.Fatal(err)
	}
	return answer.GetHostNic()
}

// read is what agentctl prints as JSON.
func (h *host) read(into proto.Message, args ...string) {
	h.T.Helper()
	out, _ := h.Try(append(args, "-o", "json")...)
	if err := protojson.Unmarshal([]byte(out), into); err != nil {
		h.T.Fatalf("agentctl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// stage puts a document into the candidate.
func (h *host) stage(doc string) {
	h.T.Helper()
	if _, err := h.config().Stage(h.T.Context(), &hostnicv1.StageRequest{Documents: []*hostnicv1.Document{{Content: []byte(doc)}}}); err != nil {
		h.T.Fatalf("stage: %v\n%s", err, doc)
	}
}

// writeFile writes to a file of the kernel.
func (h *host) writeFile(path, text string) {
	h.T.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		h.T.Fatal(err)
	}
}

// writeAt makes a file of another program's.
func (h *host) writeAt(path, text string) {
	h.T.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		h.T.Fatal(err)
	}
	h.writeFile(path, text)
}

// commit makes a document the whole configuration, without rehearsal and probes, which
// take longer than all the rest.
func (h *host) commit(doc string) {
	h.T.Helper()
	ctx, cancel := context.WithTimeout(h.T.Context(), patience)
	defer cancel()
	_, err := h.config().Stage(ctx, &hostnicv1.StageRequest{Replace: true, Documents: []*hostnicv1.Document{{Content: []byte(doc)}}})
	if err != nil {
		h.T.Fatalf("stage: %v\n%s", err, doc)
	}
	stream, err := h.config().Commit(ctx, &hostnicv1.CommitRequest{Options: &hostnicv1.ApplyOptions{NoRehearse: true, Probes: []string{"none"}}})
	for err == nil {
		var answer *hostnicv1.CommitResponse
		if answer, err = stream.Recv(); err == nil && answer.GetUpdate().GetOperation().GetDone() {
			if op := answer.GetUpdate().GetOperation(); op.GetState() != "done" {
				h.T.Fatalf("commit: %s: %s", op.GetState(), op.GetError())
			}
			return
		}
	}
	h.T.Fatalf("commit: %v", err)
}

func (h *host) eventually(what string, cond func() bool) {
	h.T.Helper()
	h.Eventually(what, patience, cond)
}
