//go:build kernel

package scenario

import (
	"os"
	"testing"

	"github.com/hostnic/hostnic/netcfg"
)

// bondOf is a document with one bond.
func bondOf(name, options, slaves string) string {
	return `{"host_nics": [{"name": "` + name + `", "bonding": {"options": {` + options + `}, "slaves": [` + slaves + `]}}]}`
}

func TestScenario_B01(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.apply(`host_nics: [{name: bond0, bonding: {slaves: [eth0, eth1]}}]`)
	same(t, "slaves", h.slaves("bond0"), "[eth0 eth1]")
	for _, n := range []string{"bond0", "eth0", "eth1"} {
		l := h.link(n)
		same(t, n+" up, carrier", []bool{l.AdminUp, l.Carrier}, "[true true]")
	}
	same(t, "miimon", h.option("bond0", "miimon"), 100)
	h.settled()
}

func TestScenario_B02(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.apply(bondOf("bond0", `"mode": 3, "miimon": 150`, `"eth0", "eth1"`))
	for name, value := range h.link("bond0").Bond.Options {
		want := map[string]string{"mode": "broadcast", "miimon": "150"}[name]
		if spec, _ := netcfg.BondOptionSpec(name); want == "" && spec.ValidIn("broadcast") {
			want = spec.Default
		}
		if spec, _ := netcfg.BondOptionSpec(name); spec.ValidIn("broadcast") {
			same(t, name, value, want)
		}
	}
	same(t, "options claimed", h.running("bond0").Bonding.Options, "[{mode 3 } {miimon 150 }]")
}

func TestScenario_B03(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	before := h.look()
	h.apply(bondOf("bond0", `"mode": 1`, `"eth0", "eth1"`))
	h.apply(`{"removed": ["bond0"]}`)
	h.absent("bond0")
	h.free(before, "eth0", "eth1")
	h.apply(`{"host_nics": [{"name": "eth0", "ip": {"address": "192.0.2.1", "netmask": "24"}}]}`)
	same(t, "addresses", h.addresses("eth0"), "[192.0.2.1/24]")
	h.settled()
}

func TestScenario_B04(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	before := h.look()
	h.apply(bondOf("bond0", ``, `"eth0"`))
	h.apply(bondOf("bond0", ``, `"eth1", "eth2"`))
	same(t, "slaves", h.slaves("bond0"), "[eth1 eth2]")
	h.free(before, "eth0")
	// No slave of before is left whose MAC the bond could keep.
	same(t, "MAC", h.mac("bond0"), before.ByName("eth1").MAC)
	h.settled()
}

func TestScenario_B05(t *testing.T) {
	for _, mode := range netcfg.BondModes {
		t.Run(mode, func(t *testing.T) {
			h := newHost(t, "eth0", "eth1", "eth2")
			h.apply(bondOf("bond0", `"mode": "`+mode+`"`, `"eth0", "eth1"`))
			if mode == netcfg.Mode8023AD {
				h.partner("eth0", "eth1", "eth2")
				eventually(t, "two ports with a partner", func() bool { return h.ports("bond0") == 2 })
			}
			log := h.watchLinks()
			h.apply(bondOf("bond0", ``, `"eth0", "eth2"`))
			log.undisturbed("bond0", "eth0")
			same(t, "slaves", h.slaves("bond0"), "[eth0 eth2]")
			if mode == netcfg.Mode8023AD {
				eventually(t, "two ports with a partner", func() bool { return h.ports("bond0") == 2 })
			}
			// The slave that lent its MAC leaves: another MAC, but not down for it.
			log = h.watchLinks()
			h.apply(bondOf("bond0", ``, `"eth1", "eth2"`))
			log.undisturbed("bond0", "eth2")
			same(t, "MAC is still that of eth0", h.mac("bond0") == h.mac("eth0"), false)
			h.settled()
		})
	}
}

func TestScenario_B07(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2", "eth3")
	before := h.look()
	for _, slaves := range []string{`"eth0", "eth1"`, `"eth0", "eth1", "eth2", "eth3"`, `"eth0", "eth2", "eth3"`} {
		h.apply(bondOf("bond0", `"mode": "active-backup"`, slaves))
		h.settled()
	}
	same(t, "slaves", h.slaves("bond0"), "[eth0 eth2 eth3]")
	h.free(before, "eth1")
}

