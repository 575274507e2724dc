package main

import "regexp"

// pattern is a regular expression as a flag. It must match the whole name, as in Prometheus.
type pattern struct {
	text string
	re   *regexp.Regexp
}

// String implements pflag.Value.
func (p *pattern) String() string { return p.text }

// Type implements pflag.Value.
func (p *pattern) Type() string { return "regexp" }

// Set implements pflag.Value.
func (p *pattern) Set(text string) error {
	p.text, p.re = text, nil
	if text == "" {
		return nil
	}
	re, err := regexp.Compile("^(?:" + text + ")$")
	p.re = re
	return err
}
