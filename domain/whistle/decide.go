package whistle

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
)

// Command is something that a street, a summoned unit, an arbiter, an evaluator or the clock wants done with a whistle.
type Command interface {
	// Name is the command's word in the table and in the path of the API.
	Name() string
	// decide returns nil and no error if what is asked for is so already.
	decide(State, rule.At) (Event, error)
}

// The commands, in the order of the table. Their members mean what the event of the same row says.
type (
	Blow struct {
		Units  []orgs.UnitCode
		Class  Class
		Place  orgs.UnitCode // "" = the street itself
		Spot   sealed.Public
		Task   sealed.Public
		Demand stream.ID
		Topic  stream.ID
		Order  stream.ID
	}
	ReportIn struct{ Unit orgs.UnitCode }
	Conclude struct{ Outcome sealed.Public }
	Cancel   struct{ Reason sealed.Public }
	// Score needs no marks from the clock, which gives none.
	Score struct{ Marks []Mark }

	ExcuseUnit struct {
		Unit   orgs.UnitCode
		Reason sealed.Public
	}
	ReleaseUnit struct {
		Unit   orgs.UnitCode
		Left   bool
		Reason sealed.Public
	}
	// Rescore changes what is given and leaves the rest of the card as it was.
	Rescore struct {
		Unit     orgs.UnitCode
		ReportIn Standing
		Stayed   *bool
		Outcome  *int
		Comment  sealed.Public
		Reason   sealed.Public
	}
	RecomputeDeadline struct {
		ID     string // of the due instant
		Reason sealed.Public
	}
)

// Mark is what the street says of one unit's part in the outcome.
type Mark struct {
	Unit    orgs.UnitCode
	Outcome int // 0 to 30
	Comment sealed.Public
}

// The clock's own commands. Each decides nothing when its time has passed over: the step was taken, or it fired before.
type (
	RaiseWarning struct{ ID string } // of the due instant
	MarkAbsent   struct{ ID string }
)

// The names of the commands.
func (Blow) Name() string              { return "blow" }
func (ReportIn) Name() string          { return "report-in" }
func (Conclude) Name() string          { return "conclude" }
func (Cancel) Name() string            { return "cancel" }
func (Score) Name() string             { return "score" }
func (ExcuseUnit) Name() string        { return "excuse-unit" }
func (ReleaseUnit) Name() string       { return "release-unit" }
func (Rescore) Name() string           { return "rescore" }
func (RecomputeDeadline) Name() string { return "recompute-deadline" }
func (RaiseWarning) Name() string      { return "raise-warning" }
func (MarkAbsent) Name() string        { return "mark-absent" }

// most is how many units one whistle may summon; ours.
const most = 20

// Needs names the other streams that a command must know.
func Needs(_ State, c Command) rule.Refs {
	b, blows := c.(Blow)
	if !blows {
		return rule.Refs{}
	}
	some := func(id stream.ID) []stream.ID {
		if id.IsZero() {
			return nil
		}
		return []stream.ID{id}
	}
	return rule.Refs{Demands: some(b.Demand), Topics: some(b.Topic), Orders: some(b.Order)}
}

// Decide returns what a command makes happen: one event; none if the same person says at the same moment what was
// said last, or if what the clock asks for has passed over. The error is a [*rule.Refusal], or comes from the calendar.
func Decide(s State, c Command, at rule.At) ([]Event, error) {
	if r := rule.NotFuture(at); r != nil {
		return nil, Machine.Explain(s.Phase, r)
	}
	if repeats(s, c, at) {
		return nil, nil
	}
	e, err := answer(s, c, at)
	if e == nil || err != nil {
		return nil, err
	}
	return []Event{e}, nil
}

// answer asks the table, then the guards.
func answer(s State, c Command, at rule.At) (Event, error) {
	return rule.Ask(&Machine, s.ID, s.Phase, c.Name(), at, func(at rule.At) (Event, error) { return c.decide(s, at) })
}

// repeats reports whether the same person asks at the same moment for what was decided last. The question is
// put to the state of then, at the time of then. A clock that catches up gives two warnings of one due instant at one
// moment: what tells them apart is the key, not the command.
func repeats(s State, c Command, at rule.At) bool {
	if _, warns := c.(RaiseWarning); warns || s.before == nil {
		return false
	}
	return rule.Again(at, s.last, s.lastStamp, func(then rule.At) (Event, error) { return answer(*s.before, c, then) })
}

