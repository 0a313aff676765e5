package main

import (
	"strings"
	"testing"
)

func TestEditOf(t *testing.T) {
	for _, c := range []struct{ nic, assignments, want string }{
		{"eth0", "mtu=9000", `{"host_nics":[{"mtu":"9000","name":"eth0"}]}`},
		{"eth0", "mtu=", `{"host_nics":[{"mtu":null,"name":"eth0"}]}`},
		{"bond0", "bonding.slaves=eth0, eth1", `{"host_nics":[{"bonding":{"slaves":["eth0","eth1"]},"name":"bond0"}]}`},
		{"bond0", "bonding.slaves=", `{"host_nics":[{"bonding":{"slaves":null},"name":"bond0"}]}`},
		{
			"bond0", "bonding.options.mode=4|bonding.options.arp_ip_target=192.0.2.1,192.0.2.2",
			`{"host_nics":[{"bonding":{"options":{"arp_ip_target":"192.0.2.1,192.0.2.2","mode":"4"}},"name":"bond0"}]}`,
		},
		{"eth0", "additional_ips=192.0.2.1/24", `{"host_nics":[{"additional_ips":["192.0.2.1/24"],"name":"eth0"}]}`},
		{"eth0", "ip=", `{"host_nics":[{"ip":null,"name":"eth0"}]}`},
		{"eth0", "network.name=a=b", `{"host_nics":[{"name":"eth0","network":{"name":"a=b"}}]}`},
		{
			"0D9D6C0E-6a4c-5b1c-9d0e-0f6a8b6c0003", "mtu=1",
			`{"host_nics":[{"id":"0D9D6C0E-6a4c-5b1c-9d0e-0f6a8b6c0003","mtu":"1"}]}`,
		},
	} {
		t.Run(c.assignments, func(t *testing.T) {
			got, err := editOf(c.nic, strings.Split(c.assignments, "|"))
			if err != nil || string(got) != c.want {
				t.Errorf("got  %s, %v\nwant %s", got, err, c.want)
			}
		})
	}
}

func TestEditOfRefuses(t *testing.T) {
	for _, assignments := range []string{
		"mtu", "=1", ".mtu=1", "mtu.=1", "ip..address=1", "m tu=1", "id=x", "name=x", "mtu=1|mtu=2",
		"ip=|ip.address=1", "ip.address=1|ip=", "ip=1|ip.address=1", "bonding.slaves=,", "bonding.slaves=a,,b", "\x1b=1",
	} {
		t.Run(assignments, func(t *testing.T) {
			got, err := editOf("eth0", strings.Split(assignments, "|"))
			if err == nil {
				t.Fatalf("got %s, want an error", got)
			}
			if strings.Contains(err.Error(), "\x1b") {
				t.Errorf("the error repeats a control character: %q", err)
			}
		})
	}
}
