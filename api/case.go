package api

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"

	"gridcase/domain/demand"
	"gridcase/domain/event"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
	"gridcase/engine"
	"gridcase/eventlog"
)

// Event is an event of the log as it is answered: sealed fields stay closed.
type Event struct {
	Position   string          `json:"position" doc:"Opaque; ascends."`
	Stream     stream.Name     `json:"stream"`
	Revision   int64           `json:"revision"`
	ID         stream.ID       `json:"id"`
	Type       string          `json:"type"`
	OccurredAt time.Time       `json:"occurred_at"`
	RecordedAt time.Time       `json:"recorded_at"`
	Role       orgs.Role       `json:"role"`
	Unit       orgs.UnitCode   `json:"unit,omitempty"`
	SecondRole orgs.Role       `json:"second_role,omitempty"`
	SecondUnit orgs.UnitCode   `json:"second_unit,omitempty"`
	Stage      string          `json:"stage,omitempty" doc:"Of a demand, after the event."`
	Case       stream.ID       `json:"case,omitzero"`
	Cause      stream.ID       `json:"cause,omitzero" doc:"The event that made it necessary."`
	Data       json.RawMessage `json:"data" doc:"As it is stored; a sealed field is {\"sealed\":true}."`
}

func eventOf(ev eventlog.Event) (Event, error) {
	m, err := event.DecodeMeta(ev.Meta)
	if err != nil {
		return Event{}, err
	}
	e := Event{Position: ev.Position.String(), Stream: stream.Name(ev.Stream), Revision: int64(ev.Revision), ID: stream.ID(ev.ID), Type: ev.Type,
		OccurredAt: shown(m.Occurred), RecordedAt: shown(m.Recorded), Role: m.Role, Unit: m.Unit, Stage: m.Stage, Case: m.Correlation,
		Cause: m.Causation, Data: closed(ev.Data)}
	if m.Second != nil {
		e.SecondRole, e.SecondUnit = m.Second.Role, m.Second.Unit
	}
	return e, nil
}

// closed returns stored JSON with {"sealed":true} in the place of every ciphertext. All else stays byte for byte.
func closed(data []byte) json.RawMessage {
	out := make([]byte, 0, len(data))
	for i := 0; i < len(data); {
		if data[i] != '"' {
			out = append(out, data[i])
			i++
			continue
		}
		end := i + 1
		for end < len(data) && data[end] != '"' {
			if data[end] == '\\' {
				end++
			}
			end++
		}
		end = min(end+1, len(data))
		text := data[i:end]
		if len(text) > len(sealed.Prefix) && string(text[1:1+len(sealed.Prefix)]) == sealed.Prefix {
			text = []byte(`{"sealed":true}`)
		}
		out = append(out, text...)
		i = end
	}
	return out
}

// CaseFile is the whole file of a case: every event of a demand, its topics, orders and mediation, in log order.
type CaseFile struct {
	Demand  stream.ID     `json:"demand"`
	Number  string        `json:"number,omitempty"`
	Stage   demand.Stage  `json:"stage"`
	Streams []stream.Name `json:"streams"`
	Events  []Event       `json:"events" nullable:"false"`
}

