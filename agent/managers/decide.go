package managers

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Link is a link as the managers know it.
type Link struct {
	Index int
	Name  string
}

// A Claim is that another program has a link.
type Claim struct {
	Link Link
	// Manager is the program: NetworkManager, systemd-networkd, ifupdown.
	Manager string
	// Reason is one clause, with the file that says so.
	Reason string
	// HandOver are commands that make the program leave the link alone.
	HandOver []string
	// Drop is the file by which it is told so; nil where it knows none.
	Drop *Drop
}

// Drop is a file of its own for one link, by which a program is told to leave that link
// alone.
type Drop struct {
	// Path of the file, below the root; Content is all of it.
	Path, Content string
	// Reload makes the program read it.
	Reload []string
}

// The programs.
const (
	NetworkManager = "NetworkManager"
	Networkd       = "systemd-networkd"
	Ifupdown       = "ifupdown"
)

// mark begins what this agent writes into the folders of others, and tells it from what
// is theirs.
const mark = "# Written by hostnicd, which manages this link, and removed by it.\n"

// Files are those of the managers, by path below the root, each with its text. Links are
// symbolic ones, and folders are not among them.
type Files map[string]string

// active is true of a unit of systemd that runs: it keeps a link for each.
func (f Files) active(unit string) bool {
	_, ok := f["run/systemd/units/invocation:"+unit]
	return ok
}

// Claims are those of other programs on these links.
func (f Files) Claims(links []Link) []Claim {
	var out []Claim
	for _, l := range links {
		for _, find := range []func(Link) *Claim{f.networkManager, f.networkd, f.ifupdown} {
			if c := find(l); c != nil {
				c.Link = l
				f.cloudInit(c)
				out = append(out, *c)
			}
		}
	}
	return out
}

// value is that of a key in a file of lines KEY=VALUE; the last one counts.
func value(text, key string) string {
	out := ""
	for line := range strings.Lines(text) {
		if name, v, ok := strings.Cut(strings.TrimSpace(line), "="); ok && strings.TrimSpace(name) == key {
			out = strings.TrimSpace(v)
		}
	}
	return out
}

// networkManager keeps a file for each link, with what it does about it.
func (f Files) networkManager(l Link) *Claim {
	state := fmt.Sprintf("run/NetworkManager/devices/%d", l.Index)
	managed := value(f[state], "managed")
	if !f.active("NetworkManager.service") || managed != "1" && managed != "true" {
		return nil
	}
	drop := &Drop{
		Path: "etc/NetworkManager/conf.d/90-hostnic-" + l.Name + ".conf",
		// managed=0 in a section of the device would be nicer, but counts for links that come
		// after it is read (1.42). It takes the addresses off, and sets the link down.
		Content: mark + "[keyfile]\nunmanaged-devices+=interface-name:=" + l.Name + "\n",
		Reload:  []string{"systemctl", "reload", "NetworkManager"},
	}
	return &Claim{Manager: NetworkManager, Reason: "/" + state + " says managed=" + managed, HandOver: drop.commands(), Drop: drop}
}

// networkd does the same.
func (f Files) networkd(l Link) *Claim {
	state := fmt.Sprintf("run/systemd/netif/links/%d", l.Index)
	admin := value(f[state], "ADMIN_STATE")
	// Others are pending, initialized, configuring, failed and linger.
	if !f.active("systemd-networkd.service") || !slices.Contains([]string{"configuring", "configured", "failed"}, admin) {
		return nil
	}
	reason := "/" + state + " says ADMIN_STATE=" + admin
	if from := value(f[state], "NETWORK_FILE"); from != "" {
		reason += ", by " + from
	}
	drop := &Drop{
		Path:    "etc/systemd/network/00-hostnic-" + l.Name + ".network",
		Content: mark + "[Match]\nName=" + l.Name + "\n[Link]\nUnmanaged=yes\n",
		// It takes its addresses off before it leaves the link alone (link_reconfigure_impl in
		// networkd-link.c, 252), whatever KeepConfiguration= says here.
		Reload: []string{"networkctl", "reload"},
	}
	return &Claim{Manager: Networkd, Reason: reason, HandOver: drop.commands(), Drop: drop}
}

// commands are what an operator would type to do the same.
func (d *Drop) commands() []string {
	text := strings.TrimSuffix(strings.TrimPrefix(d.Content, mark), "\n")
	return []string{
		fmt.Sprintf("printf '%s\\n' > /%s", strings.ReplaceAll(text, "\n", `\n`), d.Path),
		strings.Join(d.Reload, " "),
	}
}