// dueID is unique in the stream for ever: clock, number of the unit in place of a round, leg (whistles have none) and
// a serial (rule I15).
func dueID(c calendar.Clock, unit, serial int) string {
	return fmt.Sprintf("%s/%d/0/%d", c, unit, serial)
}

func needs(id, zh, en string) *rule.Refusal { return rule.Refuse(rule.GuardFailed, id, zh, en) }

// firm returns the first refusal as an error, and nil if there is none.
func firm(rs ...*rule.Refusal) error {
	for _, r := range rs {
		if r != nil {
			return r
		}
	}
	return nil
}

// said refuses a text that was left empty.
func said(text sealed.Public, id, zh, en string) *rule.Refusal {
	if strings.TrimSpace(string(text)) != "" {
		return nil
	}
	return needs(id, "请填写"+zh, "the "+en+" is missing")
}

// effective returns the instant that counts for what is being decided, not before another (rule I18).
func effective(at rule.At, opened time.Time) time.Time {
	return calendar.EffectiveInstant(at.Occurred, at.Recorded, opened, at.Clocks.Policy.Offline())
}

// ofStreet reports whether the person commands for the street that blew.
func (s State) ofStreet(a rule.Actor) bool {
	return slices.Contains(desk, a.Role) && a.Unit == s.Street
}

// commands refuses unless the actor commands for the street that blew.
func (s State) commands(at rule.At, id string) *rule.Refusal {
	if s.ofStreet(at.Actor) {
		return nil
	}
	return rule.Refuse(rule.OutsideJuris, id, fmt.Sprintf("须由吹哨的街道 %s 办理", s.Street),
		fmt.Sprintf("the street %s that blew the whistle does this", s.Street))
}

// summoned returns a unit of the whistle, or refuses.
func (s State) summoned(code orgs.UnitCode, id string) (Unit, *rule.Refusal) {
	u, found := s.Unit(code)
	if !found {
		return u, needs(id, fmt.Sprintf("本次吹哨未召集 %q", code), fmt.Sprintf("the whistle did not summon %q", code))
	}
	return u, nil
}

// body lists who is one body with a summoned unit: itself and, of a joint team, its member agencies.
func body(at rule.At, code orgs.UnitCode) []orgs.UnitCode {
	u, _ := at.Units.Unit(code)
	return append([]orgs.UnitCode{code}, u.Members...)
}

// outranks refuses whoever decides about a unit from within it (rule I2), or about a whistle elsewhere.
func (s State) outranks(at rule.At, code orgs.UnitCode, id string) *rule.Refusal {
	if r := rule.Independent(at, body(at, code), "I2"); r != nil {
		return r
	}
	return rule.Reaches(at, s.Street, id)
}

// answers reports whether a street may summon a unit: what sits in the street, and what works for the whole area
// that the street lies in — its district's departments and joint teams, and the utilities.
func answers(units *orgs.Tree, u orgs.Unit, street orgs.UnitCode) bool {
	switch u.Kind {
	case orgs.Agency, orgs.Centre, orgs.Property, orgs.SocialOrg, orgs.Team:
		return units.Within(u.Code, street)
	case orgs.Department, orgs.JointTeam, orgs.Utility:
		return units.Within(street, u.Parent)
	}
	return false
}

