package state

import "strings"

// Resolver is the file by which the programs of a host find DNS servers, resolv.conf(5).
type Resolver struct {
	Path string
	// Content is all of it; Absent says that there is no such file.
	Content string
	Absent  bool
	// Keeper says in a clause why it is not the agent's to write; empty if it is.
	Keeper string
}

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
