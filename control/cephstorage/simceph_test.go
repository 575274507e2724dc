package cephstorage

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/control/run"
)

// simRunner runs commands on the master.
type simRunner struct{ *sim }

var _ control.Runner = simRunner{}

func (s simRunner) Run(ctx context.Context, stdin []byte, argv ...string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return nil, errDead
	}
	if ctx.Err() != nil {
		return nil, &run.Error{Argv: argv, Code: -1, Err: context.Cause(ctx)}
	}
	if len(argv) == len(cephCommand("-f", "json")) && argv[0] == "ceph" && len(stdin) > 0 {
		return s.answerAll(strings.Split(strings.TrimSpace(string(stdin)), "\n"))
	}
	out, err := s.answer(argv)
	return []byte(out), err
}

// answerAll answers what one process asks. It ends well also where a command does not, unless the mons do not answer.
func (s *sim) answerAll(lines []string) ([]byte, error) {
	var all strings.Builder
	for i, line := range lines {
		out, err := s.answer(append(cephCommand(strings.Fields(line)...), "-f", "json"))
		if i == 0 && err != nil {
			return nil, err
		}
		if err == nil {
			all.WriteString("\n" + out + "\n")
		}
	}
	return []byte(all.String()), nil
}

func (s *sim) answer(argv []string) (string, error) {
	line := strings.TrimPrefix(strings.Join(argv, " "), "ceph --connect-timeout 15 ")
	line = strings.TrimSuffix(line, " -f json")
	s.ran = append(s.ran, line)
	if s.intercept != nil {
		if out, err, ok := s.intercept(line); ok {
			return out, err
		}
	}
	words := strings.Fields(line)
	switch argv[0] {
	case "ceph-authtool":
		return "AQ" + strconv.Itoa(len(s.ran)) + "==\n", s.change()
	case "rbd":
		return s.answerRBD(words[1:]), nil
	}
	if !exists(s.path(defaultConfig)) || !exists(s.path(defaultKeyring)) || len(s.quorum()) == 0 {
		return "", failure(1, "timed out")
	}
	if out, ok := s.question(words); ok {
		return out, nil
	}
	if ok, err := s.ask(words); ok {
		return "", err
	}
	if err := s.change(); err != nil {
		return "", err
	}
	out, err, ok := s.command(words)
	if !ok {
		s.t.Errorf("unexpected command: %s", line)
	}
	return out, err
}

// answerRBD lists what is in images: those of the pool "p" as "p", of its namespace "n" as "p/n", and in the trash of
// either as "p trash".
func (s *sim) answerRBD(words []string) string {
	type named struct {
		Name string `json:"name"`
	}
	place := words[slices.Index(words, "--pool")+1]
	if i := slices.Index(words, "--namespace"); i >= 0 {
		place += "/" + words[i+1]
	}
	names := []named{}
	switch words[0] {
	case "ls":
		return toJSON(append([]string{}, s.images[place]...))
	case "trash":
		for _, image := range s.images[place+" trash"] {
			names = append(names, named{image})
		}
	case "namespace":
		for key := range s.images {
			if pool, namespace, ok := strings.Cut(key, "/"); ok && pool == place && !strings.HasSuffix(key, " trash") {
				names = append(names, named{namespace})
			}
		}
	}
	return toJSON(names)
}

func failure(code int, text string) error {
	return &run.Error{Argv: []string{"ceph"}, Code: code, Stderr: text}
}

func toJSON(v any) string {
	out, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(out)
}

type object = map[string]any

