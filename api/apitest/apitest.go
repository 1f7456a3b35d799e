// Package apitest checks answers of the API against its own description, with a validator that shares no code with the
// one that made the description.
package apitest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
)

// Description is an OpenAPI description that answers are checked against. It is safe for concurrent use.
type Description struct {
	Doc    *openapi3.T
	router routers.Router
}

// Parse reads a description, and refuses one that is not valid itself.
func Parse(yaml []byte) (*Description, error) {
	doc, err := openapi3.NewLoader().LoadFromData(yaml)
	if err != nil {
		return nil, fmt.Errorf("read the description: %w", err)
	}
	router, err := legacy.NewRouter(doc)
	if err != nil {
		return nil, fmt.Errorf("the description is not valid: %w", err)
	}
	return &Description{Doc: doc, router: router}, nil
}

// Check says in what an answer differs from the description: route, status, content type, body. A route or method
// that is not described must be answered with a problem, 404 or 405.
func (d *Description) Check(req *http.Request, status int, header http.Header, body []byte) error {
	if header.Get("GridCase-Request") == "" {
		return fmt.Errorf("%s %s: %d without GridCase-Request", req.Method, req.URL.Path, status)
	}
	route, params, err := d.router.FindRoute(req)
	if err != nil {
		if status == http.StatusNotFound || status == http.StatusMethodNotAllowed {
			return nil
		}
		return fmt.Errorf("%s %s answered %d and is not described: %w", req.Method, req.URL.Path, status, err)
	}
	media, _, _ := strings.Cut(header.Get("Content-Type"), ";")
	in := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Route: route},
		Status:                 status, Header: header,
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true,
			ExcludeResponseBody: !strings.HasSuffix(media, "json") || status == http.StatusNotModified},
	}
	in.SetBodyBytes(body)
	if err := openapi3filter.ValidateResponse(req.Context(), in); err != nil {
		return fmt.Errorf("%s %s: %d %s is not as described: %w", req.Method, req.URL.Path, status, body, err)
	}
	return nil
}

// Transport checks every answer that passes through next, and tells fail what is wrong with it. Event streams pass
// unchecked: they have no end.
func (d *Description) Transport(next http.RoundTripper, fail func(error)) http.RoundTripper {
	return transport{d, next, fail}
}

type transport struct {
	*Description
	next http.RoundTripper
	fail func(error)
}

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := t.next.RoundTrip(r)
	if err != nil || strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		return res, err
	}
	body, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil {
		return nil, err
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	if err := t.Check(r, res.StatusCode, res.Header, body); err != nil {
		t.fail(err)
	}
	return res, nil
}
