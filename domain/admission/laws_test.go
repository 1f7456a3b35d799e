package admission

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/ruletest"
)

// limits says which clock runs in each state.
var limits = map[Phase]calendar.Clock{PhaseRequested: calendar.Admission, PhaseReviewing: calendar.Admission, PhaseGranted: calendar.Expiry}

// broken lists which laws a request and its history break.
func broken(s State, history []entry) []string {
	var bs []string
	law := func(holds bool, format string, args ...any) {
		if !holds {
			bs = append(bs, fmt.Sprintf(format, args...))
		}
	}
	var want, got []calendar.Clock
	if c, limited := limits[s.Phase]; limited {
		want = []calendar.Clock{c}
	}
	for _, d := range s.Running {
		got = append(got, d.Clock)
	}
	law(slices.Equal(got, want), "in %s the clocks %v run, want %v", s.Phase, got, want)
	law(s.EndedAt.IsZero() != s.Phase.Terminal(), "in %s it ended at %s", s.Phase, s.EndedAt)
	g, granted := s.Grant()
	law(granted == slices.Contains([]Phase{PhaseGranted, PhaseRevoked, PhaseExpired}, s.Phase), "in %s there is a grant: %v", s.Phase, granted)
	law(!granted || len(g.Units) > 0 && g.From <= g.Until && s.Funding != "", "an empty grant: %+v", g)
	law(s.before == nil || s.before.before == nil, "a state keeps all states before it")

	expired := map[string]int{}
	for _, h := range history {
		a := h.Stamp.Actor
		switch e := h.Event.(type) {
		case Granted:
			law(a.Role == orgs.AdmissionOfficer && h.Stamp.Second != nil && h.Stamp.Second.ID != a.ID, "%s granted it alone", a.ID)
			law(a != clock, "the clock granted it")
		case Expired:
			law(a == clock && h.Stamp.Recorded.Sub(e.Due) >= time.Second, "%s ended it at %s, due %s", a.ID, h.Stamp.Recorded, e.Due)
			expired[e.ID]++
		case ClockExpired:
			law(a == clock && h.Stamp.Recorded.Sub(e.Due) >= time.Second, "%s let the time run out at %s, due %s", a.ID, h.Stamp.Recorded, e.Due)
			expired[e.ID]++
		case OpinionRecorded:
			law(a.Unit == e.Unit, "%s spoke for %s", a.Unit, e.Unit)
		}
	}
	for id, n := range expired {
		law(n == 1, "I15: %s expired %d times", id, n)
	}
	return bs
}

// anyStep draws a command of somebody, as often right as wrong.
func anyStep(st *story) *rapid.Generator[step] {
	others := []rule.Actor{asker, officer, second, clock, as(orgs.UnitHead, bureau), as(orgs.AdmissionOfficer, city), as(orgs.AdmissionOfficer, nextDistrict),
		as(orgs.StreetLeader, street), as(orgs.CommunitySecretary, home), as(orgs.CommunitySecretary, neighbour)}
	right := map[string]rule.Actor{"request": asker, "withdraw": asker, "expire": clock, "raise-warning": clock, "expire-clock": clock, "recompute-deadline": arbiter, "record-opinion": as(orgs.CommunitySecretary, home)}
	return rapid.Custom(func(t *rapid.T) step {
		c := rapid.SampledFrom(commands).Draw(t, "command")
		if st.State.Phase == "" && rapid.IntRange(0, 3).Draw(t, "nothing to do it with") > 0 {
			c = commands[0]
		}
		// Mostly something that the state allows, or the clock's; what ends a request early keeps it from the rest.
		seldom := func(name string) bool { return name == "withdraw" || name == "refuse" || name == "revoke" }
		if possible := append(slices.DeleteFunc(Machine.Possible(st.State.Phase), seldom), "expire"); st.State.Phase != "" && rapid.IntRange(0, 3).Draw(t, "unlisted") > 0 {
			name := rapid.SampledFrom(possible).Draw(t, "possible")
			c = commands[slices.IndexFunc(commands, func(c Command) bool { return c.Name() == name })]
		}
		a, fits := right[c.Name()]
		if !fits {
			a = officer
		}
		if rapid.IntRange(0, 3).Draw(t, "somebody else") == 0 {
			a = rapid.SampledFrom(others).Draw(t, "actor")
		}
		if _, asks := c.(Request); asks {
			c = asking(func(r *Request) {
				r.Units = []orgs.UnitCode{rapid.SampledFrom([]orgs.UnitCode{home, street, district, far}).Draw(t, "scope")}
				r.From += calendar.Date(rapid.IntRange(-10, 30).Draw(t, "from"))
			})
		}
		if id := due(st); id != "" && rapid.IntRange(0, 3).Draw(t, "a clock that does not run") > 0 {
			switch c.(type) {
			case Expire:
				c = Expire{id}
			case RaiseWarning:
				c = RaiseWarning{id}
			case ExpireClock:
				c = ExpireClock{id}
			case RecomputeDeadline:
				c = RecomputeDeadline{ID: id, Reason: "放假通知已更正"}
			}
		}
		s := by(a, c, rapid.SampledFrom([]time.Duration{0, time.Second, time.Hour, 2 * day, 20 * day, 60 * day}).Draw(t, "after"))
		if c.Name() == "recompute-deadline" {
			s.At.Clocks = ruletest.Shut(morning)
		}
		if rapid.IntRange(0, 4).Draw(t, "alone") > 0 {
			s.At.Second = &second
		}
		return s
	})
}

