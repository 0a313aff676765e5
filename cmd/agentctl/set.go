package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	hostnicv1 "github.com/hostnic/hostnic/proto/hostnic/v1"
)

type setOptions struct {
	*globals
	nic      string
	document []byte
}

func newSetCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "set NIC FIELD=VALUE...",
		Short: "A few fields of one interface into the candidate",
		Long:  setLong + exits(exitRefused, exitUnreachable),
		Example: `  agentctl set bond0 bonding.options.mode=802.3ad bonding.slaves=eth0,eth1
  agentctl set bond0.100 base_interface=bond0 vlan.id=100
  agentctl set bond0.100 ip.address=192.0.2.10 ip.netmask=24
  agentctl set eth2 mtu=`,
		GroupID:           groupChange,
		Args:              arguments(2, -1),
		ValidArgsFunction: g.completeSet,
		RunE: func(cmd *cobra.Command, args []string) error {
			document, err := editOf(args[0], args[1:])
			if err != nil {
				return &usageError{what: err.Error(), command: cmd}
			}
			return runSet(cmd.Context(), setOptions{g, args[0], document}, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
}

const setLong = `Set fields of one interface in the candidate. The host is not touched: that is for
agentctl apply.

NIC is a name or an id; a bond or a VLAN that is not there yet is made. Fields are
called as in documents, with dots. FIELD= without a value unsets the field.
bonding.slaves and additional_ips are lists, with commas, and replaced whole.`

func runSet(ctx context.Context, o setOptions, out, errOut io.Writer) error {
	return o.stageOwn(ctx, o.document, out, errOut)
}

// stageOwn stages a document that is ours: the lines of problems mean nothing.
func (g *globals) stageOwn(ctx context.Context, document []byte, out, errOut io.Writer) error {
	c, err := g.connect()
	if err != nil {
		return err
	}
	defer c.close()
	answer, err := c.config().Stage(ctx, &hostnicv1.StageRequest{
		Documents: []*hostnicv1.Document{{Content: document, Format: hostnicv1.DocumentFormat_DOCUMENT_FORMAT_JSON}},
	})
	if err != nil {
		return orElse(err, "nothing was staged")
	}
	return g.printStaged(out, errOut, answer, "")
}

// listFields are the fields whose value is a list.
var listFields = []string{"bonding.slaves", "additional_ips"}

var (
	uuid      = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	fieldPath = regexp.MustCompile(`^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*$`)
)

// editOf is the document that sets the fields: values are strings, which the agent
// takes for numbers and truth values too, and null where there is none.
func editOf(nic string, assignments []string) ([]byte, error) {
	edit := map[string]any{}
	for _, assignment := range assignments {
		path, text, ok := strings.Cut(assignment, "=")
		switch {
		case !ok:
			return nil, fmt.Errorf("%s is not FIELD=VALUE; to unset a field write %s=", quoted(assignment), printable(path))
		case !fieldPath.MatchString(path):
			return nil, fmt.Errorf("%s is not the name of a field, such as mtu or ip.address", quoted(path))
		case path == "name" || path == "id":
			return nil, fmt.Errorf("%s cannot be set: it is what the interface goes by", path)
		}
		value, err := valueOf(path, text)
		if err != nil {
			return nil, err
		}
		if err := assign(edit, path, value); err != nil {
			return nil, err
		}
	}
	if uuid.MatchString(nic) {
		edit["id"] = nic
	} else {
		edit["name"] = nic
	}
	return json.Marshal(map[string]any{"host_nics": []any{edit}})
}

func valueOf(path, text string) (any, error) {
	if text == "" {
		return nil, nil
	}
	if !slices.Contains(listFields, path) {
		return text, nil
	}
	items := strings.Split(text, ",")
	for i := range items {
		items[i] = strings.TrimSpace(items[i])
		if items[i] == "" {
			return nil, fmt.Errorf("%s=%s has an empty item in its list", path, printable(text))
		}
	}
	return items, nil
}

// assign puts the value where the path leads. Two that meet, such as ip= and
// ip.address=…, have no order that the operator could mean.
func assign(edit map[string]any, path string, value any) error {
	names := strings.Split(path, ".")
	for _, name := range names[:len(names)-1] {
		below, there := edit[name]
		if !there {
			below = map[string]any{}
			edit[name] = below
		}
		object, ok := below.(map[string]any)
		if !ok {
			return fmt.Errorf("%s and %s are both given; only one of them can be meant", name, path)
		}
		edit = object
	}
	last := names[len(names)-1]
	if _, twice := edit[last]; twice {
		return fmt.Errorf("%s is given twice, or together with a field below it; only one of them can be meant", path)
	}
	edit[last] = value
	return nil
}
