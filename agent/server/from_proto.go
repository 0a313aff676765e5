package server

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strings"
	"unicode/utf8"

	"google.golang.org/grpc/peer"

	"github.com/hostnic/hostnic/agent/engine"
	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/codec"
	"github.com/hostnic/hostnic/netcfg/plan"
	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// formats are how the formats of the API are read and written.
var formats = map[hostnicv1.DocumentFormat]struct {
	format  codec.Format
	version int
}{
	hostnicv1.DocumentFormat_DOCUMENT_FORMAT_UNSPECIFIED: {codec.Auto, 0},
	hostnicv1.DocumentFormat_DOCUMENT_FORMAT_YAML:        {codec.YAML, 0},
	hostnicv1.DocumentFormat_DOCUMENT_FORMAT_JSON:        {codec.JSON, 0},
	hostnicv1.DocumentFormat_DOCUMENT_FORMAT_XML:         {codec.XML, 4},
	hostnicv1.DocumentFormat_DOCUMENT_FORMAT_XML_V3:      {codec.XML, 3},
}

func misused(rule, format string, args ...any) error {
	return &engine.Error{Kind: engine.Misused, Rule: rule, Message: fmt.Sprintf(format, args...)}
}

func unknownFormat(f hostnicv1.DocumentFormat) error {
	return misused("format-unknown", "there is no document format %d", f)
}

// documentFromProto decodes one document. name is the NIC that it is for, empty
// when it says so itself.
func documentFromProto(d *hostnicv1.Document, name string) (netcfg.Document, error) {
	how, ok := formats[d.GetFormat()]
	if !ok {
		return netcfg.Document{}, unknownFormat(d.GetFormat())
	}
	doc, err := codec.Decode(d.GetContent(), how.format)
	if err != nil || d.GetNic() == "" {
		return doc, err
	}
	return doc, aim(&doc, d.GetNic(), name)
}

var uuid = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)

// aim makes a document about the NIC that the request names: ref as given, name as
// the host has it, which is empty when the host has no such NIC. What clients of
// oVirt send back is the whole NIC as they have read it, so that the document may
// name that NIC as well.
func aim(doc *netcfg.Document, ref, name string) error {
	if len(doc.Nics) != 1 {
		return misused("nic-target", "the request is for the NIC %s, but its document holds %d NICs: give one, or leave nic out", printable(ref), len(doc.Nics))
	}
	n := &doc.Nics[0]
	for _, own := range []string{n.Name, n.ID} {
		if own == ref || own != "" && own == name {
			return nil
		}
	}
	if n.Name != "" || n.ID != "" {
		return misused("nic-target", "the request is for the NIC %s, but its document is about %s: take one of the two out", printable(ref), printable(n.Name+n.ID))
	}
	switch {
	case name != "":
		n.Name = name
	case uuid.MatchString(ref):
		n.ID = ref
	default:
		n.Name = ref
	}
	if n.Name != "" {
		doc.Lines = linesUnder(n.Name, doc.Lines)
	}
	return nil
}

// linesUnder gives the lines of a NIC without a name, which stand under its index,
// under the name as well.
func linesUnder(name string, lines func() map[string]int) func() map[string]int {
	return func() map[string]int {
		out := map[string]int{}
		for path, line := range lines() {
			out[path] = line
			if rest, ok := strings.CutPrefix(path, "host_nics[0]"); ok {
				out[netcfg.NicPath(name, "")+rest] = line
			}
		}
		return out
	}
}

// selectorFromProto reads which configuration is meant; absent is the candidate.
func selectorFromProto(c *hostnicv1.ConfigSelector) (engine.Selector, error) {
	if c != nil && c.Revision != nil {
		return engine.Selector{Revision: c.Revision}, nil
	}
	switch c.GetSource() {
	case hostnicv1.ConfigSource_CONFIG_SOURCE_UNSPECIFIED, hostnicv1.ConfigSource_CONFIG_SOURCE_STAGED:
		return engine.Selector{Source: engine.StagedConfig}, nil
	case hostnicv1.ConfigSource_CONFIG_SOURCE_RUNNING:
		return engine.Selector{Source: engine.RunningConfig}, nil
	case hostnicv1.ConfigSource_CONFIG_SOURCE_COMMITTED:
		return engine.Selector{Source: engine.CommittedConfig}, nil
	}
	return engine.Selector{}, misused("source-unknown", "there is no configuration source %d", c.GetSource())
}

const (
	mostOperationID = 128
	mostComment     = 1000
	mostPaths       = 16
)

// paths are the connections that a request names, and the one that it has come by.
func paths(ctx context.Context, asked []*hostnicv1.Path) ([]plan.Path, error) {
	if len(asked) > mostPaths {
		return nil, misused("paths-many", "at most %d paths are watched over, not %d", mostPaths, len(asked))
	}
	var out []plan.Path
	for i, p := range asked {
		client, err := netip.ParseAddr(p.GetClient())
		if err != nil {
			return nil, misused("path-address", "paths[%d].client is not an IP address: %s", i, printable(p.GetClient()))
		}
		var host netip.Addr
		if p.GetHost() != "" {
			if host, err = netip.ParseAddr(p.GetHost()); err != nil {
				return nil, misused("path-address", "paths[%d].host is not an IP address: %s", i, printable(p.GetHost()))
			}
		}
		out = append(out, plan.Path{Client: client, Host: host})
	}
	if p, ok := peer.FromContext(ctx); ok {
		if client, ok := p.Addr.(*net.TCPAddr); ok {
			host, _ := p.LocalAddr.(*net.TCPAddr)
			out = append(out, plan.Path{Client: client.AddrPort().Addr(), Host: host.AddrPort().Addr()})
		}
	}
	return out, nil
}

// checkOperation refuses what an operation could not keep.
func checkOperation(id, comment string) error {
	switch {
	case len(id) > mostOperationID || netcfg.Printable(id) != id:
		return misused("operation-id", "an operation id is at most %d bytes of printable text", mostOperationID)
	case utf8.RuneCountInString(comment) > mostComment:
		return misused("comment-long", "a comment is at most %d characters, and this one has %d: say it shorter", mostComment, utf8.RuneCountInString(comment))
	}
	return nil
}
