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

// askAll asks several questions by one process, which reads them from its standard input: it is the start of the process
// that takes its time, not the answer of the mons. Such a process does not say which question failed. Then they are
// asked one by one, up to that one. The words of questions must need no quoting.
func (s *Storage) askAll(ctx context.Context, questions ...question) error {
	var lines strings.Builder
	for _, q := range questions {
		lines.WriteString(strings.Join(q.args, " ") + "\n")
	}
	out, err := s.cephInput(ctx, []byte(lines.String()), "-f", "json")
	if err != nil {
		return err
	}
	answers := values(out)
	for i, q := range questions {
		var answer []byte
		if len(answers) == len(questions) {
			answer = answers[i]
		} else if answer, err = s.ceph(ctx, append(q.args, "-f", "json")...); err != nil {
			return err
		}
		if err := q.read(answer); err != nil {
			return err
		}
	}
	return nil
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
