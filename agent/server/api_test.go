package server

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/hostnic/hostnic/agent/engine"
	"github.com/hostnic/hostnic/netcfg/codec"
	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

const aBond = `
host_nics:
  - name: bond0
    bonding: {options: {mode: 802.3ad, miimon: 100}, slaves: [eth0, eth1]}
    ip: {address: 192.0.2.1, netmask: 24, gateway: 192.0.2.254}
  - name: bond0.7
    vlan: {id: 7}
    base_interface: bond0
`

// The whole way of a document: staged, planned, applied, committed, read, rolled
// back.
func TestWalk(t *testing.T) {
	h := newHost(t)
	if revision := h.stage(aBond); revision != 1 {
		t.Errorf("revision %d, want 1", revision)
	}
	planned, err := h.config.Plan(h.ctx(), &hostnicv1.PlanRequest{})
	if err != nil || len(planned.GetPlan().GetOperations()) == 0 {
		t.Fatalf("plan %v, %v", planned, err)
	}
	if first := planned.GetPlan().GetOperations()[0]; !strings.HasPrefix(first.GetCommand(), "ip ") || first.GetDisruption() == "" {
		t.Errorf("first operation %v", first)
	}
	if checked, err := h.config.Check(h.ctx(), &hostnicv1.CheckRequest{}); err != nil || len(checked.GetPlan().GetOperations()) != len(planned.GetPlan().GetOperations()) {
		t.Errorf("check %v, %v", checked, err)
	}
	if h.kernel.Writes() != 0 {
		t.Fatal("the kernel was touched before the apply")
	}
	op, steps, err := h.apply(&hostnicv1.ApplyOptions{OperationId: "mine"})
	if err != nil || op.GetState() != "done" || op.GetId() != "mine" || op.GetKind() != "apply" || op.GetAuthor() == "" || op.GetWrites() == 0 || len(steps) < 3 {
		t.Fatalf("apply: %v, %d steps, %v", op, len(steps), err)
	}
	where, err := h.config.GetStatus(h.ctx(), &hostnicv1.GetStatusRequest{})
	if err != nil || !where.GetUncommitted() || where.GetStagedChanges() || where.GetOperation().GetId() != "mine" || len(where.GetDrift()) != 0 {
		t.Errorf("status after apply: %v, %v", where, err)
	}
	op, _, err = h.commit(nil, "first")
	if err != nil || op.GetRevision() != 1 || op.GetId() == "" {
		t.Fatalf("commit: %v, %v", op, err)
	}
	h.wantNICs()
	h.stage("host_nics: [{name: bond0, mtu: 9000}]")
	if op, _, err = h.commit(nil, ""); err != nil || op.GetRevision() != 2 {
		t.Fatalf("second commit: %v, %v", op, err)
	}
	one := int64(1)
	if op, _, err = h.rollback(&one); err != nil || op.GetState() != "done" || op.GetKind() != "rollback" {
		t.Fatalf("rollback: %v, %v", op, err)
	}
	where, err = h.config.GetStatus(h.ctx(), &hostnicv1.GetStatusRequest{})
	if err != nil || !where.GetUncommitted() || where.GetCommittedRevision() != 2 || where.GetVersion() != "test" {
		t.Errorf("status after rollback: %v, %v", where, err)
	}
	h.wantHistory()
}