func TestScenario_B08(t *testing.T) {
	for _, mode := range netcfg.BondModes {
		t.Run(mode, func(t *testing.T) {
			h := newHost(t, "eth0", "eth1")
			before := h.look()
			h.apply(`{"host_nics": [{"name": "bond0", "mac": {"address": "02:00:00:00:00:42"}, "bonding": {"options": {"mode": "` + mode + `"}, "slaves": ["eth0", "eth1"]}}]}`)
			same(t, "MAC", h.mac("bond0"), "02:00:00:00:00:42")
			h.settled()
			h.apply(`{"host_nics": [{"name": "bond0", "mac": {"address": "02:00:00:00:00:43"}}]}`)
			same(t, "another MAC", h.mac("bond0"), "02:00:00:00:00:43")
			h.settled()
			h.apply(`{"removed": ["bond0"]}`)
			h.free(before, "eth0", "eth1")
		})
	}
}

// TestScenario_B08_FailOverMAC sets a MAC where the option that would forbid it does
// nothing, and where the MAC moves between the slaves.
func TestScenario_B08_FailOverMAC(t *testing.T) {
	for _, options := range []string{`"mode": 4, "fail_over_mac": "active"`, `"mode": 0, "fail_over_mac": 2`, `"mode": 1, "fail_over_mac": "follow"`} {
		t.Run(options, func(t *testing.T) {
			h := newHost(t, "eth0", "eth1")
			h.apply(`{"host_nics": [{"name": "bond0", "mac": {"address": "02:00:00:00:00:42"}, "bonding": {"options": {` + options + `}, "slaves": ["eth0", "eth1"]}}]}`)
			same(t, "MAC", h.mac("bond0"), "02:00:00:00:00:42")
			h.settled()
		})
	}
}

// The suites of others want one MAC whatever the order of the slaves. Ours is that
// of the first slave in the document, so that it can be told from the document and
// chosen there; that of a bond that is there stays when its slaves change places.
func TestScenario_B09(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	first, second := h.mac("eth0"), h.mac("eth1")
	for range 2 {
		h.apply(bondOf("bond0", ``, `"eth1", "eth0"`))
		same(t, "MAC of eth1, eth0", h.mac("bond0"), second)
		h.apply(bondOf("bond0", ``, `"eth0", "eth1"`))
		same(t, "MAC after the slaves changed places", h.mac("bond0"), second)
		h.apply(`{"removed": ["bond0"]}`)
		h.apply(bondOf("bond0", ``, `"eth0", "eth1"`))
		same(t, "MAC of eth0, eth1", h.mac("bond0"), first)
		h.apply(`{"removed": ["bond0"]}`)
	}
}

func TestScenario_B11(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.apply(bondOf("bond0", `"mode": 1, "primary": "eth1"`, `"eth0", "eth1"`))
	same(t, "primary", h.option("bond0", "primary"), "eth1")
	same(t, "sysfs", h.sysfs("bond0/bonding/primary")["bond0/bonding/primary"], "eth1")
	h.settled()
}

func TestScenario_B12(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.apply(bondOf("bond0", `"mode": 1`, `"eth0"`))
	h.apply(bondOf("bond0", `"primary": "eth1"`, `"eth0", "eth1"`))
	same(t, "primary", h.option("bond0", "primary"), "eth1")
	h.settled()
	h.idle(bondOf("bond0", `"primary": "eth1"`, `"eth0", "eth1"`))
}

// TestScenario_B12_Absent is a primary that is not on the host at all: it waits, and
// nobody writes its option again and again.
func TestScenario_B12_Absent(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.apply(bondOf("bond0", `"mode": 1, "primary": "eth1"`, `"eth0", "eth1"`))
	h.stop()
	h.hand().del("eth1")
	h.start()
	same(t, "waiting", h.waits(), "[eth1]")
	same(t, "drift", h.drifts(), "[]")
	if n := h.restart(); n != 0 {
		t.Errorf("a restart wrote %d requests", n)
	}
	h.plug("eth1")
	eventually(t, "the primary is back", func() bool { return h.option("bond0", "primary") == "eth1" })
	h.settled()
}

func TestScenario_B13(t *testing.T) {
	h := newHost(t, "eth0", "eth1", "eth2")
	h.refuse(bondOf("bond0", `"mode": 1, "primary": "eth2"`, `"eth0", "eth1"`), "bond-primary")
	h.absent("bond0")
	h.apply(bondOf("bond0", `"mode": 1, "primary": "eth1"`, `"eth0", "eth1"`))
	h.refuse(bondOf("bond0", ``, `"eth0", "eth2"`), "bond-primary")
	same(t, "slaves", h.slaves("bond0"), "[eth0 eth1]")
	h.settled()
}

