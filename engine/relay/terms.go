package relay

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"gridcase/domain/admission"
	"gridcase/domain/demand"
	"gridcase/domain/dispute"
	"gridcase/domain/duty"
	"gridcase/domain/event"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/policy"
	"gridcase/domain/rule"
	"gridcase/domain/stream"
	"gridcase/domain/topic"
	"gridcase/domain/whistle"
)

// Terms say what may leave for one destination. Nothing that is not permitted here does: an outsider gets what a holder of the
// role at the unit reads in the feed of events, or less, and no personal data but as ciphertext, if at all.
type Terms struct {
	Types       []string      // kinds of streams, such as "order"; or stored names, with * for any characters but the stroke: "demand-raised/1"
	Role        orgs.Role     // in which the receiver reads
	Unit        orgs.UnitCode // at which the role is held; its jurisdiction is where the cases lie
	Actor       string        // of a channel: the id under which it raises demands; it gets those, and what becomes of them
	Reports     bool          // names kind report (举报): without it nothing of one leaves, whatever the role
	Ciphertexts bool          // sealed fields leave as ciphertexts; else they are removed
}

// confidants are the roles that may be told of a report where its place is theirs; a channel may of those it brought in.
var confidants = []orgs.Role{orgs.Clerk, orgs.CommunitySecretary, orgs.Dispatcher, orgs.StreetLeader, orgs.Supervisor,
	orgs.Arbiter, orgs.Auditor, orgs.PrivacyOfficer, orgs.Channel}

// silent are the roles that read no events at all, and so get none.
var silent = []orgs.Role{orgs.Resident, orgs.StairwellHead, orgs.BuildingHead, orgs.Operator, orgs.System}

// Check says what is wrong with the terms, nil if nothing is.
func (t Terms) Check() error {
	switch {
	case len(t.Types) == 0:
		return errors.New("types: name what may leave, such as order, or demand-raised/1")
	case !slices.Contains(orgs.Roles(), t.Role):
		return fmt.Errorf("role: there is no role %q", t.Role)
	case slices.Contains(silent, t.Role):
		return fmt.Errorf("role: %s reads no events", t.Role)
	case !t.Unit.Valid():
		return fmt.Errorf("unit: %q is no unit code", t.Unit)
	case (t.Role == orgs.Channel) != (t.Actor != ""):
		return errors.New("actor: a channel has one, no other role has")
	case t.Reports && !slices.Contains(confidants, t.Role):
		return fmt.Errorf("reports: %s is not told of reports", t.Role)
	}
	for _, p := range t.Types {
		if slices.Contains(kinds, stream.Category(p)) {
			continue
		}
		if _, err := path.Match(p, ""); err != nil {
			return fmt.Errorf("types: %q: %w", p, err)
		}
		if !slices.ContainsFunc(slices.Collect(event.Types()), func(typ string) bool { return matches(p, typ) }) {
			return fmt.Errorf("types: no event is called %q", p)
		}
	}
	return nil
}

// kinds are the streams of which something may leave.
var kinds = []stream.Category{stream.Demand, stream.Topic, stream.Order, stream.Dispute, stream.Whistle, stream.Admission, stream.Duties, stream.Gate,
	stream.Unit, stream.Grids, stream.Calendar, stream.Policy}

func matches(pattern, typ string) bool {
	ok, err := path.Match(pattern, typ)
	return ok && err == nil
}

// names reports whether the terms name a type, or the kind of stream it is on.
func (t Terms) names(n stream.Name, typ string) bool {
	return slices.ContainsFunc(t.Types, func(p string) bool { return p == string(n.Category()) || matches(p, typ) })
}

// permit reports whether an event may leave. The entry shows the transition; what a case has become since counts too: of a
// demand that was, is, or has become a report, nothing leaves without its being named.
func (t Terms) permit(ctx context.Context, h House, e event.Entry) (bool, error) {
	if !t.names(e.Stream, e.Body.EventType()) {
		return false, nil
	}
	units := h.Units()
	seat := units.Path(rule.Seat(units, rule.Actor{ID: t.Actor, Role: t.Role, Unit: t.Unit}))
	if seat == "" { // a unit that the log does not know has no jurisdiction
		return false, nil
	}
	in := func(unit orgs.UnitCode, grid orgs.GridCode) bool {
		p := units.Path(unit)
		if grid != "" && units.Within(grid.Unit(), unit) {
			p = units.Path(grid.Unit())
		}
		return t.Role != orgs.Channel && p != "" && strings.HasPrefix(p, seat)
	}
	switch e.Stream.Category() {
	case stream.Unit, stream.Grids, stream.Duties, stream.Calendar:
		return true, nil
	case stream.Policy: // the draw's salts lie beside them, for auditors
		return e.Stream == policy.Deadlines || e.Stream == policy.Escalation, nil
	case stream.Gate:
		b, ok := e.Body.(duty.Blocked)
		if !ok || !in(b.Target, "") {
			return false, nil
		}
		return t.opens(ctx, h, b.Demands, b.Order)
	}
	for _, s := range []event.State{e.Before, e.After} {
		if d, ok := s.(demand.State); ok && !t.Reports && d.Kind == demand.Report {
			return false, nil
		}
	}
	switch s := e.After.(type) {
	case demand.State:
		if !in(s.Unit, s.Grid) && (t.Actor == "" || s.RaisedBy.ID != t.Actor) {
			return false, nil
		}
		return t.opens(ctx, h, []stream.ID{s.ID}, stream.ID{})
	case topic.State:
		return in(s.Unit, ""), nil
	case order.State:
		if !in(s.Place, s.Grid) && (t.Role == orgs.Channel || s.Lead != t.Unit) {
			return false, nil
		}
		if before, ok := e.Before.(order.State); ok { // a demand that goes is in the event, too
			if open, err := t.opens(ctx, h, before.Demands, stream.ID{}); err != nil || !open {
				return false, err
			}
		}
		return t.opensOrder(ctx, h, s)
	case whistle.State:
		if !in(s.Street, "") {
			return false, nil
		}
		return t.opens(ctx, h, []stream.ID{s.Demand}, s.Order)
	case dispute.State:
		if !in(s.Unit, "") {
			return false, nil
		}
		return t.opens(ctx, h, []stream.ID{s.Demand}, stream.ID{})
	case admission.State:
		return in(s.By, "") || slices.ContainsFunc(s.Wanted, func(u orgs.UnitCode) bool { return in(u, "") }), nil
	}
	return false, nil // grants, readings, number runs, nodes and the log's own affairs are nobody's outside
}

// opens reports whether none of some demands, nor what an order serves, is a report, or reports are named.
func (t Terms) opens(ctx context.Context, h House, demands []stream.ID, of stream.ID) (bool, error) {
	if t.Reports {
		return true, nil
	}
	for _, id := range demands {
		if id.IsZero() {
			continue
		}
		s, _, err := h.Load(ctx, stream.Of(stream.Demand, id))
		if err != nil {
			return false, err
		}
		if d, ok := s.(demand.State); ok && d.Kind == demand.Report {
			return false, nil
		}
	}
	if of.IsZero() {
		return true, nil
	}
	s, _, err := h.Load(ctx, stream.Of(stream.Order, of))
	if err != nil {
		return false, err
	}
	if o, ok := s.(order.State); ok {
		return t.opensOrder(ctx, h, o)
	}
	return true, nil
}

func (t Terms) opensOrder(ctx context.Context, h House, o order.State) (bool, error) {
	if o.Kind == string(demand.Report) && !t.Reports {
		return false, nil
	}
	return t.opens(ctx, h, o.Demands, stream.ID{})
}
