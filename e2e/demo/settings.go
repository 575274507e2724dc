package main

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

// settings is what the user can change, by environment variables.
type settings struct {
	// duration is how long the demo runs on after its summary. 0 is until it is stopped.
	duration time.Duration
	// exporter and prometheus are the ports of 127.0.0.1 that the two listen on.
	exporter, prometheus int
}

func readSettings() (settings, error) {
	seconds, err := number("DEMO_SECONDS", 0)
	if err != nil {
		return settings{}, err
	}
	exporter, err := number("DEMO_EXPORTER_PORT", 19283)
	if err != nil {
		return settings{}, err
	}
	prometheus, err := number("DEMO_PROMETHEUS_PORT", 9090)
	if err != nil {
		return settings{}, err
	}
	if exporter == prometheus {
		return settings{}, fmt.Errorf("DEMO_EXPORTER_PORT and DEMO_PROMETHEUS_PORT are both %d: give two ports", exporter)
	}
	return settings{duration: time.Duration(seconds) * time.Second, exporter: exporter, prometheus: prometheus}, nil
}

// number reads an environment variable that holds a whole number above 0.
func number(variable string, otherwise int) (int, error) {
	text := os.Getenv(variable)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 {
		return 0, fmt.Errorf("%s=%s: want a whole number above 0", variable, text)
	}
	return n, nil
}
