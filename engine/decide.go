package engine

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"gridcase/domain/admission"
	"gridcase/domain/calendar"
	"gridcase/domain/demand"
	"gridcase/domain/dispute"
	"gridcase/domain/duty"
	"gridcase/domain/evaluation"
	"gridcase/domain/event"
	"gridcase/domain/flow"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/period"
	"gridcase/domain/policy"
	"gridcase/domain/rule"
	"gridcase/domain/scheme"
	"gridcase/domain/stream"
	"gridcase/domain/topic"
	"gridcase/domain/whistle"
)

// Command is a command of one of the machines: a demand.Command, topic.Command, order.Command, dispute.Command, whistle.Command,
// admission.Command, duty.Publish, policy.Command, orgs.UnitCommand, orgs.GridsCommand, scheme.Command, period.Command or
// evaluation.Command.
type Command any

// commandName is the command's word, as in the path of the API.
func commandName(c Command) string {
	if n, named := c.(interface{ Name() string }); named {
		return n.Name()
	}
	switch c.(type) {
	case orgs.OpenUnit:
		return "open-unit"
	case orgs.RenameUnit:
		return "rename-unit"
	case orgs.SetMembers:
		return "set-members"
	case orgs.CloseUnit:
		return "close-unit"
	case orgs.SplitCommunity:
		return "split-community"
	case orgs.MergeCommunity:
		return "merge-community"
	case orgs.DrawGrid:
		return "draw-grid"
	case orgs.SplitGrid:
		return "split-grid"
	case orgs.MergeGrids:
		return "merge-grids"
	case orgs.SurveyBlocks:
		return "survey-blocks"
	case orgs.AssignHouseholds:
		return "assign-households"
	case orgs.RetireGrid:
		return "retire-grid"
	case orgs.AppointGridWorker:
		return "appoint-grid-worker"
	case orgs.RelieveGridWorker:
		return "relieve-grid-worker"
	case orgs.AppointActingWorker:
		return "appoint-acting-worker"
	case orgs.SetPartyGroups:
		return "set-party-groups"
	}
	return reflect.TypeOf(c).String()
}

// needs names the other streams that a command must know.
func needs(s event.State, c Command) rule.Refs {
	switch c := c.(type) {
	case demand.Command:
		d, _ := s.(demand.State)
		return demand.Needs(d, c)
	case topic.Command:
		t, _ := s.(topic.State)
		return topic.Needs(t, c)
	case order.Command:
		o, _ := s.(order.State)
		return order.Needs(o, c)
	case dispute.Command:
		d, _ := s.(dispute.State)
		return dispute.Needs(d, c)
	case whistle.Command:
		w, _ := s.(whistle.State)
		return whistle.Needs(w, c)
	case admission.Command:
		a, _ := s.(admission.State)
		return admission.Needs(a, c)
	case scheme.Command:
		d, _ := s.(scheme.State)
		return scheme.Needs(d, c)
	case period.Command:
		p, _ := s.(period.State)
		return period.Needs(p, c)
	case evaluation.Command:
		v, _ := s.(evaluation.State)
		return evaluation.Needs(v, c)
	}
	return rule.Refs{}
}