// W1.
func (c Blow) decide(s State, at rule.At) (Event, error) {
	street, known := at.Units.Unit(at.Actor.Unit)
	if !known || street.Kind != orgs.Street || street.Closed {
		return nil, rule.Refuse(rule.OutsideJuris, "W1", "只有街道（镇、乡）可以吹哨", "only a street, town or township blows a whistle")
	}
	if c.Place == "" {
		c.Place = street.Code
	}
	place, _ := at.Units.Unit(c.Place)
	switch {
	case !slices.Contains(Classes(), c.Class):
		return nil, needs("W1", "哨的等级为紧急或普通", "the class is urgent or normal")
	case !at.Units.Within(c.Place, street.Code) || !slices.Contains([]orgs.Kind{orgs.Street, orgs.Community, orgs.Grid}, place.Kind):
		return nil, needs("W1", fmt.Sprintf("地点 %q 不是本街道或其社区、网格", c.Place), fmt.Sprintf("the place %q is neither the street nor a community or grid of it", c.Place))
	case len(c.Units) == 0 || len(c.Units) > most:
		return nil, needs("W1", fmt.Sprintf("召集 1 至 %d 个单位", most), fmt.Sprintf("a whistle summons 1 to %d units", most))
	}
	if err := firm(said(c.Task, "W1", "任务", "task"), c.refers(at, street.Code)); err != nil {
		return nil, err
	}
	e := Blown{Street: street.Code, Class: c.Class, Place: c.Place, Spot: c.Spot, Task: c.Task, Demand: c.Demand, Topic: c.Topic, Order: c.Order}
	for i, code := range c.Units {
		u, known := at.Units.Unit(code)
		switch {
		case !known || u.Closed:
			return nil, needs("W1", fmt.Sprintf("单位 %q 不存在或已撤销", code), fmt.Sprintf("the unit %q does not exist or is closed", code))
		case !answers(at.Units, u, street.Code):
			return nil, rule.Refuse(rule.OutsideJuris, "W1", fmt.Sprintf("%s 不能召集 %s", street.Code, code),
				fmt.Sprintf("%s may not summon %s", street.Code, code))
		case slices.Contains(c.Units[:i], code):
			return nil, needs("W1", fmt.Sprintf("单位 %s 重复", code), fmt.Sprintf("the unit %s is named twice", code))
		}
		due, err := at.Clocks.Start(dueID(calendar.ReportIn, i+1, s.Dues+i+1), calendar.ReportIn, "", string(c.Class), at.Recorded)
		if err != nil {
			return nil, err
		}
		e.Units = append(e.Units, Summons{Unit: code, ReportIn: due})
	}
	return e, nil
}

// refers refuses what the whistle may not name: what does not exist or lies elsewhere, and a report (举报), which
// nobody who is called may learn of.
func (c Blow) refers(at rule.At, street orgs.UnitCode) *rule.Refusal {
	if d, found := at.Facts.Demand(c.Demand); !c.Demand.IsZero() && (!found || !at.Units.Within(d.Unit, street)) {
		return needs("W1", "诉求不存在或不在本街道", "there is no such demand in the street")
	} else if d.Kind == "report" {
		return needs("W1", "举报类诉求不得吹哨", "no whistle names a report")
	}
	if t, found := at.Facts.Topic(c.Topic); !c.Topic.IsZero() && (!found || !at.Units.Within(t.Unit, street)) {
		return needs("W1", "议题不存在或不在本街道", "there is no such topic in the street")
	}
	if o, found := at.Facts.Order(c.Order); !c.Order.IsZero() && (!found || !at.Units.Within(o.Place, street)) {
		return needs("W1", "办题单不存在或不在本街道", "there is no such order in the street")
	} else if o.Kind == "report" {
		return needs("W1", "举报类诉求的办题单不得吹哨", "no whistle names the order of a report")
	}
	return nil
}

// W2. The street enters who has come; or the unit does, and the street confirms.
func (c ReportIn) decide(s State, at rule.At) (Event, error) {
	u, r := s.summoned(c.Unit, "W2")
	if err := firm(r, s.seen(at, c.Unit)); err != nil {
		return nil, err
	}
	switch {
	case !u.ReportedAt.IsZero():
		return nil, needs("W2", fmt.Sprintf("%s 已报到", c.Unit), fmt.Sprintf("%s has reported in already", c.Unit))
	case u.Excused:
		return nil, needs("W2", fmt.Sprintf("%s 已免到", c.Unit), fmt.Sprintf("%s was excused", c.Unit))
	}
	arrived := effective(at, s.BlownAt)
	return UnitReportedIn{Unit: c.Unit, At: arrived, Late: !calendar.OnTime(arrived, u.Due.Due)}, nil
}

