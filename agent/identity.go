package agent

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"

	"github.com/hostnic/hostnic/agent/store"
	"github.com/hostnic/hostnic/netcfg"
)

// appID is the name space of host ids. The machine id itself is a secret of the
// host (machine-id(5)) and never leaves it: only what follows from both does.
const appID = "b6b1f2b4-5d0c-4f43-9b36-6a5f8f3f1f0e"

const (
	machineIDFile = "/etc/machine-id"
	bootIDFile    = "/proc/sys/kernel/random/boot_id"
)

// hostRecord is the name of the record of a host without a machine id, and what is
// in it.
const hostRecord = "host"

type hostID struct{ HostID string }

// identify finds the id of the host: the one that is set, else one that follows
// from the machine id, else a random one that is kept.
func identify(set, machineIDFile string, st *store.Store, log *slog.Logger) (string, error) {
	if set != "" {
		return strings.ToLower(set), nil
	}
	if machine, ok := machineID(machineIDFile); ok {
		return netcfg.NicID(appID, "machine:"+machine), nil
	}
	var kept hostID
	err := st.Get(hostRecord, &kept)
	var damaged *store.DamagedError
	switch {
	case err == nil, errors.As(err, &damaged) && damaged.Recovered:
		return kept.HostID, nil
	case errors.As(err, &damaged):
		log.Error("the id of this host is lost, and with it the ids of its NICs; a new one is made", "error", err)
	case !errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("read the id of this host: %w", err)
	}
	kept.HostID = netcfg.NicID(appID, "random:"+rand.Text())
	if err := st.Put(hostRecord, kept); err != nil {
		log.Error("the id of this host cannot be kept and will be another after a restart; set host_id", "error", err)
	}
	return kept.HostID, nil
}

// machineID reads machine-id(5); ok is false where there is none yet.
func machineID(path string) (id string, ok bool) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", false
	}
	id = strings.TrimSpace(string(data))
	b, err := hex.DecodeString(id)
	return id, err == nil && len(b) == 16
}

// bootID tells one boot of the machine from another.
func bootID() (string, error) {
	data, err := os.ReadFile(bootIDFile)
	if err != nil {
		return "", fmt.Errorf("which boot of the machine this is: %w", err)
	}
	return strings.TrimSpace(string(data)), nil
}