// question answers what only reads.
func (s *sim) question(words []string) (string, bool) {
	if len(words) == 3 && words[1] == "get" && strings.HasPrefix(words[2], "client.") && s.keys[words[2]] != "" {
		return toJSON([]object{{"entity": words[2], "key": secretOf(words[2]), "caps": capsIn(s.keys[words[2]])}}), true
	}
	if len(words) == 3 && words[1] == "ls-by-pool" {
		return toJSON(object{"pg_stats": s.pgsOf(words[2])}), true
	}
	switch strings.Join(words, " ") {
	case "quorum_status":
		return toJSON(object{"quorum_names": s.quorum(), "monmap": object{"fsid": s.fsid, "mons": s.monmap()}}), true
	case "health detail":
		return toJSON(object{"status": s.health(), "checks": s.checks()}), true
	case "mgr dump":
		return toJSON(s.mgrDump()), true
	case "osd dump":
		return toJSON(s.osdDump()), true
	case "osd tree":
		return toJSON(s.osdTree()), true
	case "osd crush rule dump":
		return toJSON(s.ruleDump()), true
	case "osd df":
		return toJSON(s.osdDF()), true
	case "df":
		pools := []object{}
		for _, p := range s.pools {
			pools = append(pools, object{"name": p.Name, "stats": object{"stored": 5 << 30}})
		}
		return toJSON(object{"pools": pools}), true
	case "osd metadata":
		out := []object{}
		for _, o := range s.osds {
			out = append(out, object{"id": o.ID, "default_device_class": "hdd"})
		}
		return toJSON(out), true
	case "config dump":
		return toJSON(s.configDump()), true
	case "status":
		s.arrive()
		return toJSON(s.status()), true
	case "mon getmap":
		return "monmap of " + s.fsid, true
	case "auth get mon.":
		return "[mon.]\n\tkey = " + secretOf("mon.") + "\n", true
	}
	return "", false
}

// pgsOf are the eight placement groups of a pool, each on the next OSDs that its rule can choose.
func (s *sim) pgsOf(pool string) []object {
	p := s.pool(pool)
	class := ""
	for _, r := range s.rules {
		if r.ID == p.Rule {
			class = r.Class
		}
	}
	var osds []int
	for _, o := range s.osds {
		if class == "" || o.Class == class {
			osds = append(osds, o.ID)
		}
	}
	var out []object
	for pg := range 8 {
		var acting []int
		for copy := range min(p.Size, len(osds)) {
			acting = append(acting, osds[(pg+copy)%len(osds)])
		}
		out = append(out, object{"pgid": fmt.Sprintf("%d.%d", p.ID, pg), "acting": acting})
	}
	return out
}

func (s *sim) arrive() { s.moving = max(0, s.moving-1) }

func (s *sim) monmap() []object {
	var out []object
	for i, m := range s.mons {
		var addrs []object
		for part := range strings.SplitSeq(strings.Trim(m.Addresses, "[]"), ",") {
			kind, addr, _ := strings.Cut(part, ":")
			addrs = append(addrs, object{"type": kind, "addr": addr, "nonce": 0})
		}
		out = append(out, object{"rank": i, "name": m.Name, "public_addrs": object{"addrvec": addrs}})
	}
	return out
}

func (s *sim) health() string {
	status := "HEALTH_OK"
	for _, c := range s.checks() {
		if c.Severity == "HEALTH_ERR" {
			return c.Severity
		}
		status = "HEALTH_WARN"
	}
	return status
}

func (s *sim) mgrDump() object {
	mgrs := s.mgrs()
	active, standbys := "", []object{}
	for i, name := range mgrs {
		if i == 0 {
			active = name
			continue
		}
		standbys = append(standbys, object{"name": name})
	}
	return object{"active_name": active, "available": active != "", "standbys": standbys}
}

func (s *sim) osdDump() object {
	osds, pools := []object{}, []object{}
	for _, o := range s.osds {
		state := []string{"exists"}
		if s.isUp(osdName(o.ID)) {
			state = append(state, "up")
		}
		if o.Destroyed {
			state = append(state, "destroyed")
		}
		if !o.booted {
			state = append(state, "new")
		}
		osds = append(osds, object{
			"osd": o.ID, "uuid": o.UUID, "up": number01(s.isUp(osdName(o.ID))), "in": number01(o.Weight > 0), "weight": o.Weight, "state": state,
			"public_addrs": object{"addrvec": []object{{"type": "v2", "addr": s.addressOf(o.Host) + ":6800", "nonce": 7}}},
		})
	}
	for _, p := range s.pools {
		apps := object{}
		for _, a := range p.Apps {
			apps[a] = object{}
		}
		kind := 1
		if p.Erasure {
			kind = 3
		}
		pools = append(pools, object{"pool": p.ID, "pool_name": p.Name, "type": kind, "size": p.Size, "min_size": p.MinSize, "crush_rule": p.Rule, "application_metadata": apps})
	}
	return object{"fsid": s.fsid, "flags_set": append([]string{}, s.flags...), "osds": osds, "pools": pools}
}

