package server

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/hostnic/hostnic/agent/engine"
	"github.com/hostnic/hostnic/netcfg"
	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

func TestStatusOf(t *testing.T) {
	passing := errors.New("passing")
	s := &Server{Options: Options{Transient: []error{passing}, Engine: engine.New(engine.Options{})}}
	of := func(kinds ...netcfg.ProblemKind) (ps netcfg.Problems) {
		for _, k := range kinds {
			ps = append(ps, netcfg.Problem{Kind: k, Path: "host_nics[eth0].mtu", Rule: "mtu", Message: "no"})
		}
		return ps
	}
	refused := func(k engine.ErrorKind) error { return &engine.Error{Kind: k, Rule: "r", Message: "m"} }
	for name, tc := range map[string]struct {
		err  error
		want codes.Code
	}{
		"none":                          {nil, codes.OK},
		"invalid":                       {of(netcfg.Invalid), codes.InvalidArgument},
		"not found":                     {of(netcfg.NotFound, netcfg.NotFound), codes.NotFound},
		"exists":                        {of(netcfg.Exists), codes.AlreadyExists},
		"precondition":                  {of(netcfg.Precondition), codes.FailedPrecondition},
		"unimplemented":                 {of(netcfg.Unimplemented), codes.Unimplemented},
		"an unknown kind":               {of("new"), codes.FailedPrecondition},
		"invalid among others":          {of(netcfg.NotFound, netcfg.Exists, netcfg.Invalid), codes.InvalidArgument},
		"precondition among others":     {of(netcfg.NotFound, netcfg.Precondition), codes.FailedPrecondition},
		"others":                        {of(netcfg.NotFound, netcfg.Unimplemented), codes.FailedPrecondition},
		"wrapped problems":              {fmt.Errorf("stage: %w", of(netcfg.Invalid)), codes.InvalidArgument},
		"no problem at all":             {netcfg.Problems{}, codes.Internal},
		"stale":                         {refused(engine.Stale), codes.Aborted},
		"state":                         {refused(engine.Precondition), codes.FailedPrecondition},
		"engine not found":              {refused(engine.NotFound), codes.NotFound},
		"misused":                       {refused(engine.Misused), codes.InvalidArgument},
		"full":                          {refused(engine.Full), codes.ResourceExhausted},
		"storage":                       {refused(engine.Storage), codes.FailedPrecondition},
		"unsupported":                   {refused(engine.Unsupported), codes.Unimplemented},
		"unavailable":                   {refused(engine.Unavailable), codes.Unavailable},
		"an unknown kind of the engine": {refused(99), codes.Internal},
		"canceled":                      {fmt.Errorf("look: %w", context.Canceled), codes.Canceled},
		"late":                          {context.DeadlineExceeded, codes.DeadlineExceeded},
		"passing":                       {fmt.Errorf("look: %w", passing), codes.Unavailable},
		"anything else":                 {errors.New("what\nis \x1b[31mthis"), codes.Internal},
		"a status":                      {status.Error(codes.NotFound, "x"), codes.NotFound},
	} {
		err := s.statusOf(tc.err)
		if got := status.Code(err); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
		if text := status.Convert(err).Message(); netcfg.Printable(text) != text {
			t.Errorf("%s: %q is not printable", name, text)
		}
	}
	for kind := engine.Stale; kind <= engine.Unavailable; kind++ {
		if _, ok := engineCodes[kind]; !ok {
			t.Errorf("kind %d of the engine's errors has no code", kind)
		}
	}
}

// ALREADY_EXISTS for a name that somebody else holds, with the field and the rule
// in every detail.
func TestRefusalWithDetails(t *testing.T) {
	h := newHost(t)
	h.kernel.AddBridge("bond1")
	_, err := h.config.Stage(h.ctx(), staging("host_nics:\n- name: bond1\n  bonding: {slaves: [eth0, eth1]}\n"))
	wantCode(t, err, codes.AlreadyExists)
	if info := infoOf(t, err); info.GetReason() != "name-taken" {
		t.Errorf("reason %q", info.GetReason())
	}
	p := problemsOf(t, err)[0]
	if p.GetField() != "host_nics[bond1].name" || p.GetRule() != "name-taken" || p.GetFound() != "bond1" || p.GetLine() != 2 || p.GetMessage() == "" {
		t.Errorf("problem %v", p)
	}
	for _, d := range status.Convert(err).Details() {
		if bad, ok := d.(*errdetails.BadRequest); ok {
			v := bad.GetFieldViolations()
			if len(v) != 1 || v[0].GetField() != p.GetField() || v[0].GetReason() != "name-taken" {
				t.Errorf("violations %v", v)
			}
			return
		}
	}
	t.Error("no BadRequest")
}

// However much is wrong, the error stays one that clients can read.
func TestManyProblems(t *testing.T) {
	var many netcfg.Problems
	for i := range 100 {
		many = append(many, netcfg.Problem{Path: fmt.Sprintf("host_nics[%d].name", i), Rule: "r", Message: "m", Found: strings.Repeat("ü\x1b", 100000)})
	}
	for _, tc := range []struct {
		problems    netcfg.Problems
		least, most int
	}{{many[:5], 5, 5}, {many, 5, mostDetails}} {
		st := status.Convert(problemStatus(tc.problems))
		got := len(problemsOf(t, st.Err()))
		if got < tc.least || got > tc.most {
			t.Errorf("%d of %d problems are told", got, len(tc.problems))
		}
		if size := proto.Size(st.Proto()); size > mostDetailBytes+4096 {
			t.Errorf("%d bytes", size)
		}
		if want := fmt.Sprintf("and %d more", len(tc.problems)-1); !strings.Contains(st.Message(), want) {
			t.Errorf("message %q lacks %q", st.Message(), want)
		}
		if tc.problems[0].Found != many[0].Found {
			t.Error("the problems were changed")
		}
	}
}

// All documents are read before anything is said, so that all problems come at once.
func TestProblemsOfAllDocuments(t *testing.T) {
	h := newHost(t)
	_, err := h.config.Stage(h.ctx(), &hostnicv1.StageRequest{Documents: []*hostnicv1.Document{
		document("host_nics: [{name: eth0, speeed: 1}]"), document("host_nics: [{name: eth1, mtu: many}]"),
	}})
	wantCode(t, err, codes.InvalidArgument)
	if got := problemsOf(t, err); len(got) != 2 {
		t.Errorf("problems %v", got)
	}
	_, err = h.config.Stage(h.ctx(), &hostnicv1.StageRequest{Documents: []*hostnicv1.Document{{Content: []byte("{}"), Format: 77}}})
	wantCode(t, err, codes.InvalidArgument)
}
