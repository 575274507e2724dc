package cephstorage

import "slices"

// placeMons returns the hosts that are to have a mon: those of the members that have one stay, and the first others
// are added until there are as many as wanted. The number is odd where mons are added, so that they grow from 1 to 3
// and never stay at 2; two that a node has left behind are not made one, as that one would be the only copy. Those of
// members that are away count, as these may come back, and nothing new comes to them.
func placeMons(members, away, have []string, want int) []string {
	mons := append(intersect(members, have), intersect(away, have)...)
	target := min(want, len(members)+len(intersect(away, have)))
	if target%2 == 0 {
		target--
	}
	return fill(mons, members, target)
}

// placeMgrs returns the hosts that are to have a mgr: one is active and one stands by. Hosts with a mon come first.
func placeMgrs(members, have, mons []string) []string {
	const want = 2
	candidates := append(intersect(members, mons), members...)
	return fill(intersect(members, have), candidates, min(want, len(members)))
}

// fill appends candidates that are not in the list until it has n.
func fill(list, candidates []string, n int) []string {
	list = slices.Clone(list)
	for _, c := range candidates {
		if len(list) >= n {
			break
		}
		if !slices.Contains(list, c) {
			list = append(list, c)
		}
	}
	return list
}

// intersect returns the elements of a that are in b, in the order of a.
func intersect[T comparable](a, b []T) []T {
	var out []T
	for _, x := range a {
		if slices.Contains(b, x) {
			out = append(out, x)
		}
	}
	return out
}

// without returns the elements of a that are not in b, in the order of a.
func without(a, b []string) []string {
	var out []string
	for _, x := range a {
		if !slices.Contains(b, x) {
			out = append(out, x)
		}
	}
	return out
}
