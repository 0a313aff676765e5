package codec_test

import (
	"testing"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/codec"
)

// What oVirt's engine prints of a NIC without IPv6 is taken back.
func TestXMLWithoutGateway(t *testing.T) {
	doc, err := codec.Decode([]byte(`<host_nic><name>eth0</name>
		<ip><address>192.0.2.1</address><gateway>0.0.0.0</gateway><netmask>255.255.255.0</netmask><version>v4</version></ip>
		<boot_protocol>static</boot_protocol>
		<ipv6><gateway>::</gateway><version>v6</version></ipv6><ipv6_boot_protocol>none</ipv6_boot_protocol></host_nic>`), codec.XML)
	if err != nil {
		t.Fatal(err)
	}
	c, problems := netcfg.Merge(netcfg.Config{}, doc, func(ref string) string { return ref })
	more, _ := c.Validate(netcfg.Limits{})
	if problems = append(problems, more...); len(problems) > 0 {
		t.Fatal(problems)
	}
	if n := c.HostNics[0]; n.IP.Gateway != "" || n.IPv6 != nil {
		t.Errorf("got %+v, %+v", n.IP, n.IPv6)
	}
}
