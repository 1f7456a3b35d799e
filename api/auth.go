package api

import (
	"context"
	"slices"
	"strings"

	"gridcase/domain/admission"
	"gridcase/domain/demand"
	"gridcase/domain/dispute"
	"gridcase/domain/evaluation"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/period"
	"gridcase/domain/rule"
	"gridcase/domain/scheme"
	"gridcase/domain/stream"
	"gridcase/domain/topic"
	"gridcase/domain/whistle"
	"gridcase/projections"
)

// action is something that a role may be allowed: "demand/accept", as in machine and command, or a kind of reading.
type action string

// What is not a command of a machine.
const (
	readCase     action = "read"          // cases in the own jurisdiction, and what one raised oneself
	readEvents   action = "events"        // the feed of events
	readPersonal action = "personal-data" // open sealed fields, for a purpose, on the record
	searchText   action = "search-text"   // search what residents wrote, not only public summaries
	sameReporter action = "same-reporter" // know that two demands come from one person
	readHouse    action = "house"         // the log's own streams: grants, readings, number runs
	keepUnits    action = "units"         // open units, draw grids
	readCoverage action = "coverage"      // how grids are divided and who is missing
	publishes    action = "publish"       // put notices and policies in force
	readWork     action = "work"          // figures of the own jurisdiction: workload, escalation, disputes, databases
	readPosts    action = "work-by-post"  // figures by the person that an order was given to

	// evaluates hands in what a street says of a unit: a command to the period, whose path a second person confirms.
	evaluates action = "period/evaluations"
)

// table is the one table of who may do what. Who may do it where is the jurisdiction's matter ([Server.sees]), and
// what a rule demands beyond the role is the domain's.
type table map[action][]orgs.Role

func (t table) can(r orgs.Role, a action) bool { return slices.Contains(t[a], r) }

// actions makes the table: commands from the tables of the machines, so that nothing is said twice, and readings.
func actions() table {
	cases := slices.DeleteFunc(orgs.Roles(), func(r orgs.Role) bool { return r == orgs.Operator })
	t := table{
		readCase: cases,
		readEvents: slices.DeleteFunc(slices.Clone(cases), func(r orgs.Role) bool {
			return r == orgs.Resident || r == orgs.StairwellHead || r == orgs.BuildingHead
		}),
		readPersonal: {orgs.Clerk, orgs.CommunitySecretary, orgs.GridWorker, orgs.GridSecretary, orgs.Dispatcher, orgs.StreetLeader,
			orgs.Handler, orgs.UnitHead, orgs.Mediator, orgs.Verifier, orgs.CallbackAgent, orgs.Supervisor, orgs.Arbiter, orgs.PrivacyOfficer},
		searchText:   {orgs.Clerk, orgs.CommunitySecretary, orgs.Dispatcher, orgs.StreetLeader, orgs.PrivacyOfficer},
		sameReporter: {orgs.Clerk, orgs.CommunitySecretary, orgs.Dispatcher, orgs.StreetLeader, orgs.PrivacyOfficer},
		readHouse:    {orgs.Auditor, orgs.PrivacyOfficer},
		keepUnits:    {orgs.Operator},
		readCoverage: slices.DeleteFunc(orgs.Roles(), func(r orgs.Role) bool {
			return r == orgs.Resident || r == orgs.StairwellHead || r == orgs.BuildingHead || r == orgs.Channel
		}),
		publishDuties: {orgs.AdmissionOfficer},
		publishes:     {orgs.Operator},
		readWork: slices.DeleteFunc(slices.Clone(cases), func(r orgs.Role) bool {
			return r == orgs.Resident || r == orgs.StairwellHead || r == orgs.BuildingHead || r == orgs.Channel || r == orgs.System
		}),
		readPosts: {orgs.GridSecretary, orgs.CommunitySecretary, orgs.Dispatcher, orgs.StreetLeader, orgs.UnitHead, orgs.Supervisor, orgs.Arbiter},
	}
	commands(t, &demand.Machine)
	commands(t, &topic.Machine)
	commands(t, &order.Machine)
	commands(t, &dispute.Machine)
	commands(t, &whistle.Machine)
	commands(t, &admission.Machine)
	commands(t, &scheme.Machine)
	commands(t, &period.Machine)
	commands(t, &evaluation.Machine)
	t[evaluates] = t["evaluation/submit"]
	return t
}

// commands adds who a machine lets give its commands. The process manager is nobody who comes in here.
func commands[S ~string](t table, m *rule.Machine[S]) {
	add := func(command string, roles []orgs.Role) {
		a := action(m.Name + "/" + command)
		for _, r := range roles {
			if r != orgs.System && !t.can(r, a) {
				t[a] = append(t[a], r)
			}
		}
	}
	for _, r := range m.Rows {
		add(r.Command, r.Actors)
	}
	for _, n := range m.Notes {
		add(n.Command, n.Actors)
	}
}

