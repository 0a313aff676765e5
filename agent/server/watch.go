package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hostnic/hostnic/agent/inventory"
	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

// bookmarkAfter is how long a watch is silent before it says that it is up to date.
const bookmarkAfter = 30 * time.Second

// WatchHostNics follows the NICs until the client goes away, or the agent stops.
func (n *nicService) WatchHostNics(req *hostnicv1.WatchHostNicsRequest, stream hostnicv1.HostNicService_WatchHostNicsServer) error {
	since, err := sinceFromProto(req.GetResume())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	defer context.AfterFunc(n.server.stopping, cancel)()
	w, v, err := n.server.Inventory.Watch(ctx, since)
	if err != nil {
		return watchError(err)
	}
	defer w.Close()
	f := follower{send: stream.Send, wanted: filter(req), toProto: n.server.nicToProto}
	if since != nil {
		f.at = *since
	}
	if err := f.anew(v); err != nil {
		return err
	}
	for {
		err := f.next(ctx, w)
		switch {
		case err != nil && n.server.stopping.Err() != nil:
			return status.Error(codes.Unavailable, "the agent is stopping; watch again")
		case err != nil:
			return err
		}
	}
}

// follower sends what a watch tells.
type follower struct {
	send    func(*hostnicv1.WatchHostNicsResponse) error
	wanted  func(*inventory.Nic) bool
	toProto func(*inventory.Nic) *hostnicv1.HostNic
	at      inventory.Since
}

// next sends what comes next, or after a while that nothing has come.
func (f *follower) next(ctx context.Context, w *inventory.Watch) error {
	waiting, cancel := context.WithTimeout(ctx, bookmarkAfter)
	defer cancel()
	changes, v, err := w.Next(waiting)
	switch {
	case err != nil && ctx.Err() == nil: // it was the timeout
		return f.tell(hostnicv1.WatchEvent_WATCH_EVENT_BOOKMARK, nil, nil)
	case err != nil:
		return err
	case v != nil:
		f.at = inventory.Since{Epoch: v.Epoch, Revision: v.Revision}
		if err := f.tell(hostnicv1.WatchEvent_WATCH_EVENT_RESYNC, nil, nil); err != nil {
			return err
		}
		return f.anew(v)
	}
	for _, c := range changes {
		f.at.Revision = c.Revision
		before, after := f.choose(c.Old), f.choose(c.New)
		if before == nil && after == nil {
			continue
		}
		if err := f.tell(hostnicv1.WatchEvent_WATCH_EVENT_CHANGED, before, after); err != nil {
			return err
		}
	}
	return nil
}

// choose is nil of a NIC that is not followed: one that begins to be comes, for this
// client, and one that ends to be goes.
func (f *follower) choose(n *inventory.Nic) *inventory.Nic {
	if n == nil || !f.wanted(n) {
		return nil
	}
	return n
}

// anew sends a version; nil is none.
func (f *follower) anew(v *inventory.Version) error {
	if v == nil {
		return nil
	}
	f.at = inventory.Since{Epoch: v.Epoch}
	for _, n := range v.Nics() {
		if !f.wanted(n) {
			continue
		}
		if err := f.send(&hostnicv1.WatchHostNicsResponse{Event: hostnicv1.WatchEvent_WATCH_EVENT_PRESENT, New: f.toProto(n)}); err != nil {
			return err
		}
	}
	f.at.Revision = v.Revision
	return f.tell(hostnicv1.WatchEvent_WATCH_EVENT_SYNCED, nil, nil)
}

func (f *follower) tell(event hostnicv1.WatchEvent, before, after *inventory.Nic) error {
	m := &hostnicv1.WatchHostNicsResponse{Event: event, Resume: fmt.Sprintf("%s-%d", f.at.Epoch, f.at.Revision)}
	if before != nil {
		m.Old = f.toProto(before)
	}
	if after != nil {
		m.New = f.toProto(after)
	}
	return f.send(m)
}

func sinceFromProto(resume string) (*inventory.Since, error) {
	if resume == "" {
		return nil, nil
	}
	epoch, number, ok := strings.Cut(resume, "-")
	revision, err := strconv.ParseUint(number, 10, 64)
	if !ok || err != nil {
		return nil, misused("resume", "resume is not what a watch has said: %s", printable(resume))
	}
	return &inventory.Since{Epoch: epoch, Revision: revision}, nil
}

// filter tells which NICs a client follows.
func filter(req *hostnicv1.WatchHostNicsRequest) func(*inventory.Nic) bool {
	return func(n *inventory.Nic) bool {
		named := len(req.GetNics()) == 0 || slices.Contains(req.GetNics(), n.Name) || slices.Contains(req.GetNics(), n.ID)
		kind := len(req.GetKinds()) == 0 || slices.Contains(req.GetKinds(), n.Kind)
		return named && kind && (!req.GetOwned() || n.Owner != "")
	}
}

func watchError(err error) error {
	switch {
	case errors.Is(err, inventory.ErrTooOld):
		return status.Error(codes.OutOfRange, "the changes since then are not known any more: watch without resume")
	case errors.Is(err, inventory.ErrTooMany):
		return status.Errorf(codes.ResourceExhausted, "there are %d watches already, the most there may be; end some", inventory.MostWatches)
	}
	return fmt.Errorf("look at the host: %w", err)
}
