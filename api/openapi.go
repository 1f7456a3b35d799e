package api

import (
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"

	"gridcase/domain/stream"
)

// register makes all routes under the prefix.
func (s *Server) register(g *gin.Engine, keyed *gin.RouterGroup) {
	s.demandRoutes()
	s.topicRoutes()
	s.orderRoutes()
	s.disputeRoutes()
	s.whistleRoutes()
	s.unitRoutes()
	s.dutyRoutes()
	s.admissionRoutes()
	s.policyRoutes()
	s.schemeRoutes()
	s.periodRoutes()
	s.settleRoutes()
	s.evaluationRoutes()
	s.assessmentRoutes()
	s.exportRoutes()
	s.dueRoutes()
	s.workloadRoutes()
	s.escalationRoutes()
	s.databaseRoutes()
	s.workListRoutes()
	get(s, "read-case", "/cases/{id}", "Read the whole file of a case, by its demand", "cases", s.readCase)
	offer[confirmBody](s, huma.Operation{OperationID: "confirm", Method: http.MethodPost, Path: base + "/confirmations", Summary: "Confirm another person's command (rule M6)",
		Tags: []string{"confirmations"}}, s.confirm)
	for _, c := range []stream.Category{stream.Demand, stream.Order, stream.Dispute} {
		offer[purposeBody](s, huma.Operation{OperationID: "open-" + string(c) + "-personal-data", Method: http.MethodPost, Path: base + "/" + string(c) + "s/{id}/personal-data",
			Summary: "Open sealed fields for a purpose; the reading is recorded first", Tags: []string{string(c) + "s"}}, s.openPersonal(c))
	}
	get(s, "explain-problem", "/problems/{code}", "Explain a problem in both languages", "problems", s.explainProblem)
	keyed.GET(base+"/events", s.feed)
	g.GET(base+"/openapi.yaml", func(c *gin.Context) {
		document, err := s.document()
		if err != nil {
			s.fail(c, err)
			return
		}
		c.Data(http.StatusOK, "application/yaml", document)
	})
}

// unkeyed are the routes, as Gin writes them, that need no key.
var unkeyed = []string{base + "/track/:code", base + "/problems/:code"}

// OpenAPI returns the description of the API: OpenAPI 3.1, YAML, written once, about 0.1 s.
func (s *Server) OpenAPI() ([]byte, error) { return s.document() }

// describe completes the description that the routes have left: keys, what Gin serves itself, and who may do what.
func (s *Server) describe() {
	doc := s.api.OpenAPI()
	doc.Components.SecuritySchemes = map[string]*huma.SecurityScheme{"key": {Type: "http", Scheme: "bearer", Description: "A key: gck_…"}}
	doc.Security = []map[string][]string{{"key": {}}}
	doc.Tags = nil
	schemas := doc.Components.Schemas
	body := func(t reflect.Type, media string) map[string]*huma.MediaType {
		return map[string]*huma.MediaType{media: {Schema: schemas.Schema(t, true, "")}}
	}
	problems := &huma.Response{Description: "Problem", Content: body(reflect.TypeFor[Problem](), "application/problem+json")}
	text := &huma.Schema{Type: huma.TypeString}
	object := map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{Type: huma.TypeObject}}}
	plain := func(id, path, summary string, content map[string]*huma.MediaType) *huma.Operation {
		op := &huma.Operation{OperationID: id, Method: http.MethodGet, Path: path, Summary: summary, Tags: []string{"node"}, Security: []map[string][]string{},
			Responses: map[string]*huma.Response{"200": {Description: "OK", Content: content}, "default": problems}}
		doc.AddOperation(op)
		return op
	}
	plain("live", "/livez", "Whether the program answers", object)
	ready := plain("ready", "/readyz", "Whether the node should get requests; reasons for operators", body(reflect.TypeFor[Ready](), "application/json"))
	ready.Responses["503"] = &huma.Response{Description: "Not ready", Content: body(reflect.TypeFor[Ready](), "application/json")}
	plain("metrics", "/metrics", "Metrics, for Prometheus", map[string]*huma.MediaType{"text/plain": {Schema: text}})
	plain("version", "/version", "Version of the program", object)
	plain("openapi", base+"/openapi.yaml", "This description", map[string]*huma.MediaType{"application/yaml": {Schema: &huma.Schema{}}})
	parameter := func(name, in, about string) *huma.Param {
		return &huma.Param{Name: name, In: in, Description: about, Schema: text}
	}
	feed := body(reflect.TypeFor[Events](), "application/json")
	feed["text/event-stream"] = &huma.MediaType{Schema: text}
	doc.AddOperation(&huma.Operation{OperationID: "events", Method: http.MethodGet, Path: base + "/events", Tags: []string{"events"},
		Summary: "The feed of events, as a page, or as server-sent events with Accept: text/event-stream",
		Parameters: []*huma.Param{parameter("after", "query", "Position to begin after."), parameter("type", "query", "Stored names, separated by commas."),
			parameter("stream", "query", "Name of one stream."), parameter("limit", "query", "1 to 200, 50 if not given."),
			parameter("Last-Event-ID", "header", "Position of the last event received; goes before after.")},
		Responses: map[string]*huma.Response{"200": {Description: "OK", Content: feed}, "default": problems}})
	position := parameter(positionHeader, "header", "Wait, at most two seconds, until this node has come to the position; then 503 with the code behind. Send that of the last answer, and what you wrote is there, on every node.")
	for name, path := range doc.Paths {
		for _, op := range []*huma.Operation{path.Get, path.Post} {
			if op != nil && strings.HasPrefix(name, base) && name != base+"/openapi.yaml" {
				op.Parameters = append(op.Parameters, position)
			}
		}
		if op := path.Get; op != nil && op.Responses["200"] != nil {
			for _, p := range op.Parameters {
				if p.Name == "If-None-Match" {
					op.Responses["304"] = &huma.Response{Description: "Not modified"}
				}
			}
		}
	}
	for _, path := range []string{"/track/{code}", "/problems/{code}"} {
		doc.Paths[base+path].Get.Security = []map[string][]string{}
	}
}
