package rule

import (
	"fmt"
	"slices"
	"time"

	"gridcase/domain/assessment"
	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/stream"
)

// Refs names the streams that a decision must know besides its own.
type Refs struct {
	Demands  []stream.ID
	Topics   []stream.ID
	Orders   []stream.ID
	Whistles []stream.ID
	LinkedTo stream.ID // all demands that a topic governs
	Schemes  []stream.ID
	Periods  []stream.ID // each with the scheme that it is settled by
	Applying stream.ID   // all periods that are settled by a scheme
	Existing []stream.Name
}

// Facts are those streams as they stand when the decision is made, handed in by the engine.
// A stream that does not exist is absent.
type Facts struct {
	Demands []DemandFact
	Topics  []TopicFact
	Orders  []OrderFact
	Schemes []SchemeFact
	Periods []PeriodFact

	Whistles []WhistleFact
	Existing []stream.Name // those asked for that have events
}

// DemandFact is what other machines may know of a demand.
type DemandFact struct {
	ID       stream.ID
	Phase    string
	Kind     string
	Unit     orgs.UnitCode
	Topic    stream.ID // the governing topic
	Live     bool      // not in a terminal state
	Answered bool      // answered or later
}

// TopicFact is what other machines may know of a topic.
type TopicFact struct {
	ID       stream.ID
	Phase    string
	Unit     orgs.UnitCode
	Terminal bool
	Handed   bool // handed to the grid: in handling or concluded
}

// OrderFact is what other machines may know of an order.
type OrderFact struct {
	ID        stream.ID
	Phase     string
	Kind      string // of the demand it was dispatched for
	Lead      orgs.UnitCode
	Place     orgs.UnitCode   // where the matter lies
	Bodies    []orgs.UnitCode // every unit that has handled it, leads and co-units of all legs
	Live      bool            // not terminal and not verified
	Verified  bool            // verified at least once
	Closed    bool
	Cancelled bool

	Dispatched time.Time // recorded
}

// WhistleFact is what other machines may know of a whistle.
type WhistleFact struct {
	ID     stream.ID
	Street orgs.UnitCode   // that blew
	Units  []orgs.UnitCode // that it summoned
	Blown  time.Time       // recorded
}

// SchemeFact is what other machines may know of a scheme.
type SchemeFact struct {
	ID        stream.ID
	Phase     string
	Unit      orgs.UnitCode // whose scheme it is: it may be applied there and below
	Version   int           // 0 before it was published
	Hash      string        // SHA-256 of its canonical bytes; "" before it was published
	Published time.Time     // recorded; zero before
	Scheme    assessment.Scheme
}

// PeriodFact is what other machines may know of a period.
type PeriodFact struct {
	ID           stream.ID
	Phase        string
	Jurisdiction orgs.UnitCode
	Scheme       stream.ID
	First, Last  calendar.Date
	EvaluateBy   time.Time // until then streets may hand in evaluations; zero while they may not
	Shown        bool      // provisional figures were published
	Ended        bool      // sealed or voided
}

// Demand returns the fact about a demand.
func (f Facts) Demand(id stream.ID) (DemandFact, bool) {
	i := slices.IndexFunc(f.Demands, func(d DemandFact) bool { return d.ID == id })
	if i < 0 {
		return DemandFact{}, false
	}
	return f.Demands[i], true
}

// Topic returns the fact about a topic.
func (f Facts) Topic(id stream.ID) (TopicFact, bool) {
	i := slices.IndexFunc(f.Topics, func(t TopicFact) bool { return t.ID == id })
	if i < 0 {
		return TopicFact{}, false
	}
	return f.Topics[i], true
}

// Whistle returns the fact about a whistle.
func (f Facts) Whistle(id stream.ID) (WhistleFact, bool) {
	i := slices.IndexFunc(f.Whistles, func(w WhistleFact) bool { return w.ID == id })
	if i < 0 {
		return WhistleFact{}, false
	}
	return f.Whistles[i], true
}

// Scheme returns the fact about a scheme.
func (f Facts) Scheme(id stream.ID) (SchemeFact, bool) {
	i := slices.IndexFunc(f.Schemes, func(s SchemeFact) bool { return s.ID == id })
	if i < 0 {
		return SchemeFact{}, false
	}
	return f.Schemes[i], true
}

// Period returns the fact about a period.
func (f Facts) Period(id stream.ID) (PeriodFact, bool) {
	i := slices.IndexFunc(f.Periods, func(p PeriodFact) bool { return p.ID == id })
	if i < 0 {
		return PeriodFact{}, false
	}
	return f.Periods[i], true
}

// Order returns the fact about an order.
func (f Facts) Order(id stream.ID) (OrderFact, bool) {
	i := slices.IndexFunc(f.Orders, func(o OrderFact) bool { return o.ID == id })
	if i < 0 {
		return OrderFact{}, false
	}
	return f.Orders[i], true
}

// Seat returns the unit whose subtree an actor's rights reach: the own unit, or the unit that hosts it for
// bodies that work for their host's whole area (hotline, oversight, mediation centre).
func Seat(units *orgs.Tree, a Actor) orgs.UnitCode {
	u, known := units.Unit(a.Unit)
	if known && (u.Kind == orgs.Hotline || u.Kind == orgs.Oversight || u.Kind == orgs.Centre) {
		return u.Parent
	}
	return a.Unit
}

// Reaches refuses with [OutsideJuris] unless the unit lies in the actor's jurisdiction. The process manager reaches everything.
func Reaches(at At, unit orgs.UnitCode, id string) *Refusal {
	if at.Actor.Role == orgs.System || at.Units.Within(unit, Seat(at.Units, at.Actor)) {
		return nil
	}
	return Refuse(OutsideJuris, id,
		fmt.Sprintf("%s 不在 %s 的辖区内", unit, at.Actor.Unit),
		fmt.Sprintf("%s lies outside the jurisdiction of %s", unit, at.Actor.Unit))
}

// SecondReaches refuses with [OutsideJuris] unless the unit lies in the jurisdiction of whoever confirmed.
func SecondReaches(at At, unit orgs.UnitCode, id string) *Refusal {
	if at.Second == nil {
		return nil
	}
	at.Actor = *at.Second
	return Reaches(at, unit, id)
}

// Independent refuses with [SameUnit] if the actor belongs to a body that handled the item (rule I2).
func Independent(at At, bodies []orgs.UnitCode, id string) *Refusal {
	for _, b := range bodies {
		if at.Units.SameBody(at.Actor.Unit, b) {
			return Refuse(SameUnit, id,
				fmt.Sprintf("%s 属于承办单位 %s，不能经办此步骤", at.Actor.Unit, b),
				fmt.Sprintf("%s belongs to the handling unit %s and may not do this", at.Actor.Unit, b))
		}
	}
	return nil
}

// NotFuture refuses instants later than the record (times in the future).
func NotFuture(at At) *Refusal {
	if at.Occurred.After(at.Recorded) {
		return Refuse(GuardFailed, "I18", "发生时间不能晚于当前时间", "the time it happened lies in the future")
	}
	return nil
}
