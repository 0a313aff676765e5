//go:build kernel && clients

package controlplane

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hostnic/hostnic/test/netns"
)

var load = flag.Duration("load", 5*time.Second, "how long each load takes")

// foreign runs somebody else's client in a namespace.
func (h *host) foreign(in *netns.NS, program string, args ...string) answer {
	h.T.Helper()
	a := h.run(in, program, args...)
	h.T.Logf("$ %s %s\n%s", filepath.Base(program), strings.Join(args, " "), first1000(a.out))
	return a
}

func first1000(text string) string {
	if len(text) > 1000 {
		return text[:1000] + " …"
	}
	return text
}

// grpcurl knows nothing of the API but what the agent tells it by reflection: over the
// socket, and over TLS for who has a certificate and as far as its role goes.
func TestGrpcurl(t *testing.T) {
	h := managed(t, "")
	grpcurl, ca := os.Getenv("GRPCURL"), []string{"-cacert", h.Dir + "/ca.pem"}
	// Exit codes are 64 and the number of the gRPC status.
	const done, notPermitted, deadline = 0, 64 + 7, 64 + 4
	for name, way := range map[string]struct {
		in    *netns.NS
		flags []string
		to    string
	}{
		"socket": {h.NS, []string{"-plaintext", "-unix"}, h.Socket()},
		"TLS":    {h.Far, append([]string{"-cert", h.Dir + "/viewer.pem", "-key", h.Dir + "/viewer-key.pem"}, ca...), first},
	} {
		t.Run(name, func(t *testing.T) {
			h.T = t
			ask := func(flags, what []string) answer {
				return h.foreign(way.in, grpcurl, append(append(append(way.flags[:len(way.flags):len(way.flags)], flags...), way.to), what...)...)
			}
			h.must(ask(nil, []string{"list"}), done, "hostnic.v1.HostNicService\n", "hostnic.v1.NetConfigService\n", "hostnic.v1.CapabilitiesService\n", "grpc.health.v1.Health\n")
			h.must(ask(nil, []string{"describe", "hostnic.v1.HostNic"}), done, "optional int64 speed = 23;")
			h.must(ask([]string{"-d", `{"nic": "eth0"}`}, []string{"hostnic.v1.HostNicService/GetHostNic"}), done, `"name": "eth0"`, `"192.0.2.1/24"`)
			h.must(ask([]string{"-max-time", "5"}, []string{"hostnic.v1.HostNicService/WatchHostNics"}), deadline, `"event": "WATCH_EVENT_PRESENT"`, `"event": "WATCH_EVENT_SYNCED"`)
		})
	}
	h.T = t
	h.must(h.foreign(h.Far, grpcurl, "-cacert", h.Dir+"/ca.pem", "-cert", h.Dir+"/viewer.pem", "-key", h.Dir+"/viewer-key.pem", first, "hostnic.v1.NetConfigService/Discard"), notPermitted, "is reader and may not do this")
	// Without a certificate there is nothing to be seen.
	for _, flags := range [][]string{ca, {"-insecure"}, {"-plaintext"}} {
		if a := h.foreign(h.Far, grpcurl, append(append([]string{"-max-time", "10", "-connect-timeout", "5"}, flags...), first, "list")...); a.code == done || strings.Contains(a.out, "hostnic.v1") {
			t.Errorf("a stranger with %v is told: %s", flags, a.out)
		}
	}
}

// ghz asks as fast as it can, knowing the first API there was, over the socket and over
// TLS; each commit meanwhile is done, and no call is answered by anything but what was
// asked for, or that it is too much.
func TestGhz(t *testing.T) {
	h := managed(t, "")
	common := []string{"--protoset", "../../proto/testdata/first.binpb", "--call", "hostnic.v1.HostNicService.ListHostNics", "-d", "{}",
		"-c", "8", "--connections", "4", "-z", load.String(), "--duration-stop", "wait", "-O", "json"}
	mtu := 1300
	for name, way := range map[string]struct {
		in    *netns.NS
		flags []string
	}{
		"socket": {h.NS, []string{"--insecure", "unix://" + h.Socket()}},
		"TLS":    {h.Far, []string{"--cacert", h.Dir + "/ca.pem", "--cert", h.Dir + "/viewer.pem", "--key", h.Dir + "/viewer-key.pem", first}},
	} {
		t.Run(name, func(t *testing.T) {
			h.T = t
			var out, said bytes.Buffer
			cmd := exec.Command(os.Getenv("GHZ"), append(common[:len(common):len(common)], way.flags...)...)
			cmd.Stdout, cmd.Stderr = &out, &said
			var err error
			way.in.Do(func() { err = cmd.Start() })
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			commits, slowest := h.commitUntil(ended, &mtu)
			var report struct {
				Count                  int
				Rps                    float64
				Average                time.Duration
				StatusCodeDistribution map[string]int
				ErrorDistribution      map[string]int
			}
			if err := json.Unmarshal(out.Bytes(), &report); err != nil {
				t.Fatalf("%v\n%s\n%s", err, out.String(), said.String())
			}
			t.Logf("%d calls, %.0f a second, %v each: %v; %d commits meanwhile, the slowest took %v", report.Count, report.Rps, report.Average.Round(time.Microsecond),
				report.StatusCodeDistribution, commits, slowest.Round(time.Millisecond))
			codes := report.StatusCodeDistribution
			if codes["OK"] == 0 || codes["OK"]+codes["ResourceExhausted"] != report.Count {
				t.Errorf("answers: %v, %v", codes, report.ErrorDistribution)
			}
			if commits < 2 {
				t.Errorf("%d commits", commits)
			}
		})
	}
}

// commitUntil commits one change after the other, each to another MTU, until the load has
// ended.
func (h *host) commitUntil(ended <-chan error, mtu *int) (commits int, slowest time.Duration) {
	h.T.Helper()
	for {
		select {
		case err := <-ended:
			if err != nil {
				h.T.Fatalf("the load: %v", err)
			}
			return commits, slowest
		default:
		}
		*mtu = 1300 + (*mtu+1)%200
		h.must(h.local("set", "eth0", fmt.Sprint("mtu=", *mtu)), 0)
		began := time.Now()
		h.must(h.local("commit"), 0, "committed as revision")
		slowest = max(slowest, time.Since(began))
		commits++
	}
}
