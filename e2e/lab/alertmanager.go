package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
)

// Alertmanager is a running Alertmanager.
type Alertmanager struct {
	// URL is where its web interface is, Address what Prometheus has to be told.
	URL, Address string

	group *group
}

// Alert is an alert that an Alertmanager has.
type Alert struct {
	Labels map[string]string
	// Inhibited tells whether it is kept back because a worse one fires.
	Inhibited bool
}

// StartAlertmanager starts one with the content of an alertmanager.yml, without others beside it, and returns when it is ready.
func StartAlertmanager(ctx context.Context, config string) (*Alertmanager, error) {
	ports, err := FreePorts(1)
	if err != nil {
		return nil, err
	}
	group, err := newGroup()
	if err != nil {
		return nil, fmt.Errorf("start alertmanager: %w", err)
	}
	a := &Alertmanager{Address: fmt.Sprintf("127.0.0.1:%d", ports[0]), group: group}
	a.URL = "http://" + a.Address
	if err := a.start(ctx, config); err != nil {
		return nil, errors.Join(fmt.Errorf("start alertmanager: %w", err), a.Stop())
	}
	return a, nil
}

func (a *Alertmanager) start(ctx context.Context, config string) error {
	file := a.group.path("alertmanager.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	process, err := a.group.start("alertmanager", "prometheus-alertmanager", "--config.file="+file,
		"--storage.path="+a.group.path("data"), "--web.listen-address="+a.Address, "--cluster.listen-address=")
	if err != nil {
		return err
	}
	return waitReady(ctx, process, a.URL+"/-/ready")
}

// Alerts lists the alerts that fire.
func (a *Alertmanager) Alerts(ctx context.Context) ([]Alert, error) {
	body, err := get(ctx, a.URL+"/api/v2/alerts")
	if err != nil {
		return nil, fmt.Errorf("list alerts: %w", err)
	}
	alerts, err := parseAlerts(body)
	if err != nil {
		return nil, fmt.Errorf("list alerts: %w", err)
	}
	return alerts, nil
}

// parseAlerts reads the answer of /api/v2/alerts.
func parseAlerts(body []byte) ([]Alert, error) {
	var answer []struct {
		Labels map[string]string `json:"labels"`
		Status struct {
			InhibitedBy []string `json:"inhibitedBy"`
		} `json:"status"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("parse answer: %w", err)
	}
	alerts := make([]Alert, len(answer))
	for i, a := range answer {
		alerts[i] = Alert{Labels: a.Labels, Inhibited: len(a.Status.InhibitedBy) > 0}
	}
	return alerts, nil
}

// Stop kills it and removes what it has kept.
func (a *Alertmanager) Stop() error {
	if err := a.group.close(); err != nil {
		return fmt.Errorf("stop alertmanager: %w", err)
	}
	return nil
}
