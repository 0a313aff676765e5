package dhcp

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Filters run in the kernel, so that nobody is woken by what is not for us: not by
// 100,000 packets of others a second, and not by the answers to other clients.

// What a filter can ask of a packet besides its bytes (linux/filter.h, SKF_AD_*).
const (
	adPacketType = 0xfffff000 + 4
	adIndex      = 0xfffff000 + 8
	adVLAN       = 0xfffff000 + 44
	adTagged     = 0xfffff000 + 48
)

// Places to jump to, put in by done.
const (
	toTaken   = 254
	toDropped = 255
)

type program []unix.SockFilter

func (p *program) add(code uint16, jt, jf uint8, k uint32) {
	*p = append(*p, unix.SockFilter{Code: code, Jt: jt, Jf: jf, K: k})
}

// word, half and octet load from the IP or ARP packet; of one that is too short
// nothing is loaded, and it is dropped.
func (p *program) word(at uint32)  { p.add(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, 0, 0, at) }
func (p *program) half(at uint32)  { p.add(unix.BPF_LD|unix.BPF_H|unix.BPF_ABS, 0, 0, at) }
func (p *program) octet(at uint32) { p.add(unix.BPF_LD|unix.BPF_B|unix.BPF_ABS, 0, 0, at) }

// behindHeader makes the next indirect loads count from the end of the IP header.
func (p *program) behindHeader() { p.add(unix.BPF_LDX|unix.BPF_B|unix.BPF_MSH, 0, 0, 0) }
func (p *program) indirect(size uint16, at uint32) {
	p.add(unix.BPF_LD|size|unix.BPF_IND, 0, 0, at)
}

const equal = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K

func (p *program) mustBe(k uint32)    { p.add(equal, 0, toDropped, k) }
func (p *program) mustNotBe(k uint32) { p.add(equal, toDropped, 0, k) }
func (p *program) mustNotHave(bits uint32) {
	p.add(unix.BPF_JMP|unix.BPF_JSET|unix.BPF_K, toDropped, 0, bits)
}

// done ends the program: what gets there is taken.
func (p *program) done() []unix.SockFilter {
	taken := len(*p)
	p.add(unix.BPF_RET|unix.BPF_K, 0, 0, 0xffffffff)
	p.add(unix.BPF_RET|unix.BPF_K, 0, 0, 0)
	place := func(to uint8, from int) uint8 {
		switch to {
		case toTaken:
			return uint8(taken - from - 1)
		case toDropped:
			return uint8(taken + 1 - from - 1)
		}
		return to
	}
	for i := range *p {
		f := &(*p)[i]
		f.Jt, f.Jf = place(f.Jt, i), place(f.Jf, i)
	}
	return *p
}

// onLink keeps to the link itself. A packet socket on a NIC also gets what comes for
// the VLANs on it: with the index of the VLAN's link where there is one, and marked as
// somebody else's where there is none (__netif_receive_skb_core). A tag that has been
// taken off by then may still be read, so the question is first whether there is one.
func (p *program) onLink(index int) {
	p.word(adPacketType)
	p.mustNotBe(unix.PACKET_OTHERHOST)
	p.word(adIndex)
	p.mustBe(uint32(index))
	p.word(adTagged)
	p.add(equal, 2, 0, 0) // none: over the rest of it
	p.word(adVLAN)
	p.mustNotHave(0xfff) // VID 0 is no VLAN
}

// replyFilter takes whole UDP packets to the client's port that answer to the MAC.
func replyFilter(index int, mac MAC) []unix.SockFilter {
	const udpTo, op, chaddr = 2, udpHeader, udpHeader + 28
	p := &program{}
	p.onLink(index)
	p.octet(9)
	p.mustBe(protocolUDP)
	p.half(6)
	p.mustNotHave(fragmented)
	p.behindHeader()
	p.indirect(unix.BPF_H, udpTo)
	p.mustBe(clientPort)
	p.indirect(unix.BPF_B, op)
	p.mustBe(2) // BOOTREPLY
	p.indirect(unix.BPF_W, chaddr)
	p.mustBe(binary.BigEndian.Uint32(mac[:]))
	p.indirect(unix.BPF_H, chaddr+4)
	p.mustBe(uint32(binary.BigEndian.Uint16(mac[4:])))
	return p.done()
}

// claimFilter takes ARP packets of others that claim the address, and while it is
// being probed those that probe for it, too.
func claimFilter(index int, mac MAC, address netip.Addr, probing bool) []unix.SockFilter {
	const sender, senderIP, targetIP = 8, 14, 24
	ip := address.As4()
	claimed := binary.BigEndian.Uint32(ip[:])
	p := &program{}
	p.onLink(index)
	p.word(sender)
	p.add(equal, 0, 2, binary.BigEndian.Uint32(mac[:])) // another one: over the rest of it
	p.half(sender + 4)
	p.mustNotBe(uint32(binary.BigEndian.Uint16(mac[4:])))
	p.word(senderIP)
	if probing {
		p.add(equal, toTaken, 0, claimed)
		p.mustBe(0)
		p.word(targetIP)
	}
	p.mustBe(claimed)
	return p.done()
}
