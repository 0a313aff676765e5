package dhcp

import (
	"encoding/binary"
	"hash/fnv"
	"strings"

	"encoding/hex"
)

// ClientID is option 61 as RFC 4361 has it: type 255, the IAID of the NIC, and the
// DUID of the host. It stays the same when the hardware behind the name is swapped, and
// differs between the NICs of a host. base is the NIC or bond and vlan the id of the VLAN
// on it, 0 for the NIC itself. A host id that is no UUID gives nil: the server then goes
// by the MAC.
func ClientID(hostID, base string, vlan int) []byte {
	duid := DUID(hostID)
	if duid == nil {
		return nil
	}
	const typeDUID = 255
	return append(binary.BigEndian.AppendUint32([]byte{typeDUID}, IAID(base, vlan)), duid...)
}

// DUID is what the host is called by DHCPv6 servers, made of its UUID (RFC 6355), which
// DHCPv4 servers hear as a part of ClientID. A host id that is no UUID gives nil.
func DUID(hostID string) []byte {
	uuid, err := hex.DecodeString(strings.ReplaceAll(hostID, "-", ""))
	if err != nil || len(uuid) != 16 {
		return nil
	}
	const duidUUID = 4
	return append(binary.BigEndian.AppendUint16(nil, duidUUID), uuid...)
}

// IAID is the number of a NIC within its host. The VLANs of one NIC differ for sure,
// NICs as surely as hashes do.
func IAID(base string, vlan int) uint32 {
	h := fnv.New32a()
	h.Write([]byte(base))
	if vlan == 0 {
		return h.Sum32()
	}
	return h.Sum32()<<12 | uint32(vlan)&0xfff
}
