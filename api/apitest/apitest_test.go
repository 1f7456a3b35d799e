package apitest_test

import (
	"net/http"
	"strings"
	"testing"

	"gridcase/api/apitest"
)

const description = `openapi: 3.1.0
info: {title: t, version: "1"}
paths:
  /cases/{id}:
    get:
      operationId: read
      parameters: [{name: id, in: path, required: true, schema: {type: string}}]
      responses:
        "200":
          description: a case
          headers: {GridCase-Position: {required: true, schema: {type: string, pattern: "^[0-9]+$"}}}
          content: {application/json: {schema: {$ref: "#/components/schemas/Case"}}}
        default:
          description: a problem
          content: {application/problem+json: {schema: {type: object, required: [code], properties: {code: {type: string}}}}}
components:
  schemas:
    Case:
      type: object
      additionalProperties: false
      required: [id, due]
      properties:
        id: {type: string}
        due: {type: string, format: date-time}
        legs: {type: [array, "null"], items: {$ref: "#/components/schemas/Case"}}
`

func TestWhatIsNotAsDescribedIsSeen(t *testing.T) {
	d, err := apitest.Parse([]byte(description))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		path, media string
		status      int
		body        string
		want        string // in the error, "" for none
	}{
		"a case":               {"/cases/1", "application/json; charset=utf-8", 200, `{"id":"1","due":"2026-01-02T03:04:05+08:00","legs":null}`, ""},
		"a problem":            {"/cases/1", "application/problem+json", 404, `{"code":"not_found"}`, ""},
		"no such route":        {"/elsewhere", "application/problem+json", 404, `{}`, ""},
		"an unknown route":     {"/elsewhere", "application/json", 200, `{}`, "is not described"},
		"a strange name":       {"/cases/1", "application/json", 200, `{"id":"1","due":"2026-01-02T03:04:05Z","name":"x"}`, "name"},
		"a name missing":       {"/cases/1", "application/json", 200, `{"id":"1"}`, "due"},
		"another type":         {"/cases/1", "application/json", 200, `{"id":1,"due":"2026-01-02T03:04:05Z"}`, "/id"},
		"no instant":           {"/cases/1", "application/json", 200, `{"id":"1","due":"tomorrow"}`, "date-time"},
		"a leg within":         {"/cases/1", "application/json", 200, `{"id":"1","due":"2026-01-02T03:04:05Z","legs":[{"id":"2"}]}`, "/legs/0"},
		"another content type": {"/cases/1", "text/html", 200, `<p>`, "text/html"},
		"a problem without":    {"/cases/1", "application/problem+json", 500, `{}`, "code"},
		"no JSON":              {"/cases/1", "application/json", 200, `{"id"`, "EOF"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost"+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		header := http.Header{"Content-Type": {c.media}, "Gridcase-Request": {"r"}, "Gridcase-Position": {"7"}}
		for range 2 { // the second time its schema is there already
			if err := d.Check(req, c.status, header, []byte(c.body)); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: got %v, want %q", name, err, c.want)
			}
		}
		header.Del("GridCase-Position")
		if err := d.Check(req, c.status, header, []byte(c.body)); c.status == 200 && err == nil {
			t.Errorf("%s: a missing header was not seen", name)
		}
	}
}
