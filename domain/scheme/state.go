package scheme

import (
	"time"

	"gridcase/domain/assessment"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
)

// State is a scheme as its stream tells it. The zero State is a scheme that does not exist yet.
type State struct {
	ID      stream.ID
	Phase   Phase
	Unit    orgs.UnitCode
	Follows stream.ID
	Scheme  assessment.Scheme // the last wording; read only
	Version int               // 0 before it was published
	Hash    string
	Reason  sealed.Public // it was discarded or retired for

	DraftedAt   time.Time
	PublishedAt time.Time // recorded; zero before
	EndedAt     time.Time // when it was discarded or retired; zero before
	Since       time.Time // when the present state was entered, or the wording changed

	last      Event // the last event, who said it when, and the state it was decided in: a repeat decides nothing
	lastStamp rule.Stamp
	before    *State // never written to, and without a before of its own
}

// Fact is what other machines may know of the scheme.
func (s State) Fact() rule.SchemeFact {
	return rule.SchemeFact{ID: s.ID, Phase: string(s.Phase), Unit: s.Unit, Version: s.Version, Hash: s.Hash, Published: s.PublishedAt, Scheme: s.Scheme}
}

// Evolve returns the state after an event. It accepts any event in any state: what is in the log has happened.
func Evolve(s State, e Event, st rule.Stamp) State {
	before := s
	before.before = nil
	s.last, s.lastStamp, s.before = e, st, &before
	enter := func(p Phase) { s.Phase, s.Since = p, st.Recorded }
	switch e := e.(type) {
	case Drafted:
		s.Unit, s.Follows, s.Scheme, s.DraftedAt = e.Unit, e.Follows, e.Scheme, st.Recorded
		enter(PhaseDraft)
	case Amended:
		s.Scheme = e.Scheme
		enter(PhaseDraft)
	case Published:
		s.Version, s.Hash, s.PublishedAt = e.Version, e.Hash, st.Recorded
		enter(PhasePublished)
	case Discarded:
		s.Reason, s.EndedAt = e.Reason, st.Recorded
		enter(PhaseDiscarded)
	case Retired:
		s.Reason, s.EndedAt = e.Reason, st.Recorded
		enter(PhaseRetired)
	}
	return s
}