func number01(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

func (s *sim) osdTree() object {
	below := []int{}
	for i := range s.hosts {
		below = append(below, -2-i)
	}
	nodes := []object{{"id": -1, "name": "default", "type": "root", "children": below}}
	stray := []object{}
	for i, host := range s.hosts {
		children := []int{}
		for _, o := range s.osds {
			if o.Host == host {
				children = append(children, o.ID)
			}
		}
		slices.Reverse(children)
		nodes = append(nodes, object{"id": -2 - i, "name": host, "type": "host", "children": children})
	}
	for _, o := range s.osds {
		status := "down"
		if s.isUp(osdName(o.ID)) {
			status = "up"
		}
		n := object{"id": o.ID, "name": osdName(o.ID), "type": "osd", "status": status, "reweight": o.Weight, "device_class": o.Class}
		if o.Host == "" {
			stray = append(stray, n)
		} else {
			nodes = append(nodes, n)
		}
	}
	return object{"nodes": nodes, "stray": stray}
}

func (s *sim) ruleDump() []object {
	var out []object
	for _, r := range s.rules {
		take := "default"
		if r.Class != "" {
			take += "~" + r.Class
		}
		out = append(out, object{"rule_id": r.ID, "rule_name": r.Name, "steps": []object{
			{"op": "take", "item": -1, "item_name": take}, {"op": "chooseleaf_firstn", "num": 0, "type": r.Domain}, {"op": "emit"},
		}})
	}
	return out
}

func (s *sim) osdDF() object {
	nodes := []object{}
	for _, o := range s.osds {
		nodes = append(nodes, object{"id": o.ID, "kb": 1000.0, "kb_used": 1000 * s.full})
	}
	return object{"nodes": nodes}
}

func (s *sim) configDump() []object {
	out := []object{}
	for key, value := range s.config {
		section, name, _ := strings.Cut(key, " ")
		out = append(out, object{"section": section, "name": name, "value": value, "mask": ""})
	}
	return out
}

func (s *sim) status() object {
	states, total := []object{}, 0
	for name, count := range s.pgStates() {
		states = append(states, object{"state_name": name, "count": count})
		total += count
	}
	up, in := 0, 0
	for _, o := range s.osds {
		up += number01(s.isUp(osdName(o.ID)))
		in += number01(o.Weight > 0)
	}
	return object{
		"quorum_names": s.quorum(), "mgrmap": object{"available": len(s.mgrs()) > 0, "num_standbys": max(0, len(s.mgrs())-1)},
		"osdmap": object{"num_up_osds": up, "num_in_osds": in},
		"pgmap":  object{"num_pgs": total, "pgs_by_state": states},
	}
}

// ask answers what the mgr is asked.
func (s *sim) ask(words []string) (ok bool, err error) {
	if len(words) < 3 || words[0] != "osd" || words[1] != "ok-to-stop" && words[1] != "safe-to-destroy" {
		return false, nil
	}
	if len(s.mgrs()) == 0 {
		return true, failure(1, "timed out")
	}
	ids := idsOf(words[2:])
	if words[1] == "ok-to-stop" {
		return true, s.okToStop(ids)
	}
	return true, s.safeToDestroy(ids)
}

func idsOf(words []string) []int {
	var ids []int
	for _, w := range words {
		id, err := strconv.Atoi(w)
		if err != nil {
			panic(err)
		}
		ids = append(ids, id)
	}
	return ids
}

func (s *sim) okToStop(ids []int) error {
	for _, p := range s.pools {
		// As many copies go as failure domains, unless there is nothing on them.
		have := min(p.Size, s.places(p.Rule, nil))
		gone := s.places(p.Rule, nil) - s.places(p.Rule, ids)
		if gone > 0 && have-gone < p.MinSize {
			return failure(16, "Error EBUSY: unsafe to stop osd(s) at this time (8 PGs are or would become offline)")
		}
	}
	return nil
}

func (s *sim) safeToDestroy(ids []int) error {
	again := false
	defer s.arrive()
	for _, id := range ids {
		o := s.osd(id)
		switch {
		case o == nil || len(s.pools) == 0:
		case s.isUp(osdName(id)) && (o.Weight > 0 || s.moving > 1):
			return failure(16, fmt.Sprintf("Error EBUSY: OSD(s) %d have 8 pgs currently mapped to them", id))
		case s.moving > 0 || !s.isUp(osdName(id)) && !s.allClean():
			again = true
		}
	}
	if again {
		return failure(11, "Error EAGAIN: OSD(s) have no reported stats, and not all PGs are active+clean; we cannot draw any conclusions.")
	}
	return nil
}

func secretOf(entity string) string { return "AQ" + entity + "==" }

// command does what changes.
func (s *sim) command(w []string) (string, error, bool) { //nolint:revive // the error comes before ok
	is := func(begin string) bool {
		b := strings.Fields(begin)
		return len(w) >= len(b) && slices.Equal(w[:len(b)], b)
	}
	switch {
	case is("config set"):
		s.config[w[2]+" "+w[3]] = w[4]
	case is("config rm"):
		delete(s.config, w[2]+" "+w[3])
	case is("auth get-or-create"):
		out, err := s.getOrCreate(w[2], strings.Join(w[3:], " "))
		return out, err, true
	case is("auth caps"):
		s.keys[w[2]] = strings.Join(w[3:], " ")
	case is("auth get"):
		return "", failure(2, "Error ENOENT: failed to find "+w[2]+" in keyring"), true
	case is("auth print-key"):
		if s.keys[w[2]] == "" {
			return "", failure(2, "Error ENOENT: don't have "+w[2]), true
		}
		return secretOf(w[2]) + "\n", nil, true
	case is("auth del"):
		delete(s.keys, w[2])
	case is("mon remove"):
		s.mons = slices.DeleteFunc(s.mons, func(m simMon) bool { return m.Name == w[2] })
	case is("osd crush rule create-replicated"):
		if !slices.ContainsFunc(s.rules, func(r simRule) bool { return r.Name == w[4] }) {
			r := simRule{ID: 0, Name: w[4], Domain: w[6]}
			for slices.ContainsFunc(s.rules, func(o simRule) bool { return o.ID == r.ID }) {
				r.ID++
			}
			if len(w) > 7 {
				r.Class = w[7]
			}
			s.rules = append(s.rules, r)
		}
	case is("osd crush rule rm"):
		i := slices.IndexFunc(s.rules, func(r simRule) bool { return r.Name == w[4] })
		if i >= 0 && slices.ContainsFunc(s.pools, func(p *simPool) bool { return p.Rule == s.rules[i].ID }) {
			return "", failure(16, "Error EBUSY: crush rule "+w[4]+" is in use"), true
		}
		s.rules = slices.DeleteFunc(s.rules, func(r simRule) bool { return r.Name == w[4] })
	case is("osd crush rm-device-class"):
		for _, name := range w[3:] {
			s.osd(osdNumber(name)).Class = ""
		}
	case is("osd crush set-device-class"):
		for _, name := range w[4:] {
			o := s.osd(osdNumber(name))
			if o.Class != "" && o.Class != w[3] {
				return "", failure(16, "Error EBUSY: "+name+" has already bound to class '"+o.Class+"'"), true
			}
			o.Class = w[3]
		}
	case is("osd crush rm"):
		if slices.ContainsFunc(s.osds, func(o *simOSD) bool { return o.Host == w[3] }) {
			return "", failure(39, "Error ENOTEMPTY: (39) Directory not empty"), true
		}
		s.hosts = slices.DeleteFunc(s.hosts, func(h string) bool { return h == w[3] })
	case is("osd pool"):
		return "", s.poolCommand(w[2:]), true
	case is("osd new"):
		out, err := s.osdNew(w[2:])
		return out, err, true
	case is("osd"):
		err, ok := s.osdCommand(w[1:])
		return "", err, ok
	default:
		return "", failure(22, "Error EINVAL: invalid command"), false
	}
	return "", nil, true
}

// capsIn splits what an entity may do by kind of daemon.
func capsIn(text string) map[string]string {
	out, kind := map[string]string{}, ""
	for word := range strings.FieldsSeq(text) {
		if word == "mon" || word == "mgr" || word == "osd" || word == "mds" {
			kind = word
			continue
		}
		out[kind] = strings.TrimSpace(out[kind] + " " + word)
	}
	return out
}

func osdNumber(name string) int { return idsOf([]string{strings.TrimPrefix(name, "osd.")})[0] }

func (s *sim) getOrCreate(entity, caps string) (string, error) {
	have, ok := s.keys[entity]
	if ok && caps != "" && have != caps {
		return "", failure(22, "Error EINVAL: key for "+entity+" exists but cap osd does not match")
	}
	if !ok {
		s.keys[entity] = caps
	}
	return "[" + entity + "]\n\tkey = " + secretOf(entity) + "\n", nil
}

func (s *sim) poolCommand(w []string) error {
	switch w[0] {
	case "create":
		if s.pool(w[1]) != nil {
			return nil
		}
		rule := slices.IndexFunc(s.rules, func(r simRule) bool { return r.Name == w[3] })
		if rule < 0 {
			return failure(2, "Error ENOENT: specified rule "+w[3]+" doesn't exist")
		}
		s.pools = append(s.pools, &simPool{ID: len(s.pools) + 1, Name: w[1], Size: 3, MinSize: 2, Rule: s.rules[rule].ID})
		return nil
	case "rm":
		if s.config["mon mon_allow_pool_delete"] != "true" {
			return failure(1, "Error EPERM: pool deletion is disabled")
		}
		s.pools = slices.DeleteFunc(s.pools, func(p *simPool) bool { return p.Name == w[1] })
		return nil
	case "application":
		w = w[1:]
	}
	p := s.pool(w[1])
	switch {
	case p == nil:
		return failure(2, "Error ENOENT: unrecognized pool '"+w[1]+"'")
	case w[0] == "enable" && !slices.Contains(p.Apps, w[2]):
		p.Apps = append(p.Apps, w[2])
	case w[0] == "set" && w[2] == "size":
		p.Size, _ = strconv.Atoi(w[3])
		p.MinSize = min(p.MinSize, p.Size)
	case w[0] == "set" && w[2] == "crush_rule":
		p.Rule = s.rules[slices.IndexFunc(s.rules, func(r simRule) bool { return r.Name == w[3] })].ID
	}
	return nil
}

func (s *sim) osdNew(w []string) (string, error) {
	for _, o := range s.osds {
		if o.UUID == w[0] {
			if len(w) > 1 && w[1] != strconv.Itoa(o.ID) {
				return "", failure(17, "Error EEXIST: uuid is that of "+osdName(o.ID))
			}
			return strconv.Itoa(o.ID) + "\n", nil
		}
	}
	if len(w) > 1 {
		o := s.osd(idsOf(w[1:])[0])
		if o == nil || !o.Destroyed {
			return "", failure(22, "Error EINVAL: id already in use and does not match uuid "+w[0])
		}
		o.UUID, o.Destroyed = w[0], false
		return strconv.Itoa(o.ID) + "\n", nil
	}
	id := 0
	for s.osd(id) != nil {
		id++
	}
	s.osds = append(s.osds, &simOSD{ID: id, UUID: w[0]})
	return strconv.Itoa(id) + "\n", nil
}

func (s *sim) osdCommand(w []string) (err error, ok bool) { //nolint:revive // the error comes before ok
	switch w[0] {
	case "out", "in":
		for _, id := range idsOf(w[1:]) {
			if o := s.osd(id); o != nil { // of another, "does not exist", and exit status 0
				s.weigh(o, float64(number01(w[0] == "in")))
			}
		}
		return nil, true
	case "reweight":
		weight, err := strconv.ParseFloat(w[2], 64)
		if err != nil {
			return err, true
		}
		s.weigh(s.osd(idsOf(w[1:2])[0]), weight)
		return nil, true
	case "purge", "destroy":
		return s.osdAway(w[0], idsOf(w[1:2])[0]), true
	}
	return failure(22, "Error EINVAL"), false
}

func (s *sim) weigh(o *simOSD, weight float64) {
	if (o.Weight > 0) != (weight > 0) && len(s.pools) > 0 {
		s.moving = 3
	}
	if weight > 0 && o.Weight > 0 && weight == 1 {
		return // in already: osd in changes nothing
	}
	o.Weight = weight
}

func (s *sim) osdAway(how string, id int) error {
	o := s.osd(id)
	switch {
	case o == nil:
		return nil // "osd.7 does not exist", and exit status 0
	case s.isUp(osdName(id)):
		return failure(16, fmt.Sprintf("Error EBUSY: %s is not `down`.", osdName(id)))
	}
	delete(s.keys, osdName(id))
	if how == "destroy" {
		o.Destroyed, o.UUID = true, "00000000-0000-0000-0000-000000000000"
		return nil
	}
	s.osds = slices.DeleteFunc(s.osds, func(o *simOSD) bool { return o.ID == id })
	return nil
}

// addressOf returns the address of the node with this host name.
func (s *sim) addressOf(host string) string {
	for _, n := range s.nodes {
		if n.Host == host {
			return n.address
		}
	}
	return ""
}