// decide asks the machine that a command belongs to. A stream takes only commands of its own machine.
func decide(n stream.Name, s event.State, c Command, at rule.At) ([]event.Body, error) {
	switch c := c.(type) {
	case demand.Command:
		d, begun := s.(demand.State)
		if !begun {
			d.ID = n.ID()
		}
		return bodies(demand.Decide(d, c, at))
	case topic.Command:
		t, begun := s.(topic.State)
		if !begun {
			t.ID = n.ID()
		}
		return bodies(topic.Decide(t, c, at))
	case order.Command:
		o, begun := s.(order.State)
		if !begun {
			o.ID = n.ID()
		}
		return bodies(order.Decide(o, c, at))
	case dispute.Command:
		d, begun := s.(dispute.State)
		if !begun {
			d.ID = n.ID()
		}
		return bodies(dispute.Decide(d, c, at))
	case whistle.Command:
		w, begun := s.(whistle.State)
		if !begun {
			w.ID = n.ID()
		}
		return bodies(whistle.Decide(w, c, at))
	case admission.Command:
		a, begun := s.(admission.State)
		if !begun {
			a.ID = n.ID()
		}
		return bodies(admission.Decide(a, c, at))
	case scheme.Command:
		if n.Category() != stream.Scheme {
			return nil, fmt.Errorf("%s is no command for %s", commandName(c), n)
		}
		d, begun := s.(scheme.State)
		if !begun {
			d.ID = n.ID()
		}
		return bodies(scheme.Decide(d, c, at))
	case period.Command:
		if n.Category() != stream.Period {
			return nil, fmt.Errorf("%s is no command for %s", commandName(c), n)
		}
		p, begun := s.(period.State)
		if !begun {
			p.ID = n.ID()
		}
		return bodies(period.Decide(p, c, at))
	case evaluation.Command:
		if n.Category() != stream.Evaluation {
			return nil, fmt.Errorf("%s is no command for %s", commandName(c), n)
		}
		v, begun := s.(evaluation.State)
		if !begun {
			v.ID = n.ID()
		}
		return bodies(evaluation.Decide(v, c, at))
	case duty.Publish:
		if n != stream.Keyed(stream.Duties, string(c.Unit)) {
			return nil, fmt.Errorf("the lists of %s are not published on %s", c.Unit, n)
		}
		d, _ := s.(duty.State)
		return bodies(duty.Decide(d, c, at))
	case policy.Command:
		p, _ := s.(policy.Published)
		return bodies(policy.Decide(p, c, at))
	case orgs.UnitCommand:
		if err := operates(at, c.Unit(), c); err != nil {
			return nil, err
		}
		u, _ := s.(orgs.UnitState)
		return bodies(orgs.DecideUnit(u, c, at.Units, calendar.DateOf(at.Occurred)))
	case orgs.GridsCommand:
		if err := operates(at, c.Community(), c); err != nil {
			return nil, err
		}
		g, _ := s.(orgs.GridsState)
		return bodies(orgs.DecideGrids(g, c, at.Units, calendar.DateOf(at.Occurred)))
	}
	return nil, fmt.Errorf("%T is no command", c)
}

// operates lets an operator change units and grids in the own jurisdiction. The first unit of a log has none above it.
func operates(at rule.At, unit orgs.UnitCode, c Command) error {
	if at.Actor.Role != orgs.Operator && at.Actor.Role != orgs.System {
		return rule.Refuse(rule.RoleMissing, "C10", "单位和网格由系统运维人员维护", "units and grids are kept by an operator")
	}
	if o, opening := c.(orgs.OpenUnit); opening {
		unit = o.Parent
		if at.Units.Len() == 0 {
			return nil
		}
	}
	if r := rule.Reaches(at, unit, "C10"); r != nil {
		return r
	}
	return nil
}

func bodies[E event.Body](es []E, err error) ([]event.Body, error) {
	var refusal *orgs.Refusal
	if errors.As(err, &refusal) {
		return nil, rule.Refuse(rule.Code(refusal.Code), refusal.Rule, refusal.Zh, refusal.En)
	}
	bs := make([]event.Body, len(es))
	for i, e := range es {
		bs[i] = e
	}
	return bs, err
}

// deref returns the struct that sealed.Copy made a pointer to.
func deref(p any) event.Body { return reflect.ValueOf(p).Elem().Interface().(event.Body) }

// risesTo returns the level that an escalation lifts its matter to; false for any other event.
func risesTo(body event.Body) (orgs.Level, bool) {
	v, escalation := reflect.ValueOf(body), reflect.TypeFor[rule.Escalation]()
	if !v.Type().ConvertibleTo(escalation) {
		return 0, false
	}
	return v.Convert(escalation).Interface().(rule.Escalation).To, true
}

// stage is the part of a demand's journey that its state belongs to; "" for other streams.
func stage(s event.State) string {
	if d, ok := s.(demand.State); ok {
		return string(d.Phase.Stage())
	}
	return ""
}

