package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

const probesLegend = `
Where that time goes. RFC 5227 (2.1.1) has them wait for 0 to 1 s, send three probes with
1 to 2 s between them, all drawn at random, and wait for 2 s.
`

// printProbes prints where the time of careful clients goes.
func printProbes(got map[string][]lent) {
	const row = "  %-18s %10s %24s %24s %22s\n"
	fmt.Print(probesLegend)
	fmt.Printf(row, "client", "probes", "first after ms, median", "between ms, median", "last to address ms")
	for _, c := range dhcpClients(options{}, true) {
		var first, between, last []time.Duration
		least, most := 0, 0
		for i, l := range got[c.name()] {
			n := len(l.probes)
			if i == 0 {
				least = n
			}
			if least, most = min(least, n), max(most, n); n == 0 {
				continue
			}
			first, last = append(first, l.probes[0]), append(last, l.after-l.probes[n-1])
			for j := range n - 1 {
				between = append(between, l.probes[j+1]-l.probes[j])
			}
		}
		count := fmt.Sprint(most)
		if least != most {
			count = fmt.Sprintf("%d to %d", least, most)
		}
		if len(between) > 0 {
			fmt.Printf(row, c.name(), count, span(first), span(between), milliseconds(quantile(last, 0.5)))
		}
	}
}

// span is the least and the most, and the median between them.
func span(all []time.Duration) string {
	ms := func(q float64) int64 { return quantile(all, q).Milliseconds() }
	return fmt.Sprintf("%d to %d, %d", ms(0), ms(1), ms(0.5))
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