// confidants are the roles that may know of a report (举报), where its place is theirs; never because of an order.
var confidants = []orgs.Role{orgs.Clerk, orgs.CommunitySecretary, orgs.Dispatcher, orgs.StreetLeader, orgs.Supervisor,
	orgs.Arbiter, orgs.Auditor, orgs.PrivacyOfficer}

// overseers are the roles that may know of an order of a report if it was dispatched from the seat's reach: of the level that dispatched it,
// and above. desks are those that may know of it at the very unit that leads it, helps with it or dispatched it.
var (
	overseers = []orgs.Role{orgs.Dispatcher, orgs.StreetLeader, orgs.UnitHead, orgs.Supervisor, orgs.Arbiter, orgs.Auditor, orgs.PrivacyOfficer, orgs.Verifier, orgs.CallbackAgent}
	desks     = []orgs.Role{orgs.Handler, orgs.UnitHead, orgs.GridWorker, orgs.GridSecretary, orgs.Clerk, orgs.CommunitySecretary, orgs.Dispatcher, orgs.StreetLeader}
)

// seesReports reports whether somebody sees the orders of all reports: no unit is above the seat that could have dispatched one.
func (s *Server) seesReports(v projections.Viewer) bool {
	return v.Oversees && strings.Count(v.Seat, "/") == 2
}

// viewer is how far an actor sees. Residents and channels see what they brought in, and nothing else; an operator sees no case.
func (s *Server) viewer(a rule.Actor) projections.Viewer {
	switch a.Role {
	case orgs.Resident, orgs.Channel:
		return projections.Viewer{Actor: a.ID, Confidential: true}
	case orgs.Operator:
		return projections.Viewer{}
	}
	units := s.Engine.Units()
	v := projections.Viewer{Seat: units.Path(rule.Seat(units, a)), Actor: a.ID, Confidential: slices.Contains(confidants, a.Role),
		Oversees: slices.Contains(overseers, a.Role)}
	if slices.Contains(desks, a.Role) {
		v.Desk = a.Unit
	}
	if a.Role == orgs.Mediator {
		v.Mediates = ladder(units, a)
	}
	return v
}

// ladder is where a mediator stands on the ladder: its own unit, or the unit that hosts its centre.
func ladder(units *orgs.Tree, a rule.Actor) orgs.UnitCode {
	if u, _ := units.Unit(a.Unit); u.Kind == orgs.Centre {
		return u.Parent
	}
	return a.Unit
}

// sees reports whether the actor may know of what is on a stream. The folded state answers at once in most cases;
// what is seen because of an order, the views know. They may be behind the log: before they say no, they catch up.
func (s *Server) sees(ctx context.Context, a rule.Actor, n stream.Name, state any) (bool, error) {
	if !s.allowed.can(a.Role, readCase) {
		return false, nil
	}
	v := s.viewer(a)
	units := s.Engine.Units()
	inSeat := func(unit orgs.UnitCode, grid orgs.GridCode) bool {
		path := units.Path(unit)
		if grid != "" && units.Within(grid.Unit(), unit) {
			path = units.Path(grid.Unit())
		}
		return v.Seat != "" && path != "" && strings.HasPrefix(path, v.Seat)
	}
	switch st := state.(type) {
	case demand.State:
		if st.Kind == demand.Report && !v.Confidential {
			return false, nil
		}
		if inSeat(st.Unit, st.Grid) || st.RaisedBy.ID == v.Actor {
			return true, nil
		}
	case topic.State:
		if inSeat(st.Unit, "") || st.ProposedBy.ID == v.Actor {
			return true, nil
		}
	case order.State:
		if st.Kind == string(demand.Report) {
			return v.SeesReport(units, st.By, st.ReportBodies()...), nil
		}
		if inSeat(st.Place, st.Grid) || v.Seat != "" && units.Path(st.Lead) == v.Seat {
			return true, nil
		}
	case whistle.State: // and, as the views know, each unit that it summons with its parent department or members
		if inSeat(st.Street, "") {
			return true, nil
		}
	case dispute.State:
		return s.seesDispute(ctx, a, st, inSeat)
	case admission.State:
		return s.seesAdmission(a, st), nil
	case scheme.State:
		return s.seesScheme(a, st), nil
	case period.State:
		return s.seesPeriod(a, st), nil
	case evaluation.State:
		return s.seesEvaluation(ctx, a, st)
	default:
		return false, nil
	}
	id, category := n.ID(), n.Category()
	if ok, err := s.Views.Views().Visible(ctx, v, category, id); ok || err != nil {
		return ok, err
	}
	end, err := s.Log.End(ctx)
	if err != nil {
		return false, err
	}
	if s.Views.Position() >= end {
		return false, nil
	}
	if err := s.reach(ctx, end); err != nil { // it can not be told, and is not to be taken for a no
		return false, err
	}
	return s.Views.Views().Visible(ctx, v, category, id)
}