// interfaces is the file in which ifupdown is told what to do (interfaces(5)).
const interfaces = "etc/network/interfaces"

// ifupdown has a link that there is a stanza for. It is no daemon, and there is no file
// that could tell it to leave a link alone: its stanza has to go.
func (f Files) ifupdown(l Link) *Claim {
	if _, classic := f["usr/sbin/ifup"]; !classic {
		return nil
	}
	for _, name := range f.sourced(interfaces, 8) {
		first, last, auto := stanza(f[name], l.Name)
		if first == 0 {
			continue
		}
		c := &Claim{Manager: Ifupdown, Reason: fmt.Sprintf("/%s has a stanza for it in line %d", name, first)}
		// Backwards, so that the numbers stay right.
		c.HandOver = append(c.HandOver, fmt.Sprintf("sed -i '%d,%ds/^/# /' /%s", first, last, name))
		for _, line := range auto {
			c.HandOver = append(c.HandOver, fmt.Sprintf("sed -i '%ds/[[:space:]]%s\\b//' /%s", line, l.Name, name))
		}
		return c
	}
	return nil
}

// sourced are a file and those that it includes, as far as they are there.
func (f Files) sourced(name string, depth int) []string {
	out := []string{name}
	for line := range strings.Lines(f[name]) {
		words := strings.Fields(line)
		if depth == 0 || len(words) != 2 || words[0] != "source" && words[0] != "source-directory" {
			continue
		}
		pattern := words[1]
		if !path.IsAbs(pattern) {
			pattern = path.Join("/", path.Dir(name), pattern)
		}
		pattern = strings.TrimPrefix(path.Clean(pattern), "/")
		if words[0] == "source-directory" {
			pattern += "/*"
		}
		for other := range f {
			if ok, err := path.Match(pattern, other); err == nil && ok && other != name {
				out = append(out, f.sourced(other, depth-1)...)
			}
		}
	}
	slices.Sort(out[1:])
	return slices.Compact(out)
}

// stanza finds the lines of a link, from 1: those of iface, which end where the next
// stanza begins, and those that set it up at boot or when it comes.
func stanza(text, link string) (first, last int, auto []int) {
	inside, number := false, 0
	for line := range strings.Lines(text) {
		number++
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		begins := slices.Contains([]string{"iface", "auto", "mapping", "source", "source-directory", "rename", "template"}, words[0]) ||
			strings.HasPrefix(words[0], "allow-") || strings.HasPrefix(words[0], "no-auto-")
		switch {
		case words[0] == "iface" && len(words) > 1 && words[1] == link:
			inside, last = true, number
			if first == 0 {
				first = number
			}
		case begins:
			inside = false
			if words[0] == "auto" || strings.HasPrefix(words[0], "allow-") {
				if slices.Contains(words[1:], link) {
					auto = append(auto, number)
				}
			}
		case inside:
			last = number
		}
	}
	return first, last, auto
}

// cloudInit adds, to a claim that cloud-init has written the reason for, what keeps it
// from writing that again at the next boot.
func (f Files) cloudInit(c *Claim) {
	if _, off := f["etc/cloud/cloud.cfg.d/99-hostnic.cfg"]; !off && strings.Contains(c.Reason, "cloud-init") {
		c.Reason += ", which cloud-init has written"
		c.HandOver = append(c.HandOver, "echo 'network: {config: disabled}' > /etc/cloud/cloud.cfg.d/99-hostnic.cfg")
	}
}

// Stale are the files of this agent for links that are not to be kept.
func (f Files) Stale(keep func(link string) bool) []Drop {
	var out []Drop
	for name, text := range f {
		for _, kind := range []struct {
			before, after string
			reload        []string
		}{
			{"etc/NetworkManager/conf.d/90-hostnic-", ".conf", []string{"systemctl", "reload", "NetworkManager"}},
			{"etc/systemd/network/00-hostnic-", ".network", []string{"networkctl", "reload"}},
		} {
			rest, ours := strings.CutPrefix(name, kind.before)
			link, whole := strings.CutSuffix(rest, kind.after)
			if ours && whole && strings.HasPrefix(text, mark) && !keep(link) {
				out = append(out, Drop{Path: name, Reload: kind.reload})
			}
		}
	}
	slices.SortFunc(out, func(a, b Drop) int { return strings.Compare(a.Path, b.Path) })
	return out
}
