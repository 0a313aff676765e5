package dhcp

import (
	"encoding/binary"
	"hash/fnv"
	"strings"

	"encoding/hex"
)

// ClientID is option 61 as RFC 4361 has it: type 255, the IAID of the NIC, and the
// DUID of the host, made of its UUID (RFC 6355). It stays the same when the hardware
// behind the name is swapped, and differs between the NICs of a host. base is the
// NIC or bond and vlan the id of the VLAN on it, 0 for the NIC itself. A host id that
// is no UUID gives nil: the server then goes by the MAC.
func ClientID(hostID, base string, vlan int) []byte {
	uuid, err := hex.DecodeString(strings.ReplaceAll(hostID, "-", ""))
	if err != nil || len(uuid) != 16 {
		return nil
	}
	const typeDUID, duidUUID = 255, 4
	id := binary.BigEndian.AppendUint32([]byte{typeDUID}, IAID(base, vlan))
	return append(binary.BigEndian.AppendUint16(id, duidUUID), uuid...)
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