// standsAt refuses to create what exists, naming its state and what is possible.
func standsAt(s event.State, command string) *rule.Refusal {
	refuse := func(machine, state string) *rule.Refusal {
		return rule.Refuse(rule.WrongState, "M1", "该事项已存在，当前状态为“"+rule.StateWord(machine, state)+"”", "this exists already; it is "+state)
	}
	switch s := s.(type) {
	case demand.State:
		return demand.Machine.Explain(s.Phase, refuse(demand.Machine.Name, string(s.Phase)))
	case topic.State:
		return topic.Machine.Explain(s.Phase, refuse(topic.Machine.Name, string(s.Phase)))
	case order.State:
		return order.Machine.Explain(s.Phase, refuse(order.Machine.Name, string(s.Phase)))
	case dispute.State:
		return dispute.Machine.Explain(s.Phase, refuse(dispute.Machine.Name, string(s.Phase)))
	case whistle.State:
		return whistle.Machine.Explain(s.Phase, refuse(whistle.Machine.Name, string(s.Phase)))
	case admission.State:
		return admission.Machine.Explain(s.Phase, refuse(admission.Machine.Name, string(s.Phase)))
	case scheme.State:
		return scheme.Machine.Explain(s.Phase, refuse(scheme.Machine.Name, string(s.Phase)))
	case period.State:
		return period.Machine.Explain(s.Phase, refuse(period.Machine.Name, string(s.Phase)))
	case evaluation.State:
		return evaluation.Machine.Explain(s.Phase, refuse(evaluation.Machine.Name, string(s.Phase)))
	}
	return nil
}

// holds reports whether the state shows the effect of the command already.
func holds(s event.State, c Command) bool {
	switch s := s.(type) {
	case demand.State:
		return demand.Machine.Holds(s.Phase, commandName(c))
	case topic.State:
		return topic.Machine.Holds(s.Phase, commandName(c))
	case order.State:
		return order.Machine.Holds(s.Phase, commandName(c))
	case dispute.State:
		return dispute.Machine.Holds(s.Phase, commandName(c))
	case whistle.State:
		return whistle.Machine.Holds(s.Phase, commandName(c))
	case admission.State:
		return admission.Machine.Holds(s.Phase, commandName(c))
	case scheme.State:
		return scheme.Machine.Holds(s.Phase, commandName(c))
	case period.State:
		return period.Machine.Holds(s.Phase, commandName(c))
	}
	return false
}

// facts reads the streams that a decision must know: from the cache, or as the log has them now.
func (e *Engine) facts(ctx context.Context, refs rule.Refs, fresh bool) (rule.Facts, error) {
	var f rule.Facts
	get := e.folded
	if fresh {
		get = e.read
	}
	for _, link := range []struct {
		kind flow.EdgeKind
		from stream.ID
		to   *[]stream.ID
	}{{flow.Governs, refs.LinkedTo, &refs.Demands}, {flow.Settles, refs.Applying, &refs.Periods}} {
		if link.from.IsZero() {
			continue
		}
		end, err := e.Log.End(ctx)
		if err != nil {
			return f, err
		}
		if err := e.Settled(ctx, end); err != nil {
			return f, err
		}
		linked, err := e.index.from(ctx, link.kind, link.from)
		if err != nil {
			return f, err
		}
		*link.to = append(*link.to, linked...)
	}
	if err := errors.Join(
		known(ctx, get, stream.Demand, refs.Demands, &f.Demands, demand.State.Fact),
		known(ctx, get, stream.Topic, refs.Topics, &f.Topics, topic.State.Fact),
		known(ctx, get, stream.Order, refs.Orders, &f.Orders, order.State.Fact),
		known(ctx, get, stream.Whistle, refs.Whistles, &f.Whistles, whistle.State.Fact),
		known(ctx, get, stream.Period, refs.Periods, &f.Periods, period.State.Fact),
	); err != nil {
		return f, err
	}
	for _, p := range f.Periods {
		if !slices.Contains(refs.Schemes, p.Scheme) {
			refs.Schemes = append(refs.Schemes, p.Scheme)
		}
	}
	if err := known(ctx, get, stream.Scheme, refs.Schemes, &f.Schemes, scheme.State.Fact); err != nil {
		return f, err
	}
	for _, n := range refs.Existing {
		s, err := get(ctx, n)
		if err != nil {
			return f, err
		}
		if s.revision >= 0 {
			f.Existing = append(f.Existing, n)
		}
	}
	return f, nil
}

// known appends what is to be known of the streams that exist.
func known[S, F any](ctx context.Context, get func(context.Context, stream.Name) (folded, error), kind stream.Category, ids []stream.ID, facts *[]F, fact func(S) F) error {
	for _, id := range ids {
		f, err := get(ctx, stream.Of(kind, id))
		if err != nil {
			return err
		}
		if s, begun := f.state.(S); begun {
			*facts = append(*facts, fact(s))
		}
	}
	return nil
}

func encode16(b []byte) string { return base64.RawURLEncoding.EncodeToString(b[:16]) }
