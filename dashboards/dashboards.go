// Package dashboards has the dashboards for Grafana that ship with the exporter.
package dashboards

import "embed"

// Files are the dashboards, as JSON that Grafana imports.
//
//go:embed *.json
var Files embed.FS
