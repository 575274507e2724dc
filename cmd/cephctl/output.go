package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"
)

const (
	outputTable = "table"
	outputJSON  = "json"
	outputYAML  = "yaml"
)

// outputs are the values of -o.
var outputs = []string{outputTable, outputJSON, outputYAML}

// print writes a value to standard output in the form that -o asks for; text writes it for people.
func (a *app) print(value any, text func(w io.Writer)) error {
	var out bytes.Buffer
	switch a.config.Output {
	case outputJSON, outputYAML:
		if err := encode(&out, value, a.config.Output); err != nil {
			return fmt.Errorf("encode the output: %w", err)
		}
	default:
		text(&out)
	}
	if _, err := a.out.Write(out.Bytes()); err != nil {
		return fmt.Errorf("write the output: %w", err)
	}
	return nil
}

func encode(out io.Writer, value any, form string) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	if form == outputJSON {
		_, err = out.Write(append(text, '\n'))
		return err
	}
	var node yaml.Node // JSON is YAML; this way both have the same keys in the same order
	if err := yaml.Unmarshal(text, &node); err != nil {
		return err
	}
	plain(&node)
	enc := yaml.NewEncoder(out)
	enc.SetIndent(2)
	if err := enc.Encode(&node); err != nil {
		return err
	}
	return enc.Close()
}

// plain takes the braces and quotes of JSON away.
func plain(node *yaml.Node) {
	node.Style = 0
	for _, n := range node.Content {
		plain(n)
	}
}
