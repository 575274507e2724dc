package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"
)

// httpTimeout bounds every HTTP request of the lab.
const httpTimeout = time.Minute

// PrometheusOptions says what StartPrometheus starts.
type PrometheusOptions struct {
	// Listen is the address for the web interface and the API. Default: a free port of 127.0.0.1.
	Listen string
	// Config is the content of prometheus.yml.
	Config string
	// Files are further files beside it, by name, such as those that it names as rule_files.
	Files map[string][]byte
}

// Prometheus is a running Prometheus server.
type Prometheus struct {
	// URL is where its web interface is.
	URL string

	group *group
}

// Sample is one series and its value.
type Sample struct {
	Labels map[string]string
	Value  string
}

// StartPrometheus starts a server with an empty database and returns when it is ready.
func StartPrometheus(ctx context.Context, options PrometheusOptions) (*Prometheus, error) {
	if options.Listen == "" {
		ports, err := FreePorts(1)
		if err != nil {
			return nil, err
		}
		options.Listen = fmt.Sprintf("127.0.0.1:%d", ports[0])
	}
	group, err := newGroup()
	if err != nil {
		return nil, fmt.Errorf("start prometheus: %w", err)
	}
	p := &Prometheus{URL: "http://" + options.Listen, group: group}
	if err := p.start(ctx, options); err != nil {
		return nil, errors.Join(fmt.Errorf("start prometheus: %w", err), p.Stop())
	}
	return p, nil
}

func (p *Prometheus) start(ctx context.Context, options PrometheusOptions) error {
	config := p.group.path("prometheus.yml")
	if err := os.WriteFile(config, []byte(options.Config), 0o600); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	for name, content := range options.Files {
		if err := os.WriteFile(p.group.path(name), content, 0o600); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	process, err := p.group.start("prometheus", "prometheus", "--config.file="+config,
		"--storage.tsdb.path="+p.group.path("data"), "--web.listen-address="+options.Listen)
	if err != nil {
		return err
	}
	return waitReady(ctx, process, p.URL+"/-/ready")
}

// Stop kills the server and removes its database.
func (p *Prometheus) Stop() error {
	if err := p.group.close(); err != nil {
		return fmt.Errorf("stop prometheus: %w", err)
	}
	return nil
}

// Query evaluates an expression that gives an instant vector, now.
func (p *Prometheus) Query(ctx context.Context, expr string) ([]Sample, error) {
	body, err := get(ctx, p.URL+"/api/v1/query?query="+url.QueryEscape(expr))
	if err != nil {
		return nil, fmt.Errorf("query %s: %w", expr, err)
	}
	samples, err := parseVector(body)
	if err != nil {
		return nil, fmt.Errorf("query %s: %w", expr, err)
	}
	return samples, nil
}

// parseVector reads the answer of /api/v1/query.
func parseVector(body []byte) ([]Sample, error) {
	var answer struct {
		Data struct {
			Result []struct {
				Metric map[string]string `json:"metric"`
				Value  [2]any            `json:"value"`
			} `json:"result"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("parse answer: %w", err)
	}
	samples := make([]Sample, 0, len(answer.Data.Result))
	for _, series := range answer.Data.Result {
		samples = append(samples, Sample{Labels: series.Metric, Value: fmt.Sprint(series.Value[1])})
	}
	return samples, nil
}

// waitReady waits until a server answers a URL with status 200.
func waitReady(ctx context.Context, process *process, url string) error {
	return waitFor(ctx, url, quickPoll, func() (bool, error) {
		_, err := get(ctx, url)
		return err == nil, process.alive()
	})
}

// get returns the body that a URL answers with. Any status but 200 is an error.
func get(ctx context.Context, url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, httpTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %s: %.200s", response.Status, body)
	}
	return body, err
}