func (h *host) wantNICs() {
	h.t.Helper()
	list, err := h.nics.ListHostNics(h.ctx(), &hostnicv1.ListHostNicsRequest{})
	if err != nil {
		h.t.Fatal(err)
	}
	var names []string
	for _, n := range list.GetHostNics() {
		names = append(names, n.GetName())
	}
	if got := strings.Join(names, " "); got != "eth0 eth1 eth2 eth3 bond0 bond0.7" {
		h.t.Errorf("NICs %s", got)
	}
	bond, err := h.nics.GetHostNic(h.ctx(), &hostnicv1.GetHostNicRequest{Nic: "bond0"})
	if err != nil {
		h.t.Fatal(err)
	}
	n := bond.GetHostNic()
	if n.GetKind() != "bond" || n.GetStatus().GetState() != "up" || n.GetOwner() != "hostnic" || n.GetIp().GetGateway() != "192.0.2.254" ||
		n.GetBonding().GetOptions()["mode"] != "802.3ad" || strings.Join(n.GetBonding().GetSlaves(), " ") != "eth0 eth1" || n.GetAdAggregatorId() == 0 {
		h.t.Errorf("bond0: %v", n)
	}
	byID, err := h.nics.GetHostNic(h.ctx(), &hostnicv1.GetHostNicRequest{Nic: n.GetId()})
	if err != nil || byID.GetHostNic().GetName() != "bond0" {
		h.t.Errorf("bond0 by id: %v, %v", byID, err)
	}
	slave, err := h.nics.GetHostNic(h.ctx(), &hostnicv1.GetHostNicRequest{Nic: "eth1"})
	if err != nil || slave.GetHostNic().GetMaster() != "bond0" || slave.GetHostNic().GetOwner() != "hostnic" {
		h.t.Errorf("eth1: %v, %v", slave, err)
	}
}

func (h *host) wantHistory() {
	h.t.Helper()
	revisions, err := h.config.ListRevisions(h.ctx(), &hostnicv1.ListRevisionsRequest{})
	if err != nil || len(revisions.GetRevisions()) != 2 {
		h.t.Fatalf("revisions %v, %v", revisions, err)
	}
	if first := revisions.GetRevisions()[1]; first.GetRevision() != 1 || first.GetComment() != "first" || first.GetAuthor() == "" || first.GetTime().AsTime().IsZero() {
		h.t.Errorf("first revision %v", first)
	}
	operations, err := h.config.ListOperations(h.ctx(), &hostnicv1.ListOperationsRequest{})
	if err != nil || len(operations.GetOperations()) != 4 || operations.GetOperations()[3].GetId() != "mine" {
		h.t.Errorf("operations %v, %v", operations, err)
	}
}

func TestGetConfig(t *testing.T) {
	h := newHost(t)
	h.stage(aBond)
	if _, _, err := h.commit(nil, ""); err != nil {
		t.Fatal(err)
	}
	h.stage("host_nics: [{name: eth2, mtu: 1400}]")
	one := int64(1)
	for name, tc := range map[string]struct {
		selector *hostnicv1.ConfigSelector
		nics     int
		revision int64
	}{
		"absent":    {nil, 3, 2},
		"staged":    {&hostnicv1.ConfigSelector{Source: hostnicv1.ConfigSource_CONFIG_SOURCE_STAGED}, 3, 2},
		"running":   {&hostnicv1.ConfigSelector{Source: hostnicv1.ConfigSource_CONFIG_SOURCE_RUNNING}, 2, 1},
		"committed": {&hostnicv1.ConfigSelector{Source: hostnicv1.ConfigSource_CONFIG_SOURCE_COMMITTED}, 2, 1},
		"revision":  {&hostnicv1.ConfigSelector{Revision: &one}, 2, 1},
	} {
		resp, err := h.config.GetConfig(h.ctx(), &hostnicv1.GetConfigRequest{Config: tc.selector})
		if err != nil || len(resp.GetConfig().GetHostNics()) != tc.nics || resp.GetRevision() != tc.revision || resp.GetDocument() != nil {
			t.Errorf("%s: %v, %v", name, resp, err)
		}
	}
	nine := int64(9)
	_, err := h.config.GetConfig(h.ctx(), &hostnicv1.GetConfigRequest{Config: &hostnicv1.ConfigSelector{Revision: &nine}})
	wantCode(t, err, codes.NotFound)
	_, err = h.config.GetConfig(h.ctx(), &hostnicv1.GetConfigRequest{Config: &hostnicv1.ConfigSelector{Source: 77}})
	wantCode(t, err, codes.InvalidArgument)
	_, err = h.config.GetConfig(h.ctx(), &hostnicv1.GetConfigRequest{Render: 77})
	wantCode(t, err, codes.InvalidArgument)
}

