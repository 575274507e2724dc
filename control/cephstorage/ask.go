package cephstorage

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
)

// ask runs a command of Ceph's and decodes its answer.
func ask[T any](ctx context.Context, s *Storage, answer *T, args ...string) error {
	out, err := s.ceph(ctx, append(args, "-f", "json")...)
	if err != nil {
		return err
	}
	return about(answer, args...).read(out)
}

// question is a command of Ceph's that only reads, and what decodes its answer.
type question struct {
	args []string
	read func(answer []byte) error
}

// about makes a question of a command and the place for its answer.
func about[T any](answer *T, args ...string) question {
	return question{args: args, read: func(data []byte) error {
		parsed, err := parse[T](strings.Join(append([]string{"ceph"}, args...), " "), data)
		if err != nil {
			return err
		}
		*answer = *parsed
		return nil
	}}
}

// askAll asks several questions, together when that can be, or else one by one, up to the first that fails.
func (s *Storage) askAll(ctx context.Context, questions ...question) error {
	if answered, err := s.askTogether(ctx, questions...); answered || err != nil {
		return err
	}
	for _, q := range questions {
		answer, err := s.ceph(ctx, append(q.args, "-f", "json")...)
		if err == nil {
			err = q.read(answer)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// askTogether asks several questions by one process, which reads them from its standard input: it is the start of the process
// that takes its time, not the answer of the mons. Such a process does not say which question failed: then, nothing is
// answered. The words of questions must need no quoting.
func (s *Storage) askTogether(ctx context.Context, questions ...question) (answered bool, err error) {
	var lines strings.Builder
	for _, q := range questions {
		lines.WriteString(strings.Join(q.args, " ") + "\n")
	}
	out, err := s.cephInput(ctx, []byte(lines.String()), "-f", "json")
	if err != nil {
		return false, err
	}
	answers := values(out)
	if len(answers) != len(questions) {
		return false, nil
	}
	for i, q := range questions {
		if err := q.read(answers[i]); err != nil {
			return false, err
		}
	}
	return true, nil
}

// values are the values of JSON that follow each other, up to the first that is none.
func values(data []byte) [][]byte {
	var all [][]byte
	for decoder := json.NewDecoder(bytes.NewReader(data)); ; {
		var value json.RawMessage
		if decoder.Decode(&value) != nil {
			return all
		}
		all = append(all, value)
	}
}
