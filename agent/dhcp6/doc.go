// Package dhcp6 gets leases from DHCPv6 servers (RFC 8415) and keeps them.
package dhcp6
