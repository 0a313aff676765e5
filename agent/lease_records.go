package agent

import (
	"errors"
	"io/fs"

	"github.com/hostnic/hostnic/agent/dhcp/drive"
	"github.com/hostnic/hostnic/agent/engine"
	"github.com/hostnic/hostnic/agent/store"
	"github.com/hostnic/hostnic/netcfg"
)

// leaseRecords are the leases of one protocol on disk.
type leaseRecords[L any] struct {
	*leases
	prefix string
}

func (l *leases) records() leaseRecords[netcfg.Lease] {
	return leaseRecords[netcfg.Lease]{l, "lease-"}
}

func (l *leases) records6() records6 {
	return records6{leaseRecords[netcfg.Lease6]{l, "lease6-"}}
}

// records6 are those of DHCPv6, where a client that asks for no addresses has a record of
// its own, and leaves what there is for when addresses are asked for again.
type records6 struct{ leaseRecords[netcfg.Lease6] }

// LoadLease is that of drive.Store.
func (r records6) LoadLease(link string) (*drive.Record[netcfg.Lease6], error) {
	return r.of(link).LoadLease(link)
}

// SaveLease is that of drive.Store.
func (r records6) SaveLease(link string, record *drive.Record[netcfg.Lease6]) error {
	return r.of(link).SaveLease(link, record)
}

// of are the records to which that of a link belongs now.
func (r records6) of(link string) leaseRecords[netcfg.Lease6] {
	nic := r.nicOf(link)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.clients[leaseKey{nic, true}].Stateless {
		return r.informed()
	}
	return r.leaseRecords
}

// informed are those of what was told without addresses.
func (l *leases) informed() leaseRecords[netcfg.Lease6] {
	return leaseRecords[netcfg.Lease6]{l, "informed6-"}
}

// load reads the record of a NIC, by its name in the configuration.
func (r leaseRecords[L]) load(nic string) (*drive.Record[L], error) {
	var out drive.Record[L]
	err := r.store.Get(r.prefix+nic, &out)
	var damaged *store.DamagedError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case errors.As(err, &damaged) && damaged.Recovered, err == nil:
		return &out, nil
	}
	return nil, err
}

// LoadLease is that of drive.Store.
func (r leaseRecords[L]) LoadLease(link string) (*drive.Record[L], error) {
	return r.load(r.nicOf(link))
}

// SaveLease is that of drive.Store.
func (r leaseRecords[L]) SaveLease(link string, record *drive.Record[L]) error {
	if record == nil {
		return r.store.Drop(r.prefix + r.nicOf(link))
	}
	return r.store.Put(r.prefix+r.nicOf(link), record)
}

func (l *leases) nicOf(link string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if nic, known := l.nics[link]; known {
		return nic
	}
	return link
}

// recorded is the lease on record as far as it is of this boot.
func (r leaseRecords[L]) recorded(nic string) *L {
	switch record, err := r.load(nic); {
	case err != nil:
		r.log.Warn("the lease on record cannot be read; another one is asked for", "nic", nic, "error", err)
	case record != nil && record.Boot == r.boot:
		return &record.Lease
	}
	return nil
}

// Recorded is that of engine.Leaser.
func (l *leases) Recorded(nic string) *netcfg.Lease {
	if lease, now := l.records().recorded(nic), sinceBoot(); lease.Valid(now) && lease.Obtained <= now {
		return lease
	}
	return nil
}

// Recorded6 is that of engine.Leaser.
func (l *leases) Recorded6(nic string) *netcfg.Lease6 {
	if lease, now := l.records6().recorded(nic), sinceBoot(); lease.Valid(now) && lease.Obtained <= now {
		return lease
	}
	return nil
}

// RecordedInformed is that of engine.Leaser.
func (l *leases) RecordedInformed(nic string) *netcfg.Lease6 {
	if told := l.informed().recorded(nic); told != nil && told.Obtained <= sinceBoot() {
		return told
	}
	return nil
}

// onRecord are the leases for who only recovers: those on record, and no clients.
type onRecord struct{ *leases }

func (onRecord) Follow([]engine.Client, engine.Around) {}
