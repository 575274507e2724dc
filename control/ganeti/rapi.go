package ganeti

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/ceph-ganeti/ceph-ganeti-exporter/control"
)

// Reason is what Ganeti writes down with each job of ours, and by which its filters tell our jobs from others.
const Reason = "cephctl"

// maxAnswer bounds what is read of an answer: all of a hundred nodes with thousands of instances is some 10 MiB.
const maxAnswer = 64 << 20

// RAPI is a client of Ganeti's remote API.
type RAPI struct {
	// base is https://HOST:PORT.
	base        string
	credentials Credentials
	http        http.Client
	// pause is the first one between two looks at a job.
	pause time.Duration
}

// NewRAPI returns a client of the API at an address, host and port.
func NewRAPI(address string, credentials Credentials, trust *tls.Config) *RAPI {
	return &RAPI{
		base: "https://" + address, credentials: credentials, pause: 100 * time.Millisecond,
		http: http.Client{
			Timeout: 30 * time.Second, // of one request; jobs are looked at by many
			Transport: &http.Transport{
				TLSClientConfig: trust, TLSHandshakeTimeout: 10 * time.Second,
				DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
			},
		},
	}
}

// StatusError is an answer of the API that is none.
type StatusError struct {
	Code int
	// Message is Ganeti's own.
	Message string
}

// Error says what it is and, where that helps, what to do.
func (e *StatusError) Error() string {
	switch e.Code {
	case http.StatusUnauthorized:
		return "Ganeti's remote API does not know this user or password: compare with " + Dir + "/rapi/users, which gnt-rapi must be able to read"
	case http.StatusForbidden:
		return "this user of Ganeti's remote API may only read: it needs the option write in " + Dir + "/rapi/users"
	case http.StatusBadGateway, http.StatusServiceUnavailable:
		return fmt.Sprintf("Ganeti's remote API is up and its master daemon is not (%d %s): start it: /usr/lib/ganeti/daemon-util start ganeti-luxid, or see /var/log/ganeti/luxi-daemon.log", e.Code, e.Message)
	}
	return fmt.Sprintf("Ganeti's remote API says %d %s", e.Code, e.Message)
}

// JobError is a job that has not ended well.
type JobError struct {
	ID int
	// Status is "error" or "canceled".
	Status string
	// Reason is what Ganeti says, in its words.
	Reason string
	// Refused tells that it has done nothing: it was canceled before its turn, or did not get past its checks and the hooks
	// before it.
	Refused bool
}

// Error names the job: gnt-job info N tells more.
func (e *JobError) Error() string {
	return fmt.Sprintf("Ganeti's job %d ended with %s: %s", e.ID, e.Status, e.Reason)
}

// Unwrap returns control.ErrNotDone of a job that has done nothing.
func (e *JobError) Unwrap() error {
	if e.Refused {
		return control.ErrNotDone
	}
	return nil
}

// get reads a resource.
func (r *RAPI) get(ctx context.Context, path string, query url.Values, into any) error {
	return r.request(ctx, http.MethodGet, path, query, nil, into)
}

// change submits a job and returns when that has ended. An error that wraps a *JobError is the job's.
func (r *RAPI) change(ctx context.Context, method, path string, query url.Values, body any) error {
	_, err := r.submit(ctx, method, path, query, body)
	return err
}

// result is change for a job of one operation, whose result is wanted.
func (r *RAPI) result(ctx context.Context, method, path string, query url.Values, into any) error {
	j, err := r.submit(ctx, method, path, query, nil)
	if err != nil {
		return err
	}
	if len(j.OpResults) != 1 {
		return fmt.Errorf("read the result of Ganeti's job: it has %d", len(j.OpResults))
	}
	if err := json.Unmarshal(j.OpResults[0], into); err != nil {
		return fmt.Errorf("read the result of Ganeti's job: %w", err)
	}
	return nil
}

// submit submits a job and returns it when it has ended well.
func (r *RAPI) submit(ctx context.Context, method, path string, query url.Values, body any) (*job, error) {
	if query == nil {
		query = url.Values{}
	}
	query.Set("reason", Reason)
	var id json.Number
	if err := r.request(ctx, method, path, query, body, &id); err != nil {
		if status := new(StatusError); errors.As(err, &status) && status.Code < http.StatusInternalServerError {
			return nil, refused{err}
		}
		return nil, err
	}
	number, err := id.Int64()
	if err != nil {
		return nil, fmt.Errorf("submit a job to Ganeti: its answer is no number: %w", err)
	}
	return r.wait(ctx, int(number))
}

