package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

const probesLegend = `
Where that time goes. RFC 5227 (2.1.1) has them wait for 0 to 1 s, send three probes with
1 to 2 s between them, all drawn at random, and wait for 2 s. The least, the median and
the most; what comes before the first and after the last probe depends least on chance.
`

// waits are those of a careful client: until its first probe, between two, from the last
// one to the address, and all but those between.
type waits struct {
	probes                     []int
	first, between, last, rest []time.Duration
}

func waitsOf(all []lent) (w waits) {
	for _, l := range all {
		n := len(l.probes)
		w.probes = append(w.probes, n)
		if n == 0 {
			continue
		}
		first, last := l.probes[0], l.after-l.probes[n-1]
		w.first, w.last, w.rest = append(w.first, first), append(w.last, last), append(w.rest, first+last)
		for i := range n - 1 {
			w.between = append(w.between, l.probes[i+1]-l.probes[i])
		}
	}
	return w
}

// printProbes prints where the time of careful clients goes.
func printProbes(got map[string][]lent) {
	all, best := map[string]waits{}, time.Duration(0)
	for name, lent := range got {
		w := waitsOf(lent)
		if len(w.between) == 0 {
			continue
		}
		all[name] = w
		if m := quantile(w.rest, 0.5); name != agentName && (best == 0 || m < best) {
			best = m
		}
	}
	const row = "  %-18s %8s %16s %18s %16s %16s %16s\n"
	fmt.Print(probesLegend)
	fmt.Printf(row, "client", "probes", "first after ms", "between ms", "last to address", "first + last ms", "/ fastest other")
	for _, c := range dhcpClients(options{}, true) {
		if w, ok := all[c.name()]; ok {
			fmt.Printf(row, c.name(), fmt.Sprintf("%d to %d", slices.Min(w.probes), slices.Max(w.probes)), span(w.first), span(w.between),
				milliseconds(quantile(w.last, 0.5)), milliseconds(quantile(w.rest, 0.5)), ratio(quantile(w.rest, 0.5), best))
		}
	}
}

// span is the least, the median and the most.
func span(all []time.Duration) string {
	ms := func(q float64) int64 { return quantile(all, q).Milliseconds() }
	return fmt.Sprintf("%d..%d..%d", ms(0), ms(0.5), ms(1))
}

// listenForProbes hears all ARP packets of this namespace.
func listenForProbes() (int, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, int(bigEndian(unix.ETH_P_ARP)))
	if err != nil {
		return 0, err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1); err != nil {
		return 0, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

func bigEndian(n uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, n))
}

// probesSince are those that have been heard: requests of nobody yet.
func probesSince(began time.Time, ear int) (probes []time.Duration, err error) {
	packet, oob := make([]byte, 128), make([]byte, 128)
	for {
		n, oobn, _, _, err := unix.Recvmsg(ear, packet, oob, 0)
		if errors.Is(err, unix.EAGAIN) {
			return probes, nil
		}
		if err != nil {
			return nil, err
		}
		const request, sender = 1, 14
		if n < sender+4 || binary.BigEndian.Uint16(packet[6:]) != request || binary.BigEndian.Uint32(packet[sender:]) != 0 {
			continue
		}
		control, err := unix.ParseSocketControlMessage(oob[:oobn])
		if err != nil || len(control) == 0 || len(control[0].Data) < 16 {
			return nil, fmt.Errorf("the kernel gives no time: %w", err)
		}
		data := control[0].Data
		at := time.Unix(int64(binary.NativeEndian.Uint64(data)), int64(binary.NativeEndian.Uint64(data[8:]))) //nolint:gosec // a time
		probes = append(probes, at.Sub(began.Round(0)))
	}
}