func TestScenario_B14(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.apply(bondOf("bond0", `"mode": 1`, `"eth0", "eth1"`))
	s := h.look()
	same(t, "active slave", s.Name(s.ByName("bond0").Bond.ActiveSlave), "eth0")
	h.apply(bondOf("bond0", `"mode": 4`, `"eth0", "eth1"`))
	same(t, "active slave in mode 4", h.link("bond0").Bond.ActiveSlave, 0)
}

// TestScenario_B15 looks the way clients are served. What is active is no wish, so
// that it is not out of sync either.
func TestScenario_B15(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.apply(bondOf("bond0", `"mode": 1`, `"eth0", "eth1"`))
	h.inSysfs(func() error { return os.WriteFile("/sys/class/net/bond0/bonding/active_slave", []byte("eth1"), 0) })
	same(t, "active slave", h.link("bond0").Bond.ActiveSlave, h.link("eth1").Index)
	h.settled()
}

func TestScenario_B17(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.apply(bondOf("bond0", `"mode": 4, "lacp_rate": 1`, `"eth0", "eth1"`))
	h.apply(bondOf("bond0", `"mode": 0, "miimon": 140`, `"eth0", "eth1"`))
	same(t, "miimon", h.option("bond0", "miimon"), 140)
	same(t, "options claimed", h.running("bond0").Bonding.Options, "[{mode 0 } {miimon 140 }]")
	same(t, "slaves", h.slaves("bond0"), "[eth0 eth1]")
	h.settled()
}

func TestScenario_B18(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.apply(bondOf("bond0", `"lacp_rate": "fast", "mode": "802.3ad"`, `"eth0", "eth1"`))
	same(t, "lacp_rate", h.option("bond0", "lacp_rate"), "fast")
	same(t, "options claimed", h.running("bond0").Bonding.Options, "[{lacp_rate fast } {mode 802.3ad }]")
}

func TestScenario_B19(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.apply(bondOf("bond0", `"mode": 1, "arp_interval": 60000, "arp_ip_target": "192.0.2.1"`, `"eth0", "eth1"`))
	same(t, "targets", h.option("bond0", "arp_ip_target"), "192.0.2.1")
	h.apply(bondOf("bond0", `"arp_ip_target": ["192.0.2.8", "192.0.2.9"]`, `"eth0", "eth1"`))
	same(t, "other targets", h.option("bond0", "arp_ip_target"), "192.0.2.8,192.0.2.9")
	h.settled()
}

func TestScenario_B20(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	h.apply(bondOf("bond0", `"mode": 1, "arp_interval": 60000, "arp_ip_target": "192.0.2.1", "arp_validate": "all"`, `"eth0", "eth1"`))
	same(t, "miimon with ARP monitoring", h.option("bond0", "miimon"), 0)
	h.refuse(bondOf("bond0", `"arp_interval": null, "arp_ip_target": null`, `"eth0", "eth1"`), "bond-arp-validate")
	h.apply(bondOf("bond0", `"arp_interval": null, "arp_ip_target": null, "arp_validate": null`, `"eth0", "eth1"`))
	for name, want := range map[string]string{"arp_interval": "0", "arp_ip_target": "", "arp_validate": "none", "miimon": "100"} {
		same(t, name, h.option("bond0", name), want)
	}
	h.settled()
}

func TestScenario_B21(t *testing.T) {
	h := newHost(t, "eth0", "eth1")
	monitors := func() []string {
		return []string{h.option("bond0", "miimon"), h.option("bond0", "updelay"), h.option("bond0", "arp_interval"), h.option("bond0", "arp_validate")}
	}
	h.apply(bondOf("bond0", `"mode": 1, "miimon": 120, "updelay": 240`, `"eth0", "eth1"`))
	same(t, "miimon, updelay, arp_interval, arp_validate", monitors(), "[120 240 0 none]")
	for range 2 {
		h.apply(bondOf("bond0", `"arp_interval": 60000, "arp_ip_target": "192.0.2.1", "arp_validate": "active"`, `"eth0", "eth1"`))
		same(t, "miimon, updelay, arp_interval, arp_validate", monitors()[0]+monitors()[2]+monitors()[3], "060000active")
		h.settled()
		h.apply(bondOf("bond0", `"miimon": 120, "updelay": 240`, `"eth0", "eth1"`))
		same(t, "miimon, updelay, arp_interval, arp_validate", monitors(), "[120 240 0 none]")
		h.settled()
	}
}