// seen refuses unless the street saw the unit come: as the actor, or as the second person.
func (s State) seen(at rule.At, code orgs.UnitCode) *rule.Refusal {
	if s.ofStreet(at.Actor) {
		return nil
	}
	if !slices.ContainsFunc(body(at, code), func(u orgs.UnitCode) bool { return at.Units.Within(at.Actor.Unit, u) }) {
		return rule.Refuse(rule.OutsideJuris, "W2", fmt.Sprintf("%s 不能代表 %s 报到", at.Actor.Unit, code),
			fmt.Sprintf("%s does not act for %s", at.Actor.Unit, code))
	}
	if r := rule.Confirmed(at.Stamp, "W2", desk...); r != nil {
		return r
	}
	if !s.ofStreet(*at.Second) {
		return rule.Refuse(rule.SecondPerson, "W2", fmt.Sprintf("须由吹哨的街道 %s 确认", s.Street),
			fmt.Sprintf("the street %s that blew the whistle must confirm", s.Street))
	}
	return nil
}

// W3. 事不完、人不撤: whoever came is let go first. Who had not come while there was still time is spared.
func (c Conclude) decide(s State, at rule.At) (Event, error) {
	if err := firm(s.commands(at, "W3"), said(c.Outcome, "W3", "处置结果", "outcome")); err != nil {
		return nil, err
	}
	e := Concluded{Outcome: c.Outcome, At: effective(at, s.Since)}
	for _, u := range s.Units {
		switch {
		case u.Present():
			return nil, needs("W3", fmt.Sprintf("%s 尚未撤离（事不完、人不撤）", u.Code), fmt.Sprintf("%s is still there: release it first", u.Code))
		case u.ReportedAt.IsZero() && !u.Excused && calendar.OnTime(e.At, u.Due.Due):
			e.Spared = append(e.Spared, u.Code)
		}
	}
	due, err := at.Clocks.Start(dueID(calendar.Score, 1, s.Dues+1), calendar.Score, "", "", at.Recorded)
	e.Score = due
	return e, err
}

// W4. That nobody has reported in is what the state says.
func (c Cancel) decide(s State, at rule.At) (Event, error) {
	return Cancelled(c), firm(s.commands(at, "W4"), said(c.Reason, "W4", "撤哨理由", "reason"))
}

// W5. What the clock gives are cards from facts alone.
func (c Score) decide(s State, at rule.At) (Event, error) {
	var cards []Card
	for _, u := range s.Units {
		if u.Standing().Counts() {
			cards = append(cards, u.card())
		}
	}
	if at.Actor.Role == orgs.System {
		d, _ := s.Running.Get(calendar.Score)
		if x, r := s.Running.Expire(s.Fired, d.ID, time.Time{}, at); x == nil {
			return nil, firm(r)
		}
		return Scored{Cards: cards}, nil
	}
	if r := s.commands(at, "W5"); r != nil {
		return nil, r
	}
	rated := map[orgs.UnitCode]bool{}
	for _, m := range c.Marks {
		i := slices.IndexFunc(cards, func(k Card) bool { return k.Unit == m.Unit })
		switch {
		case i < 0:
			return nil, needs("W5", fmt.Sprintf("%q 不在本次评价之列", m.Unit), fmt.Sprintf("%q gets no card", m.Unit))
		case rated[m.Unit]:
			return nil, needs("W5", fmt.Sprintf("%s 重复评价", m.Unit), fmt.Sprintf("%s is rated twice", m.Unit))
		}
		k := cards[i]
		k.Outcome, k.Comment, k.Unrated = m.Outcome, m.Comment, false
		if r := k.check(); r != nil {
			return nil, r
		}
		cards[i], rated[m.Unit] = k.scored(), true
	}
	for _, k := range cards {
		if !rated[k.Unit] {
			return nil, needs("W5", fmt.Sprintf("%s 尚未评价", k.Unit), fmt.Sprintf("%s is not rated yet", k.Unit))
		}
	}
	return Scored{Cards: cards}, nil
}

// check refuses points out of bounds, and points without a comment.
func (c Card) check() *rule.Refusal {
	switch {
	case c.Unrated:
		return nil
	case c.Outcome < 0 || c.Outcome > outcomePoints:
		return needs("W5", fmt.Sprintf("%s 的处置效果为 0 至 %d 分", c.Unit, outcomePoints), fmt.Sprintf("the outcome of %s is 0 to %d points", c.Unit, outcomePoints))
	}
	return said(c.Comment, "W5", fmt.Sprintf("对 %s 的评语", c.Unit), fmt.Sprintf("comment on %s", c.Unit))
}

