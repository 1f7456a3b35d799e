// Package apitest checks answers of the API against its own description, with a validator that shares no code with the
// one that made the description.
package apitest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Description is an OpenAPI description that answers are checked against. It is safe for concurrent use.
type Description struct {
	Doc    *openapi3.T
	router routers.Router

	mu       sync.Mutex
	compiler *jsonschema.Compiler
	schemas  map[string]*jsonschema.Schema // compiled, by where they stand; kin-openapi compiles them again for each answer, which took half the time of the tests
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
	whole, err := doc.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("write the description: %w", err)
	}
	resource, err := jsonschema.UnmarshalJSON(bytes.NewReader(whole))
	if err != nil {
		return nil, fmt.Errorf("read the description: %w", err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	if err := c.AddResource(source, resource); err != nil {
		return nil, fmt.Errorf("read the description: %w", err)
	}
	return &Description{Doc: doc, router: router, compiler: c, schemas: map[string]*jsonschema.Schema{}}, nil
}

// source is the name of the description among the resources of the compiler.
const source = "description.json"

// schema returns what the body of an answer must be, nil if it may be anything.
func (d *Description) schema(route *routers.Route, status int, contentType string) (*jsonschema.Schema, error) {
	code := fmt.Sprint(status)
	if route.Operation.Responses.Status(status) == nil {
		code = "default"
	}
	response := route.Operation.Responses.Value(code)
	if response == nil || response.Value == nil || len(response.Value.Content) == 0 {
		return nil, nil
	}
	media := ""
	for _, m := range []string{contentType, strings.TrimSpace(strings.Split(contentType, ";")[0])} {
		if response.Value.Content[m] != nil {
			media = m
		}
	}
	switch {
	case media == "":
		return nil, fmt.Errorf("content type %q", contentType)
	case response.Value.Content[media].Schema == nil:
		return nil, nil
	}
	escape := strings.NewReplacer("~", "~0", "/", "~1")
	at := source + "#/paths/" + escape.Replace(route.Path) + "/" + strings.ToLower(route.Method) + "/responses/" + code + "/content/" + escape.Replace(media) + "/schema"
	if response.Ref != "" {
		at = source + response.Ref + "/content/" + escape.Replace(media) + "/schema"
	}
	at = strings.NewReplacer("{", "%7B", "}", "%7D", "+", "%2B").Replace(at)
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.schemas[at]; s != nil {
		return s, nil
	}
	s, err := d.compiler.Compile(at)
	d.schemas[at] = s
	return s, err
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
	in := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Route: route},
		Status:                 status, Header: header,
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true, ExcludeResponseBody: true},
	}
	err = openapi3filter.ValidateResponse(req.Context(), in)
	if err == nil && status != http.StatusNotModified && req.Method != http.MethodHead {
		err = d.body(route, status, header.Get("Content-Type"), body)
	}
	if err != nil {
		return fmt.Errorf("%s %s: %d %s is not as described: %w", req.Method, req.URL.Path, status, body, err)
	}
	return nil
}

func (d *Description) body(route *routers.Route, status int, contentType string, body []byte) error {
	s, err := d.schema(route, status, contentType)
	if media, _, _ := strings.Cut(contentType, ";"); err != nil || s == nil || !strings.HasSuffix(media, "json") {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return err
	}
	return s.Validate(value)
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
