package main

import (
	"bytes"
	"testing"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/ceph/loopback"
	"github.com/ceph-ganeti/ceph-ganeti-exporter/cmd/internal/clitest"
)

func TestLoopbackPlanTable(t *testing.T) {
	plan := &loopbackPlan{
		Known: true, Missing: []string{"how much pools hold: no mgr"},
		Meetings: []loopbackMeeting{
			{Group: "default", Node: "node1", Pool: "rbd", Access: "kernelspace", Cache: "writeback", Level: loopback.Warning, PGs: 32, Here: 20, Instances: []string{"web1", "web2"}},
			{Group: "default", Node: "node2", Pool: "rbd", Access: "kernelspace", Cache: "writeback", Level: loopback.Warning},
		},
		Moves: []loopbackMove{
			{Group: "default", Pool: "rbd", Text: "let QEMU open the images itself", Commands: []string{"cephctl group modify"}, Restarts: []string{"web1", "web2"}},
			{Group: "default", Pool: "rbd", Text: "keep the images elsewhere", Commands: []string{"cephctl pool create"}, MovesBytes: 5<<30 + 1},
			{Group: "default", Pool: "rbd", Text: "run the instances elsewhere", Lacks: "a group of nodes"},
		},
	}
	var out bytes.Buffer
	(&app{}).writeLoopbackPlan(&out, plan)
	out.WriteString("\n")
	(&app{}).writeLoopbackPlan(&out, &loopbackPlan{})
	clitest.Generated(t, "testdata/loopback_plan.golden", out.Bytes())
}

func TestMeetingResult(t *testing.T) {
	for want, levels := range map[int][]loopback.Level{0: nil, 12: {loopback.Notice}, 13: {loopback.Notice, loopback.Warning}} {
		plan := &loopbackPlan{}
		for _, l := range levels {
			plan.Meetings = append(plan.Meetings, loopbackMeeting{Level: l})
		}
		if got := exitCode(meetingResult(plan)); got != want {
			t.Errorf("%v: exit code %d, want %d", levels, got, want)
		}
	}
}
