package period

import (
	"slices"
	"time"

	"gridcase/domain/assessment"
	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
)

// State is a period as its stream tells it. The zero State is a period that does not exist yet.
type State struct {
	ID           stream.ID
	Phase        Phase
	Jurisdiction orgs.UnitCode
	Scheme       stream.ID
	Version      int    // of the scheme
	Hash         string // of the scheme
	First, Last  calendar.Date
	EndsAt       time.Time // the last second before the clock may end it

	Exclusions []Exclusion        // by number; read only
	Objections []Objection        // by number; read only
	Others     []assessment.Other // the last of each unit, in the order of their first; read only

	Shown    Shown         // what was published provisionally, the last time; no number: nothing was
	Changed  bool          // since then something was decided or imported that figures follow
	Recorded Record        // figures that wait for their seal
	Result   Result        // what holds; no revision: it is not sealed
	Reason   sealed.Public // it was voided for

	OpenedAt   time.Time
	CutOffAt   time.Time    // when its end was recorded; zero before
	Evaluation calendar.Due // until when streets may hand in evaluations; no id before the end
	ClosedAt   time.Time    // sealed first, or voided; zero before
	Since      time.Time    // when the present state was entered

	Running rule.Clocks
	Fired   rule.Firings
	Dues    int // due instants ever recorded on this stream

	last      Event // the last event, who said it when, and the state it was decided in: a repeat decides nothing
	lastStamp rule.Stamp
	before    *State // never written to, and without a before of its own
}

// Exclusion is a request to leave an item out, and where it stands.
type Exclusion struct {
	Number     int
	Case       assessment.Case
	Indicators []assessment.Indicator
	Reason     assessment.Reason
	Account    sealed.Public
	By         orgs.UnitCode
	Asker      string // opaque id of who asked
	Bodies     []orgs.UnitCode
	AskedAt    time.Time
	Status     assessment.Status
	Answer     sealed.Public
	DecidedAt  time.Time // zero: undecided
}

// Objection is a contested item, and where it stands.
type Objection struct {
	Number    int
	Case      assessment.Case
	Indicator assessment.Indicator
	Verdict   assessment.Verdict // asked for; once it was upheld, found
	Ground    sealed.Public
	By        orgs.UnitCode
	Asker     string // opaque id of who filed it
	Bodies    []orgs.UnitCode
	Decision  calendar.Due
	FiledAt   time.Time
	Status    assessment.Status
	Answer    sealed.Public
	DecidedAt time.Time // zero: undecided
}

// Shown is what was published provisionally.
type Shown struct {
	Number    int
	Figures   int
	Results   string
	Cohort    string
	Missing   int // evaluations
	Objection calendar.Due
	At        time.Time
}

// Record is how much of a result was recorded so far.
type Record struct {
	Revision int
	Results  string
	Figures  int
}

// Result is a sealed result.
type Result struct {
	Revision int // 1 is the seal
	Results  string
	Cohort   string
	Figures  int
	CutOff   int64
	At       time.Time
}

// Fact is what other machines may know of the period.
func (s State) Fact() rule.PeriodFact {
	f := rule.PeriodFact{ID: s.ID, Phase: string(s.Phase), Jurisdiction: s.Jurisdiction, Scheme: s.Scheme, First: s.First, Last: s.Last,
		Shown: s.Shown.Number > 0, Ended: s.Phase.Terminal()}
	if s.Phase == PhaseRating {
		f.EvaluateBy = s.Evaluation.Due
	}
	return f
}

// Undecided counts what must be decided before the period is sealed.
func (s State) Undecided() int {
	n := 0
	for _, x := range s.Exclusions {
		if x.Status == assessment.Undecided {
			n++
		}
	}
	for _, o := range s.Objections {
		if o.Status == assessment.Undecided {
			n++
		}
	}
	return n
}

