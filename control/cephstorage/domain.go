package cephstorage

import (
	"slices"
	"strconv"
)

// defaultRule is the option that says by which rule pools are made that name none, such as the mgr's own.
const defaultRule = "osd_pool_default_crush_rule"

// wantedRule returns the CRUSH rule that pools are to have: copies on different hosts as soon as there are enough
// hosts, until then on different OSDs.
func wantedRule(hosts, size int) string {
	if hosts >= size {
		return hostRule
	}
	return osdRule
}

// rules makes the rule for too few hosts in a cluster that is being made. Pools are moved to that for enough hosts once
// there are, and never back: a host that goes leaves copies missing, which is said, and not their safety lowered.
func (b *builder) rules() {
	if b.isInitialised() || wantedRule(b.g.hosts(), b.g.options.Size) != osdRule {
		return
	}
	var commands [][]string
	id := b.v.ceph.osdRuleID()
	if b.v.ceph.rule(osdRule) == nil {
		commands = append(commands, createOSDRule())
	}
	if b.v.ceph.setting("global", defaultRule) != id {
		commands = append(commands, setDefaultRule(id))
	}
	if len(commands) > 0 {
		b.step(b.cephStep(b.v, "rule", "keep copies on different OSDs, as there are too few hosts", commands...))
	}
}

// osdRuleID returns the number of the rule for too few hosts: that which it has, or which it will get, the first that
// is free.
func (c *cephView) osdRuleID() string {
	if r := c.rule(osdRule); r != nil {
		return strconv.Itoa(r.ID)
	}
	if c == nil {
		return "1" // a new cluster has one rule
	}
	id := 0
	for slices.ContainsFunc(c.rules, func(r crushRule) bool { return r.ID == id }) {
		id++
	}
	return strconv.Itoa(id)
}

// movePools moves the pools that keep copies on different OSDs by cephctl's rule, once there are enough hosts. The OSDs
// of all hosts have to be up by then: else copies would leave the OSDs that they are on before there is another place.
func (b *builder) movePools() {
	from, to := b.v.ceph.rule(osdRule), b.v.ceph.rule(hostRule)
	if from == nil || to == nil || wantedRule(b.g.hosts(), b.g.options.Size) != hostRule {
		return
	}
	var commands [][]string
	for _, p := range b.v.ceph.osds.Pools {
		if p.Rule == from.ID && p.Size <= b.g.hosts() {
			commands = append(commands, []string{"osd", "pool", "set", p.Name, "crush_rule", to.Name})
		}
	}
	if b.v.ceph.setting("global", defaultRule) == strconv.Itoa(from.ID) {
		commands = append(commands, setDefaultRule(strconv.Itoa(to.ID)))
	}
	if len(commands) > 0 {
		b.settle("up")
		b.step(b.cephStep(b.v, "move-pools", "keep copies on different hosts, as there are enough now", commands...))
	}
}

func createOSDRule() []string {
	return []string{"osd", "crush", "rule", "create-replicated", osdRule, "default", "osd"}
}

func setDefaultRule(id string) []string {
	return []string{"config", "set", "global", defaultRule, id}
}

func (c *cephView) rule(name string) *crushRule {
	if c == nil {
		return nil
	}
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
	rule := wantedRule(b.g.hosts(), b.g.options.Size)
	if b.isInitialised() && b.v.ceph.rule(rule) == nil {
		rule = hostRule
	}
	b.step(b.cephStep(b.v, "pool "+name, "make the pool "+name+" for the images of instances",
		[]string{"osd", "pool", "create", name, "--rule", rule}, enableRBD(name)))
}

func enableRBD(pool string) []string {
	return []string{"osd", "pool", "application", "enable", pool, "rbd"}
}
