package main

import (
	"testing"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

func TestSpeed(t *testing.T) {
	for bits, want := range map[int64]string{
		0: "0 b/s", 10: "10 b/s", 10e6: "10 Mb/s", 100e6: "100 Mb/s", 1e9: "1 Gb/s", 25e8: "2.5 Gb/s", 10e9: "10 Gb/s",
		12345e5: "1.234 Gb/s", 200e9: "200 Gb/s", 16e11: "1.6 Tb/s",
	} {
		if got := speed(&bits); got != want {
			t.Errorf("speed(%d) = %q, want %q", bits, got, want)
		}
	}
	if got := speed(nil); got != "-" {
		t.Errorf("speed(nil) = %q", got)
	}
}

func TestStateWords(t *testing.T) {
	yes, no, index := true, false, int32(3)
	down := &hostnicv1.Status{State: "down"}
	for want, n := range map[string]*hostnicv1.HostNic{
		"up":                     {Index: &index, Status: &hostnicv1.Status{State: "up"}, OperState: "up"},
		"down":                   {Index: &index, Status: down, AdminState: "up", OperState: "down"},
		"down, admin down":       {Index: &index, Status: down, AdminState: "down", OperState: "down"},
		"down, no carrier":       {Index: &index, Status: down, AdminState: "up", OperState: "lowerlayerdown", Carrier: &no},
		"down, lower layer down": {Index: &index, Status: down, AdminState: "up", OperState: "lowerlayerdown"},
		"down, dormant":          {Index: &index, Status: down, AdminState: "up", OperState: "dormant", Carrier: &yes},
		"absent, waiting":        {Waiting: "there is no such NIC"},
		"down, waiting, drift":   {Index: &index, Status: down, Waiting: "LACP", Drift: []*hostnicv1.Drift{{}}},
		"unknown":                {Index: &index},
	} {
		if got, _ := stateWords(n); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