// However people and the clock act: the laws hold after every step, the log tells the same as the steps did, no state
// changes afterwards, a decision asked twice decides nothing, and the clock alone ends every grant.
func TestTheLawsHoldWhateverIsDone(t *testing.T) {
	reached := map[Phase]int{}
	rapid.Check(t, func(t *rapid.T) {
		for range 20 {
			st := begin()
			for range rapid.IntRange(3, 14).Draw(t, "steps") {
				s := anyStep(st).Draw(t, "step")
				before := st.State
				at, es := st.Tries(t, Machine, s)
				Evolve(before, OpinionRecorded{Unit: "x"}, at.Stamp) // another future of the same state leaves this one alone
				if bs := broken(st.State, st.History); len(bs) > 0 {
					t.Fatalf("after %s by %s: %q", s.Command.Name(), at.Actor.ID, bs)
				}
				if _, warned := s.Command.(RaiseWarning); len(es) > 0 && !warned { // two warnings may be late at one moment
					st.Repeats(t, s.Command, at, 30*day)
				}
				reached[st.State.Phase]++
			}
			st.Retells(t, State{ID: self})
			for range 6 {
				if a, any := rule.Earliest(st.State.Alarms()); any {
					if _, err := st.Does(by(clock, a.Command.(Command), max(a.At.Sub(st.Now), time.Second))); err != nil {
						t.Fatalf("the clock is stuck in %s: %v", st.State.Phase, err)
					}
					if bs := broken(st.State, st.History); len(bs) > 0 {
						t.Fatalf("after the clock: %q", bs)
					}
				}
			}
			if len(st.State.Alarms()) > 0 || st.State.Phase == PhaseGranted {
				t.Fatalf("when the clock has done all it does, it is %s with %v to come", st.State.Phase, st.State.Alarms())
			}
		}
	})
	ruletest.Shown(t, reached, Machine.States...)
}

// Laws that nothing can break prove nothing: each of these stories is false.
func TestABrokenLawIsFound(t *testing.T) {
	for name, spoil := range map[string]func(*story){
		"a clock outlives the request": func(st *story) { st.State.Running = st.States[0].Running },
		"no clock runs":                func(st *story) { st.State.Running = nil },
		"it ended and goes on":         func(st *story) { st.State.EndedAt = morning },
		"a grant is forgotten":         func(st *story) { st.State.GrantedAt = time.Time{} },
		"a grant for nobody":           func(st *story) { st.State.Units = nil },
		"an unfunded promise":          func(st *story) { st.State.Funding = "" },
		"one person granted it":        func(st *story) { st.History[2].Stamp.Second = &officer },
		"the clock granted it":         func(st *story) { st.History[2].Stamp.Actor = clock },
		"an expiry came twice":         func(st *story) { e := lapse(st, time.Second); st.History = append(st.History, e, e) },
		"an expiry came early":         func(st *story) { st.History = append(st.History, lapse(st, 999*time.Millisecond)) },
		"somebody spoke for others": func(st *story) {
			st.History = append(st.History, entry{Event: OpinionRecorded{Unit: home}, Stamp: st.History[1].Stamp})
		},
	} {
		st := given(t, isGranted...)
		if bs := broken(st.State, st.History); len(bs) > 0 {
			t.Fatalf("a true story: %q", bs)
		}
		spoil(st)
		if len(broken(st.State, st.History)) == 0 {
			t.Errorf("%s: nothing was found", name)
		}
	}
}

// lapse lets the clock find that nobody answered, that long after the due instant.
func lapse(st *story, after time.Duration) entry {
	d := st.States[0].Running[0]
	return entry{Event: ClockExpired{ID: d.ID, Clock: d.Clock, Due: d.Due}, Stamp: rule.Stamp{Actor: clock, Recorded: d.Due.Add(after)}}
}
