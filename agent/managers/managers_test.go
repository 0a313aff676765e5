package managers

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

const (
	nm       = "run/systemd/units/invocation:NetworkManager.service"
	networkd = "run/systemd/units/invocation:systemd-networkd.service"
)

// Who has a link, by the files of each program, and how it is handed over.
func TestFault_B9(t *testing.T) {
	eth0 := Link{Index: 2, Name: "eth0"}
	for name, tc := range map[string]struct {
		files   Files
		manager string // empty for nobody
		reason  string
		hand    []string
	}{
		"nothing": {Files{}, "", "", nil},
		"NetworkManager": {
			Files{nm: "", "run/NetworkManager/devices/2": "[device]\nmanaged=1\nconnection-uuid=4a\n"},
			NetworkManager, "/run/NetworkManager/devices/2 says managed=1", []string{
				`printf '[keyfile]\nunmanaged-devices+=interface-name:=eth0\n' > /etc/NetworkManager/conf.d/90-hostnic-eth0.conf`,
				"systemctl reload NetworkManager",
			},
		},
		"NetworkManager leaves it alone": {Files{nm: "", "run/NetworkManager/devices/2": "[device]\nmanaged=0\n"}, "", "", nil},
		"NetworkManager has another":     {Files{nm: "", "run/NetworkManager/devices/3": "[device]\nmanaged=true\n"}, "", "", nil},
		"NetworkManager does not run":    {Files{"run/NetworkManager/devices/2": "[device]\nmanaged=1\n"}, "", "", nil},
		"networkd": {
			Files{networkd: "", "run/systemd/netif/links/2": "ADMIN_STATE=configured\nNETWORK_FILE=/etc/systemd/network/10-lan.network\n"},
			Networkd, "/run/systemd/netif/links/2 says ADMIN_STATE=configured, by /etc/systemd/network/10-lan.network", []string{
				`printf '[Match]\nName=eth0\n[Link]\nUnmanaged=yes\n' > /etc/systemd/network/00-hostnic-eth0.network`,
				"networkctl reload",
			},
		},
		"networkd leaves it alone": {Files{networkd: "", "run/systemd/netif/links/2": "ADMIN_STATE=unmanaged\n"}, "", "", nil},
		"networkd does not run":    {Files{"run/systemd/netif/links/2": "ADMIN_STATE=configured\n"}, "", "", nil},
		"networkd, from cloud-init": {
			Files{networkd: "", "run/systemd/netif/links/2": "ADMIN_STATE=configuring\nNETWORK_FILE=/run/systemd/network/10-cloud-init-eth0.network\n"},
			Networkd, "/run/systemd/netif/links/2 says ADMIN_STATE=configuring, by /run/systemd/network/10-cloud-init-eth0.network, which cloud-init has written", []string{
				`printf '[Match]\nName=eth0\n[Link]\nUnmanaged=yes\n' > /etc/systemd/network/00-hostnic-eth0.network`,
				"networkctl reload",
				"echo 'network: {config: disabled}' > /etc/cloud/cloud.cfg.d/99-hostnic.cfg",
			},
		},
		"ifupdown": {
			Files{
				"usr/sbin/ifup":                     "",
				"etc/network/interfaces":            "# The lan.\nauto lo eth1 eth0\niface lo inet loopback\n\nsource interfaces.d/*\nallow-hotplug eth0\niface eth0 inet static\n\taddress 192.0.2.1/24\n\n\tgateway 192.0.2.254\n# eth1\niface eth1 inet dhcp\n",
				"etc/network/interfaces.d/50-other": "iface eth9 inet dhcp\n",
			},
			Ifupdown, "/etc/network/interfaces has a stanza for it in line 7", []string{
				`sed -i '7,10s/^/# /' /etc/network/interfaces`,
				`sed -i '2s/[[:space:]]eth0\b//' /etc/network/interfaces`,
				`sed -i '6s/[[:space:]]eth0\b//' /etc/network/interfaces`,
			},
		},
		"ifupdown, from cloud-init": {
			Files{
				"usr/sbin/ifup":                          "",
				"etc/network/interfaces":                 "source /etc/network/interfaces.d/*\nsource-directory /etc/network/interfaces.d\n",
				"etc/network/interfaces.d/50-cloud-init": "auto eth0\niface eth0 inet dhcp\n",
			},
			Ifupdown, "/etc/network/interfaces.d/50-cloud-init has a stanza for it in line 2, which cloud-init has written", []string{
				`sed -i '2,2s/^/# /' /etc/network/interfaces.d/50-cloud-init`,
				`sed -i '1s/[[:space:]]eth0\b//' /etc/network/interfaces.d/50-cloud-init`,
				"echo 'network: {config: disabled}' > /etc/cloud/cloud.cfg.d/99-hostnic.cfg",
			},
		},
		"ifupdown is not installed": {Files{"etc/network/interfaces": "iface eth0 inet dhcp\n"}, "", "", nil},
		"it includes itself":        {Files{"usr/sbin/ifup": "", "etc/network/interfaces": "source interfaces*\nsource *\n"}, "", "", nil},
	} {
		claims := tc.files.Claims([]Link{eth0, {Index: 1, Name: "lo"}})
		if tc.manager == Ifupdown && name == "ifupdown" {
			claims = claims[:1] // lo has a stanza, too
		}
		if tc.manager == "" && len(claims) == 0 {
			continue
		}
		if len(claims) != 1 || claims[0].Manager != tc.manager || claims[0].Reason != tc.reason || claims[0].Link != eth0 || (claims[0].Drop == nil) != (tc.manager == Ifupdown) {
			t.Errorf("%s: %+v", name, claims)
			continue
		}
		if diff := cmp.Diff(tc.hand, claims[0].HandOver); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// tree is a host below a folder.
func tree(t *testing.T, files fstest.MapFS) Host {
	t.Helper()
	root := t.TempDir()
	if err := os.CopyFS(root, files); err != nil {
		t.Fatal(err)
	}
	return Host{Root: root, Log: slog.New(slog.DiscardHandler)}
}

func (h Host) put(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(h.Root, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Taking a link over writes one file and has it read; giving it back leaves everything
// as it was found.
func TestTakeOver(t *testing.T) {
	h := tree(t, fstest.MapFS{
		networkd:                                   {Data: []byte("")},
		"run/systemd/netif/links/2":                {Data: []byte("ADMIN_STATE=configured\n")},
		"run/systemd/netif/links/3":                {Data: []byte("ADMIN_STATE=configured\n")},
		"etc/systemd/network/10-lan.network":       {Data: []byte("[Match]\nName=eth*\n")},
		"etc/systemd/network/00-hostnic-x.y":       {Data: []byte("not ours\n")},
		"etc/systemd/network/00-hostnic-z.network": {Data: []byte("not ours either\n")},
	})
	before := h.Files()
	var ran []string
	h.Run = func(_ context.Context, command []string) error {
		ran = append(ran, strings.Join(command, " "))
		state := "configured"
		if _, err := os.Stat(filepath.Join(h.Root, "etc/systemd/network/00-hostnic-eth0.network")); err == nil {
			state = "unmanaged"
		}
		h.put(t, "run/systemd/netif/links/2", "ADMIN_STATE="+state+"\n")
		return nil
	}
	links := []Link{{2, "eth0"}}
	claims := h.Claims(links)
	if err := h.TakeOver(t.Context(), claims); err != nil || len(claims) != 1 || len(ran) != 1 {
		t.Fatalf("%v, %v, %q", claims, err, ran)
	}
	if left := h.Claims(links); len(left) != 0 {
		t.Errorf("still claimed: %v", left)
	}
	if err := h.Release(t.Context(), func(link string) bool { return link == "eth0" }); err != nil || len(ran) != 1 {
		t.Errorf("%v, %q", err, ran)
	}
	if err := h.Release(t.Context(), func(string) bool { return false }); err != nil || len(ran) != 2 {
		t.Errorf("%v, %q", err, ran)
	}
	if diff := cmp.Diff(before, h.Files()); diff != "" {
		t.Errorf("given back (-before +after):\n%s", diff)
	}
	// A program that does not read its files: nothing is left of the attempt.
	h.Run = func(context.Context, []string) error { return errors.New("no bus") }
	if err := h.TakeOver(t.Context(), h.Claims(links)); err == nil || !strings.Contains(err.Error(), "no bus") {
		t.Errorf("%v", err)
	}
	if diff := cmp.Diff(before, h.Files()); diff != "" {
		t.Errorf("after an attempt (-before +after):\n%s", diff)
	}
}