// Evolve returns the state after an event. It accepts any event in any state: what is in the log has happened.
func Evolve(s State, e Event, st rule.Stamp) State {
	if _, part := e.(FiguresRecorded); !part {
		before := s
		before.before = nil
		s.last, s.lastStamp, s.before = e, st, &before
	}
	switch e := e.(type) {
	case Opened:
		s.Jurisdiction, s.Scheme, s.Version, s.Hash, s.First, s.Last = e.Jurisdiction, e.Scheme, e.Version, e.Hash, e.First, e.Last
		s.EndsAt, s.OpenedAt = e.EndsAt, st.Recorded
		s.enter(PhaseOpen, st)
	case Ended:
		s.CutOffAt, s.Evaluation = st.Recorded, e.Evaluation
		s.enter(PhaseRating, st)
		s.start(e.Evaluation)
	case ProvisionalPublished:
		s.Shown = Shown{Number: e.Number, Figures: e.Figures, Results: e.Results, Cohort: e.Cohort, Missing: e.Missing, Objection: e.Objection, At: st.Recorded}
		s.Changed = false
		s.enter(PhaseProvisional, st)
		s.Running = s.Running.Stop(calendar.Evaluation)
		s.start(e.Objection)
	case FiguresRecorded:
		if e.From == 0 || e.Revision != s.Recorded.Revision || e.Results != s.Recorded.Results {
			s.Recorded = Record{Revision: e.Revision, Results: e.Results}
		}
		if e.From == s.Recorded.Figures {
			s.Recorded.Figures += len(e.Figures)
		}
	case Sealed:
		s.Result = Result{Revision: 1, Results: e.Results, Cohort: e.Cohort, Figures: e.Figures, CutOff: e.CutOff, At: st.Recorded}
		s.end(PhaseSealed, st)
	case RevisionSealed:
		s.Result = Result{Revision: e.Revision, Results: e.Results, Cohort: e.Cohort, Figures: e.Figures, CutOff: e.CutOff, At: st.Recorded}
		s.Recorded = Record{}
		s.Since = st.Recorded
	case Voided:
		s.Reason = e.Reason
		s.end(PhaseVoided, st)
	case ExclusionRequested:
		s.Exclusions = append(slices.Clip(s.Exclusions), Exclusion{Number: e.Number, Case: e.Case, Indicators: e.Indicators, Reason: e.Reason,
			Account: e.Account, By: e.By, Asker: st.Actor.ID, Bodies: e.Bodies, AskedAt: st.Recorded, Status: assessment.Undecided})
	case ExclusionApproved:
		s.Changed = s.Changed || s.Shown.Number > 0
		s.exclusion(e.Number, func(x *Exclusion) { x.Status, x.Answer, x.DecidedAt = assessment.Granted, e.Reason, st.Recorded })
	case ExclusionRefused:
		s.exclusion(e.Number, func(x *Exclusion) { x.Status, x.Answer, x.DecidedAt = assessment.Refused, e.Reason, st.Recorded })
	case ObjectionFiled:
		s.Objections = append(slices.Clip(s.Objections), Objection{Number: e.Number, Case: e.Case, Indicator: e.Indicator, Verdict: e.Verdict,
			Ground: e.Ground, By: e.By, Asker: st.Actor.ID, Bodies: e.Bodies, Decision: e.Decision, FiledAt: st.Recorded, Status: assessment.Undecided})
		s.Running = append(slices.Clip(s.Running), e.Decision) // beside those that are not decided yet
		s.Dues++
	case ObjectionUpheld:
		s.Changed = true
		s.objection(e.Number, func(o *Objection) {
			o.Status, o.Verdict, o.Answer, o.DecidedAt = assessment.Granted, e.Verdict, e.Reason, st.Recorded
		})
	case ObjectionRejected:
		s.objection(e.Number, func(o *Objection) { o.Status, o.Answer, o.DecidedAt = assessment.Refused, e.Reason, st.Recorded })
	case OtherScoreImported:
		s.Changed = s.Changed || s.Shown.Number > 0
		s.Others = slices.Clone(s.Others)
		other := assessment.Other{Unit: e.Unit, Score: e.Score, Document: e.Document}
		if i := slices.IndexFunc(s.Others, func(o assessment.Other) bool { return o.Unit == e.Unit }); i >= 0 {
			s.Others[i] = other
		} else {
			s.Others = append(s.Others, other)
		}
	case WarningRaised:
		s.Fired = s.Fired.Warned(rule.Warning(e))
	case ClockExpired:
		s.Fired = s.Fired.Expired(rule.Expiry(e))
	}
	return s
}

func (s *State) enter(p Phase, st rule.Stamp) { s.Phase, s.Since = p, st.Recorded }

// start runs a clock; one of the same name is replaced.
func (s *State) start(d calendar.Due) {
	s.Running = s.Running.Start(d)
	s.Dues++
}

// end stops everything.
func (s *State) end(p Phase, st rule.Stamp) {
	s.enter(p, st)
	s.ClosedAt, s.Running, s.Recorded = st.Recorded, nil, Record{}
}

// exclusion changes one request, in a list of its own.
func (s *State) exclusion(number int, f func(*Exclusion)) {
	s.Exclusions = slices.Clone(s.Exclusions)
	for i := range s.Exclusions {
		if s.Exclusions[i].Number == number {
			f(&s.Exclusions[i])
		}
	}
}

// objection changes one objection, in a list of its own, and stops its clock.
func (s *State) objection(number int, f func(*Objection)) {
	s.Objections = slices.Clone(s.Objections)
	for i := range s.Objections {
		if s.Objections[i].Number != number {
			continue
		}
		f(&s.Objections[i])
		var left rule.Clocks
		for _, d := range s.Running {
			if d.ID != s.Objections[i].Decision.ID {
				left = append(left, d)
			}
		}
		s.Running = left
	}
}

// endID names the end of the period among its due instants. It is the first, and no policy gives it an amount.
const endID = "end/1/0/0"

// Alarms lists what the clock does next on the period: it ends it, warns of due instants, and says when one has passed.
func (s State) Alarms() []rule.Alarm {
	if s.Phase == PhaseOpen {
		return []rule.Alarm{{At: s.EndsAt.Add(time.Second), Due: s.EndsAt, ID: endID, Step: "expiry", Command: End{}}}
	}
	return s.Running.Alarms(s.Fired, rule.Strikes{
		Warn:   func(id string) any { return RaiseWarning{id} },
		Expire: func(d calendar.Due) any { return ExpireClock{d.ID} },
	})
}
