package manual

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// lastWish is the number of the last field of HostNic that can be configured.
const lastWish = 19

// Document writes the page about documents from the comments of the API's source.
func Document(dir, source string) error {
	messages, err := protoMessages(source)
	if err != nil {
		return err
	}
	nic, ok := messages["HostNic"]
	if !ok {
		return fmt.Errorf("%s: there is no message HostNic", source)
	}
	p := newPage("host_nic", 5, "documents that configure network interfaces")
	p.section("Description")
	p.text(aboutDocuments)
	p.section("What can be configured")
	p.fields(messages, "", nic, func(number int) bool { return number <= lastWish })
	p.section("What is reported")
	p.fields(messages, "", nic, func(number int) bool { return number > lastWish })
	p.section("Examples")
	p.text(documentExample)
	p.section("See also")
	p.text("agentctl(1), agentctl-stage(1), agentctl-set(1), hostnicd(8)")
	return p.write(dir, "host_nic", 5)
}

const aboutDocuments = `A document says what the network of a host is to be, whole or in part. It is YAML or
JSON with the keys host_nics (a list of interfaces, with the fields below), removed (a
list of names to take out), networks, routes and dns; or it is oVirt's XML, one or many
of host_nic, nic and host_nics. agentctl stage reads it, agentctl config prints it.

A document is merged into what is staged, by name and field by field: what it does not
mention stays, null unsets, a list is replaced whole. With agentctl stage --replace it is
the whole configuration. A key that does not exist, or stands there twice, is refused.`

const documentExample = `  host_nics:
  - name: bond0
    bonding:
      options: {mode: 802.3ad}
      slaves: [eth0, eth1]
  - base_interface: bond0
    vlan: {id: 100}
    ip: {address: 192.0.2.10, netmask: 255.255.255.0}
  removed: [bond0.200]`

// fields writes the fields of a message, those of messages in it behind a dot.
func (p *page) fields(messages map[string][]protoField, path string, list []protoField, want func(int) bool) {
	for _, f := range list {
		if !want(f.number) {
			continue
		}
		p.item(path+f.name, f.doc)
		if in, ok := messages[f.kind]; ok && !strings.Contains(path, ".") {
			p.fields(messages, path+f.name+".", in, func(int) bool { return true })
		}
	}
}

type protoField struct {
	name, kind, doc string
	number          int
}

var (
	protoMessage = regexp.MustCompile(`^message (\w+) \{`)
	protoLine    = regexp.MustCompile(`^  (?:optional |repeated )?([\w.]+|map<[^>]*>) (\w+) = (\d+)`)
)

// protoMessages are the messages of a .proto file, with what is said about their fields.
func protoMessages(source string) (map[string][]protoField, error) {
	data, err := os.ReadFile(source) //nolint:gosec // our own
	if err != nil {
		return nil, err
	}
	out := map[string][]protoField{}
	message, doc := "", ""
	for line := range strings.Lines(string(data)) {
		line = strings.TrimRight(line, "\n")
		comment, isComment := strings.CutPrefix(line, "  // ")
		m, f := protoMessage.FindStringSubmatch(line), protoLine.FindStringSubmatch(line)
		switch {
		case m != nil:
			message = m[1]
		case isComment:
			doc += comment + " "
			continue
		case f != nil:
			number, err := strconv.Atoi(f[3])
			if err != nil || doc == "" {
				return nil, fmt.Errorf("%s: nothing is said about %s.%s", source, message, f[2])
			}
			out[message] = append(out[message], protoField{f[2], f[1], doc, number})
		}
		doc = ""
	}
	return out, nil
}
