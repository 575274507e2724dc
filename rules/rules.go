// Package rules has the alert rules that ship with the exporter, as files for Prometheus and Alertmanager.
package rules

import "embed"

// Files are the rules, *.yml for Prometheus, and alertmanager.yml.example, for Alertmanager.
//
//go:embed loopback.yml alertmanager.yml.example
var Files embed.FS

// Prometheus are the names of the files that Prometheus loads.
func Prometheus() []string { return []string{"loopback.yml"} }