// readCase reads a case file. A resident or a channel gets the demand's own stream, which alone shows the three stages (rule I13).
func (s *Server) readCase(ctx context.Context, in *oneInput) (*found[CaseFile], error) {
	position := s.position()
	n, state, _, err := s.find(ctx, stream.Demand, in.ID)
	if err != nil {
		return nil, err
	}
	st := state.(demand.State)
	file := CaseFile{Demand: st.ID, Number: st.Number, Stage: st.Phase.Stage(), Streams: []stream.Name{n}, Events: []Event{}}
	if r := of(ctx).actor.Role; r != orgs.Resident && r != orgs.Channel {
		if file.Streams, err = s.caseStreams(ctx, n, st); err != nil {
			return nil, err
		}
	}
	if st.Kind == demand.Report { // its orders are for fewer people than itself
		for _, name := range slices.Clone(file.Streams[1:]) {
			if seen, err := s.shows(ctx, of(ctx), name); err != nil {
				return nil, err
			} else if !seen {
				file.Streams = slices.DeleteFunc(file.Streams, func(x stream.Name) bool { return x == name })
			}
		}
	}
	var events []eventlog.Event
	for _, name := range file.Streams {
		for ev, err := range s.Log.Read(ctx, string(name), 0) {
			if err != nil {
				return nil, err
			}
			events = append(events, ev)
		}
	}
	slices.SortFunc(events, func(a, b eventlog.Event) int { return compare(a.Position, b.Position) })
	for _, ev := range events {
		e, err := eventOf(ev)
		if err != nil {
			return nil, err
		}
		file.Events = append(file.Events, e)
	}
	// The tag is the position of its last event: a case file grows with each of its streams.
	tag := `"` + strconv.FormatUint(uint64(events[len(events)-1].Position), 10) + `"`
	if matches(in.NoneMatch, tag) {
		return &found[CaseFile]{Status: http.StatusNotModified, ETag: tag, Position: position}, nil
	}
	return &found[CaseFile]{Status: http.StatusOK, ETag: tag, Position: position, Body: file}, nil
}

func compare(a, b eventlog.Position) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// caseStreams names the streams of a case: what the demand itself says now, and what the views know besides.
func (s *Server) caseStreams(ctx context.Context, n stream.Name, st demand.State) ([]stream.Name, error) {
	names := []stream.Name{n}
	add := func(name stream.Name) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	known, err := s.Views.Views().CaseStreams(ctx, st.ID)
	if err != nil {
		return nil, err
	}
	for _, c := range known {
		add(c.Stream)
	}
	for _, t := range slices.Concat(st.Topics, st.Related) {
		add(stream.Of(stream.Topic, t))
	}
	for _, o := range slices.Concat(st.Past, st.Orders) {
		add(stream.Of(stream.Order, o))
	}
	if !st.Dispute.IsZero() {
		add(stream.Of(stream.Dispute, st.Dispute))
	}
	return names, nil
}

type purposeBody struct {
	Purpose string `json:"purpose" enum:"handling,contact,verification,callback,supervision,subject_request"`
}

// PersonalData is what was sealed on a stream, opened.
type PersonalData struct {
	Fields []PersonalField `json:"fields" nullable:"false"`
}

// PersonalField is one opened field.
type PersonalField struct {
	Revision int64  `json:"revision" doc:"Of the event that holds it."`
	Name     string `json:"name"`
	Text     string `json:"text,omitempty"`
	Erased   bool   `json:"erased,omitempty"`
}

type personalInput struct {
	ID string `path:"id"`
	Post
	content[purposeBody]
}

// openPersonal opens the sealed fields of a stream for a purpose. The reading is in the log before anything is shown;
// if the log does not take it, nothing is.
func (s *Server) openPersonal(c stream.Category) func(context.Context, *personalInput) (*struct{ Body PersonalData }, error) {
	return func(ctx context.Context, in *personalInput) (*struct{ Body PersonalData }, error) {
		n, _, _, err := s.find(ctx, c, in.ID)
		if err != nil {
			return nil, err
		}
		if err := s.may(ctx, readPersonal); err != nil {
			return nil, err
		}
		if _, err := in.idempotencyKey(); err != nil {
			return nil, err
		}
		rq := of(ctx)
		if in.body.Purpose == "subject_request" && rq.actor.Role != orgs.PrivacyOfficer {
			return nil, problem("role_missing", rule.Say("当事人查阅由数据保护人员办理", "a subject's request is for the privacy officer"))
		}
		fields, err := s.Engine.OpenPersonal(ctx, engine.Reading{Streams: []stream.Name{n}, Purpose: in.body.Purpose, Actor: rq.actor, Request: rq.id})
		if err != nil {
			return nil, err
		}
		s.meter.read(in.body.Purpose)
		out := PersonalData{Fields: []PersonalField{}}
		for _, f := range fields {
			out.Fields = append(out.Fields, PersonalField{Revision: f.Revision, Name: f.Name, Text: f.Text, Erased: f.Erased})
		}
		return &struct{ Body PersonalData }{out}, nil
	}
}
