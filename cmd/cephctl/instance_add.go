package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/kvm"
)

// instanceAddOptions are the flags of instance add.
type instanceAddOptions struct {
	changeOptions
	node, memory string
	vcpus        int
	disks, nics  []string
}

func newInstanceAddCommand(a *app) *cobra.Command {
	opts := instanceAddOptions{}
	cmd := &cobra.Command{
		Use:   "add --node NODE --disk {image=NAME | size=SIZE[,image=NAME]}... [--nic MODE]... INSTANCE",
		Short: "Add an instance",
		Long: `Adds an instance. A disk with a size gets an image of that size, which is made; one without has an image that exists.
Where images are is said by the disk parameters of the node's group, and stays so for this instance. Sizes have one of
the suffixes M, G and T. A NIC is "user" (the guest reaches out and nobody reaches it) or "bridge=NAME" (a tap device on a
bridge of the node), with mac=ADDRESS when it is to have a certain one; without --nic there is none.
` + exitStatus,
		Example: `  cephctl instance add --node node1 --disk image=debian12 web1
  cephctl instance add --node node1 --memory 2G --vcpus 2 --disk size=20G --disk size=100G,image=data1 --nic bridge=br0 db1`,
		Args: arguments(1, 1, "the name of the instance"),
		RunE: func(cmd *cobra.Command, args []string) error { return runInstanceAdd(cmd.Context(), a, opts, args[0]) },
	}
	cmd.Flags().StringVar(&opts.node, "node", "", "node that it runs on (default: the only one)")
	cmd.Flags().StringVar(&opts.memory, "memory", "512M", "memory")
	cmd.Flags().IntVar(&opts.vcpus, "vcpus", 1, "processors")
	cmd.Flags().StringArrayVar(&opts.disks, "disk", nil, "disk, as image=NAME, size=SIZE or both; may be repeated, and the first is booted from")
	cmd.Flags().StringArrayVar(&opts.nics, "nic", nil, "network card, as user or bridge=NAME, with mac=ADDRESS; may be repeated")
	_ = cmd.RegisterFlagCompletionFunc("node", a.completeNodes) // fails without such a flag only
	completeValues(cmd, "nic", "user", "bridge=")
	completeValues(cmd, "disk", "image=", "size=")
	opts.register(cmd)
	return cmd
}

func runInstanceAdd(ctx context.Context, a *app, opts instanceAddOptions, name string) error {
	i, err := opts.instance(a, name)
	if err != nil {
		return fmt.Errorf("%w: %w", control.ErrUsage, err)
	}
	c, _, err := a.cluster(ctx)
	if err != nil {
		return err
	}
	if opts.node == "" {
		if len(c.Nodes) != 1 {
			return fmt.Errorf("%w: there are %d nodes: give --node", control.ErrUsage, len(c.Nodes))
		}
		opts.node = c.Nodes[0].Name
	}
	n, err := findNode(c, opts.node)
	if err != nil {
		return err
	}
	i.Node = n.Name
	return a.change(ctx, opts.changeOptions, func(env *control.Env) control.Change { return a.instances(env).Add(i) })
}

// instance returns what the flags say. The error has all that is wrong.
func (o *instanceAddOptions) instance(a *app, name string) (control.Instance, error) {
	i := control.Instance{Name: name, VCPUs: o.vcpus}
	wrong := []error{checkInstanceName(name)}
	var err error
	if i.MemoryBytes, err = parseSize(o.memory); err != nil {
		wrong = append(wrong, fmt.Errorf("--memory %s: %w", o.memory, err))
	}
	if o.vcpus < 1 {
		wrong = append(wrong, fmt.Errorf("--vcpus %d: give a number over zero", o.vcpus))
	}
	for _, text := range o.disks {
		d, err := a.parseDisk(text)
		if err != nil {
			err = fmt.Errorf("--disk %s: %w", text, err)
		}
		i.Disks, wrong = append(i.Disks, d), append(wrong, err)
	}
	for _, text := range o.nics {
		n, err := parseNIC(text)
		if err != nil {
			err = fmt.Errorf("--nic %s: %w", text, err)
		}
		i.NICs, wrong = append(i.NICs, n), append(wrong, err)
	}
	return i, errors.Join(wrong...)
}

// checkInstanceName refuses what can't be the name of an instance. It becomes part of the paths of sockets.
func checkInstanceName(name string) error {
	const most = 64
	if !nameForm.MatchString(name) || len(name) > most {
		return fmt.Errorf("instance %q: give letters, digits, dots and hyphens, %d at most, with a letter or digit first", name, most)
	}
	return nil
}

// parseDisk parses a value of --disk.
func (a *app) parseDisk(text string) (control.Disk, error) {
	d := control.Disk{Template: a.diskTemplates()[0].Name()}
	words, err := parseWords(text, "image", "size", "template")
	if err != nil {
		return d, err
	}
	if name, ok := words["template"]; ok {
		d.Template = name
	}
	d.Image = words["image"]
	if size, ok := words["size"]; ok {
		if d.SizeBytes, err = parseSize(size); err != nil {
			return d, err
		}
	}
	if strings.ContainsAny(d.Image, "/@") || strings.ContainsFunc(d.Image, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return d, errors.New("the name of an image has no slash, at sign or control character")
	}
	if d.Image == "" && d.SizeBytes == 0 {
		return d, errors.New("give image=NAME, size=SIZE or both")
	}
	return d, nil
}

// parseNIC parses a value of --nic.
func parseNIC(text string) (control.NIC, error) {
	words, err := parseWords(text, "user", "bridge", "mac")
	if err != nil {
		return control.NIC{}, err
	}
	_, user := words["user"]
	n := control.NIC{Mode: kvm.ModeUser, Bridge: words["bridge"], MAC: words["mac"]}
	switch {
	case user == (n.Bridge != ""):
		return n, errors.New("give user, or bridge=NAME")
	case n.Bridge != "":
		n.Mode = kvm.ModeBridged
		if !nameForm.MatchString(n.Bridge) || len(n.Bridge) > 15 {
			return n, fmt.Errorf("%q is not the name of a bridge", n.Bridge)
		}
	}
	if n.MAC != "" {
		mac, err := net.ParseMAC(n.MAC)
		if err != nil || len(mac) != 6 || mac[0]&1 != 0 {
			return n, fmt.Errorf("%q is not the address of a network card, for example 52:54:00:12:34:56", n.MAC)
		}
		n.MAC = mac.String()
	}
	return n, nil
}

// parseWords parses "name=value,name". A backslash before a comma makes it part of a value.
func parseWords(text string, names ...string) (map[string]string, error) {
	words := make(map[string]string)
	for _, part := range control.SplitEscaped(text) {
		name, value, _ := strings.Cut(part, "=")
		known := false
		for _, n := range names {
			known = known || n == name
		}
		if _, twice := words[name]; twice || !known {
			return nil, fmt.Errorf("%q: give %s, each once", part, either(names))
		}
		words[name] = value
	}
	return words, nil
}