// What is rendered stages to the same candidate.
func TestRenderedConfigStagesBack(t *testing.T) {
	h := newHost(t)
	revision := h.stage(aBond)
	for format := range formats {
		if format == hostnicv1.DocumentFormat_DOCUMENT_FORMAT_UNSPECIFIED {
			continue
		}
		got, err := h.config.GetConfig(h.ctx(), &hostnicv1.GetConfigRequest{Render: format})
		if err != nil || len(got.GetDocument()) == 0 {
			t.Fatalf("%v: %v, %v", format, got, err)
		}
		resp, err := h.config.Stage(h.ctx(), &hostnicv1.StageRequest{Replace: true,
			Documents: []*hostnicv1.Document{{Content: got.GetDocument(), Format: format}}})
		if err != nil {
			t.Fatalf("%v: %v\n%s", format, err, got.GetDocument())
		}
		// Words for numbers are no change.
		if resp.GetRevision() != revision {
			t.Errorf("%v: revision %d, want %d still\n%s", format, resp.GetRevision(), revision, got.GetDocument())
		}
	}
}

// The body of oVirt's PUT says neither name nor id.
func TestStageForOneNIC(t *testing.T) {
	h := newHost(t)
	eth2, err := h.nics.GetHostNic(h.ctx(), &hostnicv1.GetHostNicRequest{Nic: "eth2"})
	if err != nil {
		t.Fatal(err)
	}
	id := eth2.GetHostNic().GetId()
	stage := func(nic, text string) error {
		_, err := h.config.Stage(h.ctx(), &hostnicv1.StageRequest{Documents: []*hostnicv1.Document{{Content: []byte(text), Nic: nic}}})
		return err
	}
	for nic, text := range map[string]string{
		"eth2": `<nic><ip address="192.0.2.7" netmask="255.255.255.0"/></nic>`,
		id:     `<host_nic><mtu>1400</mtu></host_nic>`,
	} {
		if err := stage(nic, text); err != nil {
			t.Fatalf("%s: %v", nic, err)
		}
	}
	// What was read may come back, whoever is named.
	for _, nic := range []string{"eth2", id} {
		if err := stage(nic, `<host_nic id="`+id+`"><name>eth2</name><mtu>1300</mtu></host_nic>`); err != nil {
			t.Errorf("%s: %v", nic, err)
		}
	}
	got, err := h.config.GetConfig(h.ctx(), &hostnicv1.GetConfigRequest{})
	if err != nil || len(got.GetConfig().GetHostNics()) != 1 {
		t.Fatalf("%v, %v", got, err)
	}
	if n := got.GetConfig().GetHostNics()[0]; n.GetName() != "eth2" || n.GetIp().GetAddress() != "192.0.2.7" || n.GetMtu() != 1300 {
		t.Errorf("eth2: %v", n)
	}
	wantCode(t, stage("eth2", `<host_nic><name>eth3</name></host_nic>`), codes.InvalidArgument)
	wantCode(t, stage("eth2", `<host_nics><host_nic/><host_nic/></host_nics>`), codes.InvalidArgument)
	wantCode(t, stage("eth2", ""), codes.InvalidArgument)
	wantCode(t, stage("eth99", `<nic><mtu>1400</mtu></nic>`), codes.NotFound)
	wantCode(t, stage("00000000-0000-0000-0000-000000000000", `<nic><mtu>1400</mtu></nic>`), codes.NotFound)
	// A problem finds its line although the document does not name the NIC.
	err = stage(id, "<nic>\n<mtu>12</mtu></nic>")
	wantCode(t, err, codes.InvalidArgument)
	if p := problemsOf(t, err)[0]; p.GetLine() != 2 || p.GetField() != "host_nics[eth2].mtu" {
		t.Errorf("problem %v", p)
	}
}

