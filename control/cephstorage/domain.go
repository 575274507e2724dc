package cephstorage

import (
	"slices"
	"strconv"
)

// wantedRule returns the CRUSH rule that pools are to have: copies on different hosts as soon as there are enough
// hosts, until then on different OSDs.
func wantedRule(hosts, size int) string {
	if hosts >= size {
		return hostRule
	}
	return osdRule
}

// rules makes the rule for too few hosts in a new cluster, and moves pools to that for enough hosts once there are. It
// never moves them back: a host that goes leaves copies missing, which is said, and not their safety lowered.
func (b *builder) rules() {
	want := wantedRule(len(b.g.members), b.g.options.Size)
	switch {
	case b.v.ceph == nil && want == osdRule:
		b.step(b.cephStep(b.v, "rule", "keep copies on different OSDs, as there are too few hosts",
			createOSDRule(), setDefaultRule("1")))
	case b.v.ceph != nil && want == hostRule:
		b.movePools()
	}
}

// movePools moves the pools that keep copies on different OSDs by cephctl's rule.
func (b *builder) movePools() {
	from, to := b.v.ceph.rule(osdRule), b.v.ceph.rule(hostRule)
	if from == nil || to == nil {
		return
	}
	var commands [][]string
	for _, p := range b.v.ceph.osds.Pools {
		if p.Rule == from.ID {
			commands = append(commands, []string{"osd", "pool", "set", p.Name, "crush_rule", to.Name})
		}
	}
	if len(commands) > 0 {
		commands = append(commands, setDefaultRule(strconv.Itoa(to.ID)))
		b.step(b.cephStep(b.v, "move-pools", "keep copies on different hosts, as there are enough now", commands...))
	}
}

func createOSDRule() []string {
	return []string{"osd", "crush", "rule", "create-replicated", osdRule, "default", "osd"}
}

func setDefaultRule(id string) []string {
	return []string{"config", "set", "global", "osd_pool_default_crush_rule", id}
}

func (c *cephView) rule(name string) *crushRule {
	i := slices.IndexFunc(c.rules, func(r crushRule) bool { return r.Name == name })
	if i < 0 {
		return nil
	}
	return &c.rules[i]
}

// pools makes the pool for instances.
func (b *builder) pools() {
	name := b.g.options.Pool
	if b.v.ceph != nil {
		if p := b.v.ceph.osds.pool(name); p != nil {
			if _, ok := p.Applications["rbd"]; !ok {
				b.step(b.cephStep(b.v, "pool "+name, "mark the pool "+name+" for RBD", enableRBD(name)))
			}
			return
		}
	}
	rule := wantedRule(len(b.g.members), b.g.options.Size)
	if b.v.ceph != nil && b.v.ceph.rule(rule) == nil {
		rule = hostRule
	}
	b.step(b.cephStep(b.v, "pool "+name, "make the pool "+name+" for the images of instances",
		[]string{"osd", "pool", "create", name, "--rule", rule}, enableRBD(name)))
}

func enableRBD(pool string) []string {
	return []string{"osd", "pool", "application", "enable", pool, "rbd"}
}
