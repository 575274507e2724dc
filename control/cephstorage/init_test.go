package cephstorage

import "testing"

func TestInit(t *testing.T) {
	s := newSim(t, 3, nil)
	s.must(s.init())
	s.nothing(s.init())
}
