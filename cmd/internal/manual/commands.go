package manual

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Commands writes a page for a program and one for each of its commands, below dir.
// also are further pages to look at, as in host_nic(5).
func Commands(dir string, root *cobra.Command, section int, also ...string) error {
	if err := command(dir, root, section, also); err != nil {
		return err
	}
	for _, c := range documented(root) {
		if err := command(dir, c, section, append([]string{fmt.Sprintf("%s(%d)", root.Name(), section)}, also...)); err != nil {
			return err
		}
	}
	return nil
}

// documented are the commands of a program that are meant for people.
func documented(root *cobra.Command) []*cobra.Command {
	var out []*cobra.Command
	for _, c := range root.Commands() {
		if c.IsAvailableCommand() && c.Name() != "help" {
			out = append(out, c)
		}
	}
	return out
}

func pageName(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

func command(dir string, c *cobra.Command, section int, also []string) error {
	name := pageName(c)
	p := newPage(name, section, c.Short)
	p.section("Synopsis")
	use := c.UseLine()
	if subs := documented(c); len(subs) > 0 {
		use = c.CommandPath() + " COMMAND [flags]"
	}
	fmt.Fprintf(p, ".B %s\n", escape(use))
	p.section("Description")
	p.text(c.Long)
	if subs := documented(c); len(subs) > 0 {
		p.section("Commands")
		for _, sub := range subs {
			p.item(fmt.Sprintf("%s(%d)", pageName(sub), section), sub.Short)
		}
	}
	p.flags("Flags", c.LocalFlags())
	p.flags("Flags of all commands", c.InheritedFlags())
	if c.Example != "" {
		p.section("Examples")
		p.text(c.Example)
	}
	p.section("See also")
	p.text(strings.Join(also, ", "))
	return p.write(dir, name, section)
}

func (p *page) flags(title string, set *pflag.FlagSet) {
	if !set.HasAvailableFlags() {
		return
	}
	p.section(title)
	set.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		kind, usage := pflag.UnquoteUsage(f)
		term := "--" + f.Name
		if f.Shorthand != "" {
			term = "-" + f.Shorthand + ", " + term
		}
		if kind != "" {
			term += " " + kind
		}
		if d := f.DefValue; d != "" && d != "false" && d != "[]" && d != "0s" && !strings.Contains(usage, "default ") {
			usage += " (default " + d + ")"
		}
		p.item(term, usage)
	})
}
