package state_test

import (
	"encoding/json"
	"testing"

	"github.com/hostnic/hostnic/netcfg/state"
)

// How a file was found outlives the daemon, byte for byte: comments are in any encoding.
func TestResolverIsRecordedByteForByte(t *testing.T) {
	for _, content := range []string{"", "# caf\xe9\r\nnameserver 192.0.2.1", "# café \ufffd <&>\u2028\x00\n"} {
		was := state.Snapshot{Resolver: &state.Resolver{Path: "/etc/resolv.conf", Content: content, Absent: content == "", Keeper: "k"}}
		data, err := json.Marshal(was)
		if err != nil {
			t.Fatal(err)
		}
		var now state.Snapshot
		if err := json.Unmarshal(data, &now); err != nil || *now.Resolver != *was.Resolver {
			t.Errorf("%s: got %+v, %v, want %+v", data, now.Resolver, err, was.Resolver)
		}
	}
}
