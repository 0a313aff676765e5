package plan_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/hostnic/hostnic/netcfg"
	"github.com/hostnic/hostnic/netcfg/codec"
	"github.com/hostnic/hostnic/netcfg/converge"
	"github.com/hostnic/hostnic/netcfg/kerneltest"
	"github.com/hostnic/hostnic/netcfg/plan"
)

var update = flag.Bool("update", false, "write the plans that come out into testdata")

// TestGolden plans from one document to another on a fake host. A case is a file:
// the document of departure, the one of arrival, and the plan between them as an
// operator reads it. The last section is written by -update and read by a person.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases: ", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { golden(t, file) })
	}
}

func golden(t *testing.T, file string) {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	section := map[string]string{}
	for _, f := range archive.Files {
		section[f.Name] = string(f.Data)
	}
	host := kerneltest.NewFake()
	for i := range 4 {
		host.AddNIC(fmt.Sprintf("eth%d", i), kerneltest.NIC{MAC: fmt.Sprintf("52:54:00:00:00:%02x", i)})
	}
	from, err := converge.Run(t.Context(), host, converge.Target{Config: config(t, netcfg.Config{}, section["from"])})
	if err != nil {
		t.Fatal(err)
	}
	to := config(t, config(t, netcfg.Config{}, section["from"]), section["to"])
	before, err := host.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	intent, problems := plan.Resolve(plan.Input{Config: to, Snapshot: before, Memory: from.Intent.Settled()})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	p := plan.Build(intent, before)
	got := printed(p, intent)
	if *update {
		for i := range archive.Files {
			if archive.Files[i].Name == "plan" {
				archive.Files[i].Data = []byte(got)
			}
		}
		write(t, file, archive)
	} else if diff := cmp.Diff(section["plan"], got); diff != "" {
		t.Errorf("the plan (-want +got):\n%s", diff)
	}
	// What the plan foretells is what the fake kernel makes of it.
	projected := plan.Project(before, p.Ops())
	if drift := plan.Check(intent, projected); len(drift) != 0 {
		t.Errorf("the plan does not lead there by its own account: %v", drift)
	}
	if err := host.Apply(t.Context(), p.Ops()); err != nil {
		t.Errorf("the fake kernel: %v", err)
	}
	after, err := host.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if drift := plan.Check(intent, after); len(drift) != 0 {
		t.Errorf("the plan does not lead there: %v", drift)
	}
}

func config(t *testing.T, base netcfg.Config, text string) netcfg.Config {
	t.Helper()
	doc, err := codec.Decode([]byte(text), codec.YAML)
	if err != nil {
		t.Fatal(err)
	}
	c, problems := netcfg.Merge(base, doc, func(ref string) string { return ref })
	bad, _ := c.Validate(netcfg.Limits{})
	if problems = append(problems, bad...); len(problems) > 0 {
		t.Fatal(problems)
	}
	return c
}

func printed(p plan.Plan, intent plan.Intent) string {
	var b strings.Builder
	for _, ph := range p.Phases {
		fmt.Fprintf(&b, "%s:\n", ph.Name)
		for _, op := range ph.Ops {
			fmt.Fprintf(&b, "\t%s", op)
			if op.Disruption != plan.Live {
				fmt.Fprintf(&b, "  [%s]", op.Disruption)
			}
			if op.Why != "" {
				fmt.Fprintf(&b, "  # %s", op.Why)
			}
			b.WriteByte('\n')
		}
	}
	for _, f := range p.Forecast {
		fmt.Fprintf(&b, "cuts %s: %s (%s)\n", f.Nic, f.Disruption, f.Reason)
	}
	for _, w := range intent.Warnings {
		fmt.Fprintf(&b, "warning: %s\n", w)
	}
	return b.String()
}

func write(t *testing.T, file string, a *txtar.Archive) {
	t.Helper()
	if err := os.WriteFile(file, txtar.Format(a), 0o600); err != nil {
		t.Fatal(err)
	}
}
