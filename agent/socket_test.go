package agent

import (
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/hostnic/hostnic/agent/server"
)

var quiet = slog.New(slog.DiscardHandler)

func mode(t *testing.T, path string) fs.FileMode {
	t.Helper()
	st, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return st.Mode().Perm()
}

func mustListen(t *testing.T, path string, group *uint32) *socket {
	t.Helper()
	s, err := listen(path, group, quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestListen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run", "s")
	s := mustListen(t, path, nil)
	if got := mode(t, path); got != 0o600 {
		t.Errorf("socket %04o, want 0600 without a group", got)
	}
	if got := mode(t, filepath.Dir(path)); got != 0o750 {
		t.Errorf("folder %04o, want 0750", got)
	}
	if left, _ := filepath.Glob(path + "?*"); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	if _, err := listen(path, nil, quiet); err == nil || !strings.Contains(err.Error(), "another hostnicd serves it") {
		t.Errorf("where somebody listens: %v", err)
	}
	s.remove()
	if _, err := os.Lstat(path); err == nil {
		t.Error("the socket is still there")
	}
}

// Who may only look has a socket of his own, of a group of its own, in a folder that
// both groups may go through.
func TestReaderSocket(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to give sockets to groups")
	}
	operators, readers := uint32(54321), uint32(54322)
	path := filepath.Join(t.TempDir(), "run", "agent.sock")
	all, err := listenAll(path, server.Access{Operators: &operators, Readers: &readers}, quiet)
	if err != nil || len(all) != 2 || len(all.listeners()) != 2 {
		t.Fatalf("%v, %v", all, err)
	}
	for name, want := range map[string]uint32{"agent.sock": operators, "agent-reader.sock": readers} {
		st, err := os.Lstat(filepath.Join(filepath.Dir(path), name))
		if err != nil {
			t.Fatal(err)
		}
		if own, ok := st.Sys().(*syscall.Stat_t); !ok || own.Gid != want || st.Mode().Perm() != 0o660 {
			t.Errorf("%s: %v of the group %v", name, st.Mode(), st.Sys())
		}
	}
	if got := mode(t, filepath.Dir(path)); got != 0o751 {
		t.Errorf("folder %04o, want 0751", got)
	}
	all.end()
	if left, _ := filepath.Glob(filepath.Dir(path) + "/*"); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	alone, err := listenAll(path, server.Access{Operators: &operators}, quiet)
	if err != nil || len(alone) != 1 {
		t.Errorf("without such a group: %v, %v", alone, err)
	}
	alone.end()
}

// A socket that the service manager has made is taken as it is, and stays when the
// daemon ends. The manager passes it as the first file behind stderr.
func TestHanded(t *testing.T) {
	if path := os.Getenv("HANDED"); path != "" {
		t.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid()))
		all, err := listenAll(path, server.Access{}, quiet)
		if err != nil || len(all) != 1 {
			t.Fatalf("%v, %v", all, err)
		}
		s := all[0]
		defer s.Close()
		if os.Getenv("LISTEN_FDS") != "" {
			t.Error("children would think that the socket is theirs")
		}
		conn, err := s.Accept()
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
		s.remove()
		return
	}
	if s, err := handed("/none"); len(s) != 0 || err != nil {
		t.Errorf("%v, %v without a service manager", s, err)
	}
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	file, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	daemon := func(path string) *exec.Cmd {
		cmd := exec.Command(os.Args[0], "-test.run", "^TestHanded$") //nolint:gosec // ourselves
		cmd.Env = append(os.Environ(), "HANDED="+path, "LISTEN_FDS=1")
		cmd.ExtraFiles = []*os.File{file}
		return cmd
	}
	conn, err := net.Dial("unix", path) // before there is a daemon
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if out, err := daemon(path).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Error("the daemon has removed what is not its own")
	}
	if out, err := daemon("/elsewhere").CombinedOutput(); err == nil || !strings.Contains(string(out), "ListenStream=") {
		t.Errorf("with a socket elsewhere: %v\n%s", err, out)
	}
}

func TestListenForAGroup(t *testing.T) {
	gid := uint32(os.Getgid())
	path := filepath.Join(t.TempDir(), "s")
	mustListen(t, path, &gid)
	st, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if sys := st.Sys().(*syscall.Stat_t); st.Mode().Perm() != 0o660 || sys.Gid != gid {
		t.Errorf("mode %04o, group %d", st.Mode().Perm(), sys.Gid)
	}
}

// The socket of a dead daemon is replaced, and its own is not taken away by it.
func TestListenAfterADeath(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	dead := mustListen(t, path, nil)
	_ = dead.Close()
	mustListen(t, path, nil)
	dead.remove()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatalf("the new one is gone: %v", err)
	}
	_ = conn.Close()
}

func TestListenWhereSomethingElseIs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := listen(path, nil, quiet); err == nil || !strings.Contains(err.Error(), "something else") {
		t.Errorf("%v", err)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "mine" {
		t.Errorf("the file was touched: %q, %v", data, err)
	}
}

func TestSocketGroup(t *testing.T) {
	if g := socketGroup("4711", quiet); g == nil || *g != 4711 {
		t.Errorf("by number: %v", g)
	}
	if g := socketGroup("root", quiet); g == nil || *g != 0 {
		t.Errorf("by name: %v", g)
	}
	for _, none := range []string{"", "no-such-group", "-1", "4294967296"} {
		if g := socketGroup(none, quiet); g != nil {
			t.Errorf("%q is %d", none, *g)
		}
	}
}

// TestFault_D7 takes the file of the socket away, and puts something else in its place: it
// is there again, with the same mode, and who has called before is still served.
func TestFault_D7(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.sock")
	sock := mustListen(t, path, nil)
	accepted := make(chan net.Conn)
	go func() {
		defer close(accepted)
		for {
			conn, err := sock.Accept()
			if err != nil {
				return
			}
			accepted <- conn
		}
	}()
	call := func() (near, far net.Conn) {
		t.Helper()
		near, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		return near, <-accepted
	}
	before, served := call()
	for _, take := range []func() error{
		func() error { return os.Remove(path) },
		func() error {
			dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path + ".dead", Net: "unix"})
			if err != nil {
				return err
			}
			dead.SetUnlinkOnClose(false)
			return errors.Join(dead.Close(), os.Rename(path+".dead", path))
		},
	} {
		if err := take(); err != nil {
			t.Fatal(err)
		}
		if again, err := sock.renew(quiet); !again || err != nil {
			t.Fatal(again, err)
		}
		if again, err := sock.renew(quiet); again || err != nil {
			t.Error("twice", again, err)
		}
		if info, err := os.Lstat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Error(info, err)
		}
		near, far := call()
		_, _ = near.Close(), far.Close()
	}
	if _, err := before.Write([]byte("x")); err != nil {
		t.Error(err)
	}
	if n, err := served.Read(make([]byte, 1)); n != 1 || err != nil {
		t.Error(n, err)
	}
	_, _ = before.Close(), served.Close()
	if err := sock.Close(); err != nil {
		t.Error(err)
	}
	<-accepted
	sock.remove()
	if again, err := sock.renew(quiet); again || err != nil {
		t.Error("after its end", again, err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