func TestRenderedNICs(t *testing.T) {
	h := newHost(t)
	h.stage(strings.Replace(aBond, "802.3ad", "4", 1))
	if _, _, err := h.commit(nil, ""); err != nil {
		t.Fatal(err)
	}
	v4, err := h.nics.ListHostNics(h.ctx(), &hostnicv1.ListHostNicsRequest{Render: hostnicv1.DocumentFormat_DOCUMENT_FORMAT_XML})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n<host_nics>", "<status>up</status>", "<speed>1000000000</speed>", "<value>4</value>",
		"<address>192.0.2.1</address>", `<vlan id="7"></vlan>`, "<base_interface>bond0</base_interface>", "<ad_aggregator_id>", `rel="master"`,
	} {
		if !strings.Contains(string(v4.GetDocument()), want) {
			t.Errorf("version 4 lacks %s\n%s", want, v4.GetDocument())
		}
	}
	v3, err := h.nics.GetHostNic(h.ctx(), &hostnicv1.GetHostNicRequest{Nic: "bond0", Render: hostnicv1.DocumentFormat_DOCUMENT_FORMAT_XML_V3})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`<host_nic id="`, `<ip address="192.0.2.1" netmask="255.255.255.0" gateway="192.0.2.254">`, "<state>up</state>", `<option name="mode" value="4">`,
	} {
		if !strings.Contains(string(v3.GetDocument()), want) {
			t.Errorf("version 3 lacks %s\n%s", want, v3.GetDocument())
		}
	}
	// What a client of oVirt reads it may send back: that is no change, or would
	// write down what the agent chose.
	doc, err := codec.Decode(v3.GetDocument(), codec.XML)
	if err != nil || len(doc.Nics) != 1 || len(doc.Warnings) != 0 || doc.Nics[0].IP.Address != "192.0.2.1" || len(doc.Nics[0].Bonding.Slaves) != 2 {
		t.Errorf("read again: %+v, %v", doc, err)
	}
	_, err = h.nics.ListHostNics(h.ctx(), &hostnicv1.ListHostNicsRequest{Render: hostnicv1.DocumentFormat_DOCUMENT_FORMAT_YAML})
	wantCode(t, err, codes.InvalidArgument)
	_, err = h.nics.GetHostNic(h.ctx(), &hostnicv1.GetHostNicRequest{})
	wantCode(t, err, codes.InvalidArgument)
	_, err = h.nics.GetHostNic(h.ctx(), &hostnicv1.GetHostNicRequest{Nic: "eth9"})
	wantCode(t, err, codes.NotFound)
}

func TestCapabilities(t *testing.T) {
	h := newHost(t, func(e *engine.Options, s *Options) {
		e.Limits.ExtraBondNames = []string{"bond7"}
		e.Missing = []engine.Missing{{Feature: "dhcp", Reason: "not yet"}}
		s.Features = Features{Release: "6.1.0", BondOptions: map[string][]string{"balance-rr": {"mode", "miimon"}, "802.3ad": {"mode", "lacp_rate"}}}
	})
	c, err := h.caps.GetCapabilities(h.ctx(), &hostnicv1.GetCapabilitiesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(c.GetBondNames(), " "); got != "bond0 bond1 bond2 bond3 bond4 bond7" {
		t.Errorf("bond names %s", got)
	}
	var options []string
	for _, o := range c.GetBondOptions() {
		options = append(options, o.GetName()+":"+strings.Join(o.GetModes(), ",")+":"+o.GetDisruption())
	}
	if got, want := strings.Join(options, " "), "mode:balance-rr,802.3ad:slaves released miimon:balance-rr:live lacp_rate:802.3ad:link down"; got != want {
		t.Errorf("options %s\nwant    %s", got, want)
	}
	if c.GetKernel() != "6.1.0" || c.GetHostId() != testHost || c.GetLimits().GetNicsPerDocument() != 1024 || len(c.GetMissing()) != 1 || c.GetBondModes()[4] != "802.3ad" {
		t.Errorf("%v", c)
	}
	if all := bondOptions(Features{}); len(all) < 25 {
		t.Errorf("%d options where it is not known what the kernel has", len(all))
	}
}
