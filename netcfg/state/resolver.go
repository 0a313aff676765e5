package state

import (
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// Resolver is the file by which the programs of a host find DNS servers, resolv.conf(5).
type Resolver struct {
	Path string
	// Content is all of it; Absent says that there is no such file.
	Content string
	Absent  bool
	// Keeper says in a clause why it is not the agent's to write; empty if it is.
	Keeper string
}

// MostResolver is how many bytes of such a file are read. The C library reads lines of any
// number, but nobody has more to say than this.
const MostResolver = 64 << 10

// ResolverHead is the first line of what the agent writes there.
const ResolverHead = "# Kept by hostnic, by the dns of its configuration (host_nic(5)): what is changed here is lost.\n"

// Kept is true of a file that the agent has written.
func (r *Resolver) Kept() bool { return strings.HasPrefix(r.Content, ResolverHead) }

// Same is true of files with the same content.
func (r *Resolver) Same(o *Resolver) bool { return r.Content == o.Content && r.Absent == o.Absent }

// String is what it tells of servers and domains, in a line.
func (r *Resolver) String() string {
	if r.Absent {
		return "absent"
	}
	var words []string
	for line := range strings.Lines(r.Content) {
		if f := strings.Fields(line); len(f) > 1 && (f[0] == "nameserver" || f[0] == "search" || f[0] == "domain") {
			words = append(words, strings.Join(f, " "))
		}
	}
	if len(words) == 0 {
		return "no servers"
	}
	return strings.Join(words, ", ")
}

// stored is a Resolver as records have it: JSON is text, and a file may be something else.
type stored struct {
	Path    string
	Content string
	// Bytes are the content that is no UTF-8.
	Bytes  []byte `json:",omitempty"`
	Absent bool
	Keeper string
}

// MarshalJSON keeps the content byte for byte.
func (r *Resolver) MarshalJSON() ([]byte, error) {
	s := stored{Path: r.Path, Content: r.Content, Absent: r.Absent, Keeper: r.Keeper}
	if !utf8.ValidString(r.Content) {
		s.Content, s.Bytes = "", []byte(r.Content)
	}
	return json.Marshal(s)
}

// UnmarshalJSON is the reverse of MarshalJSON.
func (r *Resolver) UnmarshalJSON(data []byte) error {
	var s stored
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	*r = Resolver{Path: s.Path, Content: s.Content, Absent: s.Absent, Keeper: s.Keeper}
	if len(s.Bytes) > 0 {
		r.Content = string(s.Bytes)
	}
	return nil
}
