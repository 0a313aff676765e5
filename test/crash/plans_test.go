//go:build kernel

package crash

// Documents for the NICs eth0 to eth3, of which somebody else has put an address onto
// eth3. Between any two of them lies a plan worth dying in.
const (
	plain = `
host_nics:
- {name: eth0, ip: {address: 192.0.2.1, netmask: '24', gateway: 192.0.2.254}}
`
	bonded = `
host_nics:
- {name: eth0, mtu: 9000, ip: {address: 192.0.2.1, netmask: '24'}}
- {name: bond0, mtu: 9000, bonding: {options: {mode: 802.3ad}, slaves: [eth1, eth2]}}
- {name: bond0.10, vlan: {id: 10}, base_interface: bond0, ip: {address: 10.1.0.1, netmask: '24', gateway: 10.1.0.254}, ipv6: {address: "2001:db8:1::1", prefix: 64}}
- {name: bond0.20, vlan: {id: 20}, base_interface: bond0, ip: {address: 10.2.0.1, netmask: '24'}, additional_ips: [10.2.0.2/24]}
`
	// rebuilt has another mode, another VLAN id, a smaller MTU, one slave more from
	// somebody else and one less.
	rebuilt = `
host_nics:
- {name: eth0, mtu: 1400, ip: {address: 192.0.2.9, netmask: '24', gateway: 192.0.2.254}}
- {name: bond0, bonding: {options: {mode: active-backup, primary: eth3, miimon: 50}, slaves: [eth2, eth3]}}
- {name: bond0.10, vlan: {id: 11}, base_interface: bond0, ip: {address: 10.1.0.7, netmask: '24'}}
- {name: eth1, ipv6: {address: "2001:db8:9::1", prefix: 64, gateway: "2001:db8:9::ff"}}
`
	// From twoBonds to slaveMoved eth1 changes its bond.
	twoBonds = `
host_nics:
- {name: bond0, bonding: {options: {mode: active-backup}, slaves: [eth0, eth1]}, ip: {address: 10.3.0.1, netmask: '24'}}
- {name: bond1, bonding: {options: {mode: balance-xor}, slaves: [eth2]}}
- {name: bond1.30, vlan: {id: 30}, base_interface: bond1, ip: {address: 10.4.0.1, netmask: '24', gateway: 10.4.0.254}}
`
	slaveMoved = `
host_nics:
- {name: bond0, bonding: {options: {mode: active-backup}, slaves: [eth0]}, ip: {address: 10.3.0.1, netmask: '24'}}
- {name: bond1, bonding: {options: {mode: balance-xor}, slaves: [eth1, eth2]}}
- {name: bond1.30, vlan: {id: 30}, base_interface: bond1, ip: {address: 10.4.0.1, netmask: '24', gateway: 10.4.0.254}}
`
	// From xor to lacp the slaves have to be let go.
	xor = `
host_nics:
- {name: bond0, bonding: {options: {mode: balance-xor}, slaves: [eth1, eth2]}, ip: {address: 10.5.0.1, netmask: '24', gateway: 10.5.0.254}}
- {name: bond0.40, vlan: {id: 40}, base_interface: bond0, ipv6: {address: "2001:db8:40::1", prefix: 64, gateway: "2001:db8:40::ff"}}
`
	lacp = `
host_nics:
- {name: bond0, bonding: {options: {mode: 802.3ad, lacp_rate: fast}, slaves: [eth1, eth2]}, ip: {address: 10.5.0.1, netmask: '24', gateway: 10.5.0.254}}
- {name: bond0.40, vlan: {id: 40}, base_interface: bond0, ipv6: {address: "2001:db8:40::1", prefix: 64, gateway: "2001:db8:40::ff"}}
`
	// The MTU of one is raised and of the other lowered, either way.
	smallLarge = `
host_nics:
- {name: bond0, mtu: 1500, bonding: {options: {mode: active-backup}, slaves: [eth1, eth2]}}
- {name: bond0.50, mtu: 1400, vlan: {id: 50}, base_interface: bond0, ip: {address: 10.6.0.1, netmask: '24'}}
- {name: eth0, mtu: 9000, ipv6: {address: "2001:db8:50::1", prefix: 64}}
- {name: eth0.51, mtu: 9000, vlan: {id: 51}, base_interface: eth0, ip: {address: 10.7.0.1, netmask: '24'}}
`
	largeSmall = `
host_nics:
- {name: bond0, mtu: 9000, bonding: {options: {mode: active-backup}, slaves: [eth1, eth2]}}
- {name: bond0.50, mtu: 9000, vlan: {id: 50}, base_interface: bond0, ip: {address: 10.6.0.1, netmask: '24'}}
- {name: eth0, mtu: 1500, ipv6: {address: "2001:db8:50::1", prefix: 64}}
- {name: eth0.51, mtu: 1300, vlan: {id: 51}, base_interface: eth0, ip: {address: 10.7.0.1, netmask: '24'}}
`
	// Addresses within one subnet and of others, both gateways, and DNS servers.
	addressed = `
host_nics:
- {name: eth0, ip: {address: 192.0.2.1, netmask: '24', gateway: 192.0.2.254}, additional_ips: [192.0.2.2/24, 198.51.100.1/24], ipv6: {address: "2001:db8:60::1", prefix: 64, gateway: "2001:db8:60::ff"}}
dns: {servers: [192.0.2.53], search: [a.example]}
`
	readdressed = `
host_nics:
- {name: eth0, ip: {address: 192.0.2.2, netmask: '24'}, additional_ips: [203.0.113.1/24], ipv6: {address: "2001:db8:60::2", prefix: 64, gateway: "2001:db8:60::fe"}}
- {name: eth1, ip: {address: 198.51.100.1, netmask: '24', gateway: 198.51.100.254}}
dns: {servers: [198.51.100.53]}
`
	// Small ones, for what has to wait for a deadline.
	little = `
host_nics:
- {name: eth0, ip: {address: 192.0.2.1, netmask: '24'}}
`
	littleMore = `
host_nics:
- {name: eth0, ip: {address: 198.51.100.1, netmask: '24'}}
- {name: eth0.70, vlan: {id: 70}, base_interface: eth0, ip: {address: 10.8.0.1, netmask: '24'}}
`
)