// ExcuseUnit takes a unit out that is still waited for, or did not come: until the cards are given.
func (c ExcuseUnit) decide(s State, at rule.At) (Event, error) {
	u, r := s.summoned(c.Unit, "W2")
	if err := firm(r, s.outranks(at, c.Unit, "W2"), said(c.Reason, "W2", "免到理由", "reason")); err != nil {
		return nil, err
	}
	if st := u.Standing(); st != Awaited && st != Absent {
		return nil, needs("W2", fmt.Sprintf("%s 已报到、已免到或无须再到", c.Unit), fmt.Sprintf("%s has come, was excused or is not waited for", c.Unit))
	}
	return UnitExcused(c), nil
}

// ReleaseUnit lets a unit go, or says that it had gone.
func (c ReleaseUnit) decide(s State, at rule.At) (Event, error) {
	u, r := s.summoned(c.Unit, "W3")
	if err := firm(r, s.commands(at, "W3")); err != nil {
		return nil, err
	}
	switch {
	case !u.Present():
		return nil, needs("W3", fmt.Sprintf("%s 不在现场", c.Unit), fmt.Sprintf("%s is not there", c.Unit))
	case c.Left:
		if r := said(c.Reason, "W3", "擅自离场的情况", "account of how the unit left"); r != nil {
			return nil, r
		}
	}
	return UnitReleased{Unit: c.Unit, At: effective(at, u.ReportedAt), Left: c.Left, Reason: c.Reason}, nil
}

// Rescore carries an upheld objection into the card.
func (c Rescore) decide(s State, at rule.At) (Event, error) {
	u, r := s.summoned(c.Unit, "W5")
	if err := firm(r, s.outranks(at, c.Unit, "W5"), said(c.Reason, "W5", "改判理由", "reason")); err != nil {
		return nil, err
	}
	if u.Card == nil {
		return nil, needs("W5", fmt.Sprintf("%s 没有评价卡", c.Unit), fmt.Sprintf("%s has no card", c.Unit))
	}
	k := *u.Card
	if c.ReportIn != "" {
		k.ReportIn = c.ReportIn
	}
	if c.Stayed != nil {
		k.Stayed = *c.Stayed
	}
	if c.Outcome != nil {
		k.Outcome, k.Unrated = *c.Outcome, false
	}
	if c.Comment != "" {
		k.Comment = c.Comment
	}
	k = k.scored()
	switch {
	case !k.ReportIn.Counts():
		return nil, needs("W5", "报到结论为按时、迟到或缺席", "a unit was on time, late or absent")
	case k.ReportIn == Absent && k.Stayed:
		return nil, needs("W5", "缺席的单位不能坚守到底", "a unit that was absent did not stay")
	case k == *u.Card:
		return nil, needs("W5", "改判与原评价相同", "the card would stay as it is")
	}
	return Rescored{Card: k, Reason: c.Reason}, firm(k.check())
}

func (c RaiseWarning) decide(s State, at rule.At) (Event, error) {
	w, r := s.Running.Warn(s.Fired, c.ID, at)
	if w == nil {
		return nil, firm(r)
	}
	return WarningRaised(*w), nil
}

// MarkAbsent says at its due instant that a unit has not come.
func (c MarkAbsent) decide(s State, at rule.At) (Event, error) {
	u, called := s.Called(c.ID)
	x, r := s.Running.Expire(s.Fired, c.ID, time.Time{}, at)
	if !called || x == nil {
		return nil, firm(r)
	}
	return UnitAbsent{Unit: u.Code, ID: x.ID, Due: x.Due, LateBy: x.LateBy}, nil
}

// RecomputeDeadline counts a running clock anew with the calendar there is now: after a notice has arrived, or was corrected.
func (c RecomputeDeadline) decide(s State, at rule.At) (Event, error) {
	old, _ := s.Running.Due(c.ID)
	number := max(1, 1+slices.IndexFunc(s.Units, func(u Unit) bool { return u.Due.ID == c.ID }))
	r, err := rule.Recounted(at, s.Street, old, old.StartedAt, dueID(old.Clock, number, s.Dues+1), c.Reason)
	if r == nil {
		return nil, err
	}
	return DeadlineRecomputed(*r), nil
}