// wait looks at a job until it has ended, and returns it when it has ended well.
func (r *RAPI) wait(ctx context.Context, id int) (*job, error) {
	for pause := r.pause; ; pause = min(2*pause, 2*time.Second) {
		var j job
		err := r.get(ctx, fmt.Sprintf("/2/jobs/%d", id), nil, &j)
		switch {
		case err != nil && ctx.Err() != nil:
			return nil, givenUp(ctx, id)
		case err != nil:
			return nil, fmt.Errorf("wait for Ganeti's job %d: %w", id, err)
		case j.Status == "success":
			return &j, nil
		case j.Status == "error", j.Status == "canceled":
			return nil, &JobError{ID: id, Status: j.Status, Reason: j.reason(), Refused: j.isRefused()}
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, givenUp(ctx, id)
		}
	}
}

// givenUp is the error of a wait whose ctx has ended, between two looks or in the middle of one.
func givenUp(ctx context.Context, id int) error {
	return fmt.Errorf("wait for Ganeti's job %d: %w: it goes on: gnt-job watch %d", id, ctx.Err(), id)
}

// job is what is needed of one.
type job struct {
	Status    string            `json:"status"`
	OpResults []json.RawMessage `json:"opresult"`
}

// refused is the error of a request by which nothing was done.
type refused struct{ error }

// Unwrap returns control.ErrNotDone, too.
func (e refused) Unwrap() []error { return []error{e.error, control.ErrNotDone} }

// isRefused tells of a job that has not ended well whether none of its operations was begun.
func (j *job) isRefused() bool {
	if j.Status == "canceled" && len(j.OpResults) == 1 {
		return true // what runs is not canceled
	}
	return len(j.OpResults) > 0 && !slices.ContainsFunc(j.OpResults, func(result json.RawMessage) bool {
		var kind string
		return json.Unmarshal(result, &[]any{&kind}) != nil || !slices.Contains(beforehand, kind)
	})
}

// beforehand are the errors of operations that Ganeti has not begun: wrong parameters, its own checks, a hook that says no.
var beforehand = []string{"TypeEnforcementError", "OpPrereqError", "HooksAbort"}

// reason is what the operations of a failed job say: ["OpPrereqError", ["Node 'x' not known", "unknown_entity"]].
func (j *job) reason() string {
	var reasons []string
	for _, result := range j.OpResults {
		var kind string
		var arguments []any
		if json.Unmarshal(result, &[]any{&kind, &arguments}) != nil || kind == "" {
			continue
		}
		if len(arguments) == 0 {
			reasons = append(reasons, kind)
			continue
		}
		reasons = append(reasons, fmt.Sprint(arguments[0]))
	}
	if len(reasons) == 0 {
		return "it gives no reason"
	}
	return strings.Join(reasons, "; ")
}

func (r *RAPI) request(ctx context.Context, method, path string, query url.Values, body, into any) error {
	address := r.base + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	var content io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("encode a request to Ganeti: %w", err)
		}
		content = bytes.NewReader(data)
	}
	request, err := http.NewRequestWithContext(ctx, method, address, content)
	if err != nil {
		return fmt.Errorf("make a request to Ganeti: %w", err)
	}
	request.SetBasicAuth(r.credentials.User, r.credentials.Password)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := r.http.Do(request)
	if err != nil {
		return r.unreached(err)
	}
	defer response.Body.Close()
	return decode(response, into)
}

// unreached says why there is no answer, without the address that the library puts before it.
func (r *RAPI) unreached(err error) error {
	if inner := new(url.Error); errors.As(err, &inner) {
		err = inner.Err
	}
	cure := "start it: /usr/lib/ganeti/daemon-util start ganeti-rapi, or see /var/log/ganeti/rapi-daemon.log"
	if errors.Is(err, errOtherCertificate) {
		cure = "if that file is a new one: systemctl restart ganeti; else name the right one by ganeti.rapi-certificate"
	}
	return fmt.Errorf("reach Ganeti's remote API at %s: %w: %s", strings.TrimPrefix(r.base, "https://"), err, cure)
}

func decode(response *http.Response, into any) error {
	data, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return fmt.Errorf("read an answer of Ganeti: %w", err)
	}
	if len(data) > maxAnswer {
		return fmt.Errorf("read an answer of Ganeti: it has more than %d MiB", maxAnswer>>20)
	}
	if response.StatusCode != http.StatusOK {
		var said struct {
			Message string `json:"message"`
		}
		if json.Unmarshal(data, &said) != nil || said.Message == "" {
			said.Message = http.StatusText(response.StatusCode)
		}
		return &StatusError{Code: response.StatusCode, Message: said.Message}
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("read an answer of Ganeti: %w", err)
	}
	return nil
}
