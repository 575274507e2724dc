package ganeti

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// query asks Ganeti's configuration for fields of all things of a kind ("node", "job") that a filter lets pass, or of all
// where there is none. T has a field of that JSON name for each; one that Ganeti has no value for stays as it is. Unlike a
// resource's bulk=1, it waits for no node.
func query[T any](ctx context.Context, r *RAPI, kind string, filter []any, fields ...string) ([]T, error) {
	var answer struct {
		// Data has a row a thing, with a pair of status and value a field.
		Data [][][2]json.RawMessage `json:"data"`
	}
	method, values, body := http.MethodGet, url.Values{"fields": {strings.Join(fields, ",")}}, any(nil)
	if filter != nil {
		method, values, body = http.MethodPut, nil, map[string]any{"fields": fields, "qfilter": filter}
	}
	if err := r.request(ctx, method, "/2/query/"+kind, values, body, &answer); err != nil {
		return nil, err
	}
	things := make([]T, len(answer.Data))
	for i, row := range answer.Data {
		known := make(map[string]json.RawMessage)
		for j, pair := range row {
			if j < len(fields) && string(pair[0]) == normal {
				known[fields[j]] = pair[1]
			}
		}
		data, err := json.Marshal(known)
		if err == nil {
			err = json.Unmarshal(data, &things[i])
		}
		if err != nil {
			return nil, fmt.Errorf("read what Ganeti says of a %s: %w", kind, err)
		}
	}
	return things, nil
}

// normal is the status of a value that there is.
const normal = "0"