// seesDispute: a dispute is seen where its matter lies, by its parties, by mediators above or below that place, and by
// whoever sees the demand that it came from.
func (s *Server) seesDispute(ctx context.Context, a rule.Actor, st dispute.State, inSeat func(orgs.UnitCode, orgs.GridCode) bool) (bool, error) {
	if inSeat(st.Unit, "") || slices.Contains(st.Parties, a.ID) {
		return true, nil
	}
	units := s.Engine.Units()
	if a.Role == orgs.Mediator {
		seat := ladder(units, a)
		if units.Within(st.Unit, seat) || units.Within(seat, st.Unit) {
			return true, nil
		}
	}
	n := stream.Of(stream.Demand, st.Demand)
	d, _, err := s.Engine.Load(ctx, n)
	if err != nil {
		return false, err
	}
	return s.sees(ctx, a, n, d)
}

// seesAdmission: a request is seen by who asks, and on the line of who would bear it: above it, there, and in it.
func (s *Server) seesAdmission(a rule.Actor, st admission.State) bool {
	seat := s.viewer(a).Seat
	return seat != "" && slices.ContainsFunc(append(slices.Clip(st.Wanted), st.By), func(u orgs.UnitCode) bool {
		path := s.Engine.Units().Path(u)
		return path != "" && (strings.HasPrefix(path, seat) || strings.HasPrefix(seat, path))
	})
}

// above reports whether the actor's seat is a unit or lies above it.
func (s *Server) above(a rule.Actor, unit orgs.UnitCode) bool {
	seat, path := s.viewer(a).Seat, s.Engine.Units().Path(unit)
	return seat != "" && path != "" && strings.HasPrefix(path, seat)
}

// below reports whether the actor's seat lies in a unit.
func (s *Server) below(a rule.Actor, unit orgs.UnitCode) bool {
	seat, path := s.viewer(a).Seat, s.Engine.Units().Path(unit)
	return seat != "" && path != "" && strings.HasPrefix(seat, path)
}

// seesScheme: a draft is the office's and the auditors', at its unit and above; once published, everybody it may be applied to
// knows it.
func (s *Server) seesScheme(a rule.Actor, st scheme.State) bool {
	if st.Version > 0 {
		return s.above(a, st.Unit) || s.below(a, st.Unit)
	}
	return s.above(a, st.Unit) && (a.Role == orgs.Evaluator || a.Role == orgs.Auditor)
}

// seesPeriod: a period is no secret where it is settled; what of its requests and objections, [renderPeriod] says.
func (s *Server) seesPeriod(a rule.Actor, st period.State) bool {
	return s.above(a, st.Jurisdiction) || s.below(a, st.Jurisdiction)
}

// seesEvaluation: what a street says of a unit is seen by the street and above it; by the unit, with its parent department, once
// provisional figures were published.
func (s *Server) seesEvaluation(ctx context.Context, a rule.Actor, st evaluation.State) (bool, error) {
	if s.above(a, st.Street) {
		return true, nil
	}
	if s.viewer(a).Seat == "" || !s.Engine.Units().SameBody(a.Unit, st.Unit) {
		return false, nil
	}
	p, _, err := s.Engine.Load(ctx, stream.Of(stream.Period, st.Period))
	if err != nil {
		return false, err
	}
	settled, ok := p.(period.State)
	return ok && settled.Shown.Number > 0, nil
}

// find loads what a path names, if the actor sees it: a problem that does not tell absent from invisible otherwise.
func (s *Server) find(ctx context.Context, c stream.Category, id string) (n stream.Name, state any, revision int64, err error) {
	if c == stream.Duties {
		return s.findDuties(ctx, id)
	}
	parsed, err := stream.ParseID(id)
	if err != nil {
		return "", nil, -1, problem("not_found")
	}
	n = stream.Of(c, parsed)
	state, revision, err = s.Engine.Load(ctx, n)
	if err != nil {
		return n, nil, -1, err
	}
	if revision < 0 {
		return n, nil, -1, problem("not_found")
	}
	seen, err := s.sees(ctx, of(ctx).actor, n, state)
	if err != nil {
		return n, nil, -1, err
	}
	if !seen {
		return n, nil, -1, problem("not_found")
	}
	return n, state, revision, nil
}

// may refuses an actor whose role is not in the table.
func (s *Server) may(ctx context.Context, a action) error {
	r := of(ctx).actor.Role
	if s.allowed.can(r, a) {
		return nil
	}
	return problem("role_missing", rule.Say(rule.RoleWord(r)+"无权执行 "+string(a), "the role "+string(r)+" may not do "+string(a)))
}
