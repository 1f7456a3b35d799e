package admission

import (
	"slices"
	"strings"
	"testing"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/duty"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/ruletest"
)

// What happens: everything but due instants, which have tests of their own.
func TestWhatIsDecided(t *testing.T) {
	requested := func(change ...func(*Requested)) Requested {
		e := Requested{By: department, Office: district, Matter: "120101", Role: duty.Lead, Units: []orgs.UnitCode{home}, From: first, Until: last,
			Task: "汛期入户排查", Basis: "防汛条例第十条", Staff: 3, Budget: 500_000}
		for _, f := range change {
			f(&e)
		}
		return e
	}
	urgent := func(r *Request) { r.From, r.Emergency = date("2026-03-02"), "突发汛情" }
	for _, tt := range []struct {
		name  string
		given []step
		when  step
		then  Event
		phase Phase
	}{
		{"a department asks for a community", nil, by(asker, asking()), requested(), PhaseRequested},
		{"an emergency may begin today", nil, by(asker, asking(urgent)), requested(func(e *Requested) { e.From, e.Emergency = date("2026-03-02"), "突发汛情" }), PhaseRequested},
		{"places in two districts are for the city's office", nil, by(as(orgs.UnitHead, bureau), asking(func(r *Request) { r.Units = []orgs.UnitCode{home, far} })),
			requested(func(e *Requested) { e.By, e.Office, e.Units = bureau, city, []orgs.UnitCode{home, far} }), PhaseRequested},
		{"an agency asks for its street", nil, by(as(orgs.UnitHead, agency), asking(func(r *Request) { r.Units, r.Role = []orgs.UnitCode{street}, duty.Assist })),
			requested(func(e *Requested) { e.By, e.Units, e.Role = agency, []orgs.UnitCode{street}, duty.Assist }), PhaseRequested},
		{"a request may name the topic whose plan needs it", nil, by(asker, asking(func(r *Request) { r.Topic = topicID })), requested(func(e *Requested) { e.Topic = topicID }), PhaseRequested},
		{"the community that would bear it is asked", isRequested, by(officer, OpenReview{}), ReviewOpened{Asked: []orgs.UnitCode{home}}, PhaseReviewing},
		{"of a district its streets are", []step{by(asker, asking(func(r *Request) { r.Units = []orgs.UnitCode{district} }))}, by(officer, OpenReview{}),
			ReviewOpened{Asked: []orgs.UnitCode{street, nextStreet}}, PhaseReviewing},
		{"the office of the city may act for the district's", isRequested, by(as(orgs.AdmissionOfficer, city), OpenReview{}), ReviewOpened{Asked: []orgs.UnitCode{home}}, PhaseReviewing},
		{"a community says no", isReviewing, by(as(orgs.CommunitySecretary, home), RecordOpinion{Reason: "人手不足"}), OpinionRecorded{Unit: home, Reason: "人手不足"}, PhaseReviewing},
		{"its street says yes", isReviewing, by(as(orgs.StreetLeader, street), RecordOpinion{Supports: true}), OpinionRecorded{Unit: street, Supports: true}, PhaseReviewing},
		{"two officers grant what was asked for", isReviewing, granting, Granted{Units: []orgs.UnitCode{home}, From: first, Until: last, Funding: "呼财〔2026〕7号"}, PhaseGranted},
		{"or less", when([]step{by(asker, asking(func(r *Request) { r.Units = []orgs.UnitCode{street} }))}, by(officer, OpenReview{})),
			both(officer, second, Grant{Units: []orgs.UnitCode{neighbour}, From: first + 1, Until: last - 1, Funding: "文号"}),
			Granted{Units: []orgs.UnitCode{neighbour}, From: first + 1, Until: last - 1, Funding: "文号"}, PhaseGranted},
		{"silence was no grant, and a late one is one", isReviewing, both(officer, second, Grant{Funding: "文号"}, 60*day),
			Granted{Units: []orgs.UnitCode{home}, From: first, Until: last, Funding: "文号"}, PhaseGranted},
		{"an officer refuses", isReviewing, by(officer, Refuse{Reason: "属部门本职"}), Refused{Reason: "属部门本职"}, PhaseRefused},
		{"the asking unit does not want it any more", isReviewing, by(asker, Withdraw{}), Withdrawn{}, PhaseWithdrawn},
		{"money arrives", isGranted, by(officer, RecordFunding{Reference: "凭证"}), Funded{Reference: "凭证"}, PhaseGranted},
		{"a grant is revoked", isGranted, by(officer, Revoke{Reason: "居民不同意"}), Revoked{Reason: "居民不同意"}, PhaseRevoked},
		{"nobody answers in time", isRequested, by(clock, ExpireClock{"admission/0/0/1"}, 40*day), nil, PhaseRequested},
	} {
		t.Run(tt.name, func(t *testing.T) {
			st := given(t, tt.given...)
			es, err := st.Does(tt.when)
			if err != nil || len(es) == 0 {
				t.Fatalf("got %v, %v, want an event", es, err)
			}
			if tt.then != nil && (len(es) != 1 || !same(es[0], tt.then)) {
				t.Errorf("got %+v, want %+v", es, tt.then)
			}
			if st.State.Phase != tt.phase {
				t.Errorf("got state %s, want %s", st.State.Phase, tt.phase)
			}
		})
	}
}

// same compares events without their due instants.
func same(a, b Event) bool { return rule.Same(a, b) }

// Whatever is refused says which rule, in both languages, and changes nothing.
func TestWhatIsRefused(t *testing.T) {
	ask := func(f func(*Request)) step { return by(asker, asking(f)) }
	future := by(officer, OpenReview{})
	future.Ago = -time.Second
	for _, tt := range []struct {
		name  string
		given []step
		when  step
		code  rule.Code
		rule  string
	}{
		{"nothing happens in the future", isRequested, future, rule.GuardFailed, "I18"},
		{"somebody is to bear it", nil, ask(func(r *Request) { r.Units = nil }), rule.GuardFailed, "A1"},
		{"a unit exists", nil, ask(func(r *Request) { r.Units = []orgs.UnitCode{"150199"} }), rule.GuardFailed, "A1"},
		{"a grid is asked for through its community", nil, ask(func(r *Request) { r.Units = []orgs.UnitCode{grid} }), rule.GuardFailed, "A1"},
		{"a department bears by its own duty", nil, ask(func(r *Request) { r.Units = []orgs.UnitCode{department} }), rule.GuardFailed, "A1"},
		{"a unit is named once", nil, ask(func(r *Request) { r.Units = []orgs.UnitCode{home, home} }), rule.GuardFailed, "A1"},
		{"a department asks within its district", nil, by(as(orgs.UnitHead, stranger), asking()), rule.OutsideJuris, "A1"},
		{"an agency asks within its street", nil, by(as(orgs.UnitHead, agency), asking(func(r *Request) { r.Units = []orgs.UnitCode{nextStreet} })), rule.OutsideJuris, "A1"},
		{"nobody of nowhere asks", nil, by(as(orgs.UnitHead, "150199"), asking()), rule.OutsideJuris, "A1"},
		{"a matter exists", nil, ask(func(r *Request) { r.Matter = "999999" }), rule.GuardFailed, "A1"},
		{"an admission is for one matter, not for a class", nil, ask(func(r *Request) { r.Matter = "12" }), rule.GuardFailed, "A1"},
		{"it is to lead or to assist", nil, ask(func(r *Request) { r.Role = "watch" }), rule.GuardFailed, "A1"},
		{"a term ends after it begins", nil, ask(func(r *Request) { r.Until = r.From - 1 }), rule.GuardFailed, "A1"},
		{"a mistyped year opens nothing for good", nil, ask(func(r *Request) { r.Until = r.From + maxTerm }), rule.GuardFailed, "A1"},
		{"a term lies ahead", nil, ask(func(r *Request) { r.From, r.Emergency = date("2026-03-01"), "急" }), rule.GuardFailed, "A1"},
		{"it is asked for in time", nil, ask(func(r *Request) { r.From = date("2026-04-10") }), rule.GuardFailed, "A1"},
		{"what is to be done is said", nil, ask(func(r *Request) { r.Task = " " }), rule.GuardFailed, "A1"},
		{"by what law is said", nil, ask(func(r *Request) { r.Basis = "" }), rule.GuardFailed, "A1"},
		{"money or staff goes with the matter", nil, ask(func(r *Request) { r.Staff, r.Budget = 0, 0 }), rule.GuardFailed, "A1"},
		{"no money goes the other way", nil, ask(func(r *Request) { r.Budget = -1 }), rule.GuardFailed, "A1"},
		{"a topic exists", nil, ask(func(r *Request) { r.Topic = self }), rule.GuardFailed, "A1"},
		{"the office of another district does not look", isRequested, by(as(orgs.AdmissionOfficer, nextDistrict), OpenReview{}), rule.OutsideJuris, "A2"},
		{"a street has no such office", isRequested, by(as(orgs.AdmissionOfficer, street), OpenReview{}), rule.OutsideJuris, "A2"},
		{"only who asked withdraws", isRequested, by(as(orgs.UnitHead, agency), Withdraw{}), rule.OutsideJuris, "A3"},
		{"nothing is granted unlooked at", isRequested, granting, rule.WrongState, "M1"},
		{"nobody grants alone", isReviewing, by(officer, Grant{Funding: "文号"}), rule.SecondPerson, "A4"},
		{"nobody is two persons", isReviewing, both(officer, officer, Grant{Funding: "文号"}), rule.SecondPerson, "A4"},
		{"another district's officer does not confirm", isReviewing, both(officer, as(orgs.AdmissionOfficer, nextDistrict), Grant{Funding: "文号"}), rule.OutsideJuris, "A4"},
		{"another district's officer does not grant", isReviewing, both(as(orgs.AdmissionOfficer, nextDistrict), second, Grant{Funding: "文号"}), rule.OutsideJuris, "A4"},
		{"nothing is granted without a funding reference", isReviewing, both(officer, second, Grant{}), rule.GuardFailed, "A4"},
		{"nothing is granted to whom it was not asked for", isReviewing, both(officer, second, Grant{Units: []orgs.UnitCode{neighbour}, Funding: "文号"}), rule.GuardFailed, "A4"},
		{"nothing is granted wider than it was asked for", isReviewing, both(officer, second, Grant{Units: []orgs.UnitCode{street}, Funding: "文号"}), rule.GuardFailed, "A4"},
		{"nothing is granted earlier", isReviewing, both(officer, second, Grant{From: first - 1, Funding: "文号"}), rule.GuardFailed, "A4"},
		{"nothing is granted longer", isReviewing, both(officer, second, Grant{Until: last + 1, Funding: "文号"}), rule.GuardFailed, "A4"},
		{"nothing is granted when its term is over", isReviewing, both(officer, second, Grant{Funding: "文号"}, 150*day), rule.GuardFailed, "A4"},
		{"a refusal has a reason", isReviewing, by(officer, Refuse{}), rule.GuardFailed, "A5"},
		{"a revocation has a reason", isGranted, by(officer, Revoke{}), rule.GuardFailed, "A6"},
		{"another district's office revokes nothing", isGranted, by(as(orgs.AdmissionOfficer, nextDistrict), Revoke{Reason: "理由"}), rule.OutsideJuris, "A6"},
		{"the clock is not early", isGranted, by(clock, Expire{"expiry/0/0/2"}, 100*day), rule.GuardFailed, "I15"},
		{"nor with the expiry of an answer", isRequested, by(clock, ExpireClock{"admission/0/0/1"}, 2*day), rule.GuardFailed, "I15"},
		{"nor with a warning", isRequested, by(clock, RaiseWarning{"admission/0/0/1"}, 2*day), rule.GuardFailed, "I15"},
		{"a neighbour's opinion was not asked", isReviewing, by(as(orgs.CommunitySecretary, neighbour), RecordOpinion{Supports: true}), rule.OutsideJuris, "A2"},
		{"whoever is against it says why", isReviewing, by(as(orgs.CommunitySecretary, home), RecordOpinion{}), rule.GuardFailed, "A2"},
		{"a payment has a reference", isGranted, by(officer, RecordFunding{}), rule.GuardFailed, "A4"},
		{"another district's office pays nothing in", isGranted, by(as(orgs.AdmissionOfficer, nextDistrict), RecordFunding{Reference: "凭证"}), rule.OutsideJuris, "A4"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			given(t, tt.given...).Refuses(t, Machine, tt.when, tt.code, tt.rule)
		})
	}
}

// 30 working days from Monday 2026-03-02: the festival of 清明 (04-04 to 04-06) is no working time.
func TestTheEarliestFirstDay(t *testing.T) {
	for from, want := range map[string]bool{"2026-04-13": false, "2026-04-14": true} {
		_, err := begin().Does(by(asker, asking(func(r *Request) { r.From = date(from) })))
		if got := err == nil; got != want {
			t.Errorf("from %s: got %v, want %v: %v", from, got, want, err)
		}
	}
}

func TestAnAnswerIsOwedAndSilenceNeverGrants(t *testing.T) {
	st := given(t, isRequested...)
	d, runs := st.State.Running.Get(calendar.Admission)
	if want := time.Date(2026, 3, 23, 15, 59, 59, 0, time.UTC); !runs || !d.Due.Equal(want) {
		t.Fatalf("the answer is due %s, want %s (15 working days)", d.Due, want)
	}
	var keys []string
	for range 20 {
		a, any := rule.Earliest(st.State.Alarms())
		if !any {
			break
		}
		keys = append(keys, a.Key())
		if _, err := st.Does(by(clock, a.Command.(Command), a.At.Add(-time.Second).Sub(st.Now))); ruletest.Refusal(err) == nil || ruletest.Refusal(err).Rule != "I15" {
			t.Errorf("%s a second early: got %v, want I15", a.Key(), err)
		}
		es, err := st.Does(by(clock, a.Command.(Command), a.At.Sub(st.Now)))
		if err != nil || len(es) == 0 {
			t.Fatalf("%s: %v, %v", a.Key(), es, err)
		}
		if again, err := st.Does(by(clock, a.Command.(Command))); err != nil || len(again) > 0 {
			t.Errorf("%s again: %v, %v, want nothing", a.Key(), again, err)
		}
	}
	// Both warnings before a Monday fall on Friday's closing time, and are one.
	if want := []string{"deadline/admission/0/0/1/warning/1", "deadline/admission/0/0/1/expiry"}; !slices.Equal(keys, want) {
		t.Errorf("got alarms %v, want %v", keys, want)
	}
	if s := st.State; s.Phase != PhaseRequested || s.Attention.Level != 5 || s.Attention.Unit != city || s.Attention.Rule != "E5" {
		t.Errorf("got %s with attention %+v, want it still requested and the city to see it", s.Phase, s.Attention)
	}
	if _, granted := st.State.Grant(); granted {
		t.Error("silence granted it")
	}
	if es, err := st.Does(by(officer, OpenReview{})); err != nil || len(es) != 1 {
		t.Errorf("the office looks at last: %v, %v", es, err)
	}
}

func TestAGrantExpiresByTheClockAfterItsLastDay(t *testing.T) {
	st := given(t, isGranted...)
	d, runs := st.State.Running.Get(calendar.Expiry)
	if !runs || len(st.State.Running) != 1 || !d.Due.Equal(last.End()) {
		t.Fatalf("got clocks %+v, want the last day alone", st.State.Running)
	}
	var keys []string
	for {
		a, any := rule.Earliest(st.State.Alarms())
		if !any {
			break
		}
		keys = append(keys, a.Step)
		if es, err := st.Does(by(clock, a.Command.(Command), a.At.Sub(st.Now)+3*time.Second)); err != nil || len(es) != 1 {
			t.Fatalf("%s: %v, %v", a.Key(), es, err)
		}
	}
	if !slices.Equal(keys, []string{"warning/1", "warning/2", "expiry"}) || st.State.Phase != PhaseExpired {
		t.Errorf("got %v and %s", keys, st.State.Phase)
	}
	if e := st.History[len(st.History)-1].Event.(Expired); e.LateBy != 4 || !e.Due.Equal(last.End()) {
		t.Errorf("got %+v, want it 4 seconds late", e)
	}
	if g, granted := st.State.Grant(); !granted || g.Ended != last+1 || g.Until != last {
		t.Errorf("got %+v, want it to have ended the day after its last", g)
	}
}

func TestAGrantIsLiveOnAllOfItsLastDayWhereDaysEndWithService(t *testing.T) {
	short := calendar.DefaultPolicy()
	short.DayEnd = calendar.EndOfService
	steps := when(isGranted, by(officer, RecordFunding{Reference: "凭证"}))
	for i := range steps {
		steps[i].At.Clocks.Policy = short
	}
	st := given(t, steps...)
	d, _ := st.State.Running.Get(calendar.Expiry)
	if calendar.DateOf(d.Due) != last || !d.Due.Before(last.End()) {
		t.Fatalf("it is due %s, want the last closing time of %s", d.Due, last)
	}
	if _, err := st.Does(by(clock, Expire{ID: d.ID}, d.Due.Sub(st.Now)+time.Second, short)); err != nil || st.State.Phase != PhaseExpired {
		t.Fatalf("%v, %s", err, st.State.Phase)
	}
	if g, _ := st.State.Grant(); !g.Live(last) || g.Live(last+1) {
		t.Errorf("expired at %s: got %+v, want it live on its last day and not after", st.Now, g)
	}
}

func TestAGrantIsWhatTheGateGoesBy(t *testing.T) {
	st := given(t, isGranted...)
	if g, ok := st.State.Grant(); !ok || g.Admission != self || g.Matter != "120101" || g.Role != duty.Lead || !slices.Equal(g.Units, []orgs.UnitCode{home}) || g.From != first || g.Until != last || !g.Funded.IsZero() {
		t.Errorf("granted: got %+v", g)
	}
	if g, _ := st.State.Grant(); g.Live(first) {
		t.Error("it is live before its funding is recorded")
	}
	if _, err := st.Does(by(officer, RecordFunding{Reference: "凭证"})); err != nil {
		t.Fatal(err)
	}
	if es, err := st.Does(by(second, RecordFunding{Reference: "凭证二"})); err != nil || len(es) > 0 {
		t.Errorf("paid twice: got %v, %v, want nothing", es, err)
	}
	if g, _ := st.State.Grant(); g.Live(first-1) || !g.Live(first) || !g.Live(last) || g.Live(last+1) {
		t.Errorf("funded: got %+v", g)
	}
	for _, steps := range [][]step{isRequested, isReviewing, isRefused, isWithdrawn} {
		st := given(t, steps...)
		if _, granted := st.State.Grant(); granted {
			t.Errorf("%s is a grant", st.State.Phase)
		}
	}
	revoked := given(t, isRevoked...)
	if g, _ := revoked.State.Grant(); g.Ended != calendar.DateOf(revoked.Now) {
		t.Errorf("revoked: got %+v", g)
	}
}

// Only the same person saying the same at the same moment repeats what was said last.
func TestWhatIsNoRepeat(t *testing.T) {
	st := given(t, isRefused...)
	at := st.Meet(by(officer, Refuse{Reason: "属部门本职"}, time.Duration(0)))
	if es, err := Decide(st.State, Refuse{Reason: "属部门本职"}, at); es != nil || err != nil {
		t.Errorf("the same again: got %v, %v, want nothing", es, err)
	}
	at.Actor = second
	if _, err := Decide(st.State, Refuse{Reason: "属部门本职"}, at); ruletest.Refusal(err) == nil || ruletest.Refusal(err).Code != rule.WrongState {
		t.Errorf("somebody else: got %v, want %s", err, rule.WrongState)
	}
}

// listed is a gate by these rows of the district's lists for communities, and one of the city's.
func listed(negative duty.NegativeGrant, rows map[duty.List]string) rule.Gate {
	var r duty.Register
	p := duty.Published{Unit: district, Version: 3, From: date("2026-03-01"), Covers: []orgs.Kind{orgs.Community}, Unlisted: duty.BlockUnlisted, NegativeGrant: negative}
	for l, matter := range rows {
		p.Items = append(p.Items, duty.Item{Target: orgs.Community, List: l, Matter: matter, Row: "条目", Basis: "依据"})
	}
	r.Publish(p)
	return r.Gate(town())
}

// An admission that would open nothing is refused when it is asked for, or, if the lists changed since, when it is to be granted.
func TestAnAdmissionThatOpensNothingIsRefused(t *testing.T) {
	negative := map[duty.List]string{duty.Negative: "12"}
	for _, tt := range []struct {
		name    string
		gate    rule.Gate
		role    duty.Role
		units   []orgs.UnitCode
		refused bool
	}{
		{"to lead what is on the negative list", listed(duty.GrantAssists, negative), duty.Lead, []orgs.UnitCode{home}, true},
		{"in a whole street", listed(duty.GrantAssists, negative), duty.Lead, []orgs.UnitCode{street}, true},
		{"in a whole district", listed(duty.GrantAssists, negative), duty.Lead, []orgs.UnitCode{district}, true},
		{"nor where grants open nothing on it", listed(duty.GrantNothing, negative), duty.Assist, []orgs.UnitCode{home}, true},
		{"to issue what is not issued", listed(duty.GrantAny, map[duty.List]string{duty.NoCertificate: "1201"}), duty.Assist, []orgs.UnitCode{home}, true},
		{"to lead what is only helped with", listed(duty.GrantAny, map[duty.List]string{duty.StatutoryAssist: "12"}), duty.Lead, []orgs.UnitCode{home}, true},
		{"one place of two", listed(duty.GrantAssists, negative), duty.Lead, []orgs.UnitCode{nextStreet, home}, true},
		{"to assist is what a grant opens", listed(duty.GrantAssists, negative), duty.Assist, []orgs.UnitCode{home}, false},
		{"where grants to lead open it", listed(duty.GrantAny, negative), duty.Lead, []orgs.UnitCode{home}, false},
		{"what is not borne", listed(duty.GrantAssists, map[duty.List]string{duty.NotBorne: "12"}), duty.Lead, []orgs.UnitCode{home}, false},
		{"what is on no list", listed(duty.GrantAssists, nil), duty.Lead, []orgs.UnitCode{home}, false},
		{"the rows are another district's", listed(duty.GrantAssists, negative), duty.Lead, []orgs.UnitCode{far}, false},
		{"before any list", nil, duty.Lead, []orgs.UnitCode{home}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			who, deciders := asker, []rule.Actor{officer, second}
			if tt.units[0] == far {
				who, deciders = as(orgs.UnitHead, bureau), []rule.Actor{as(orgs.AdmissionOfficer, city), {ID: "k-2", Role: orgs.AdmissionOfficer, Unit: city}}
			}
			ask := by(who, asking(func(r *Request) { r.Units, r.Role = tt.units, tt.role }))
			check := func(id string, err error) {
				t.Helper()
				r := ruletest.Refusal(err)
				if !tt.refused {
					if err != nil {
						t.Errorf("got %v, want none", err)
					}
					return
				}
				if r == nil || r.Code != rule.GuardFailed || r.Rule != id || r.Block != nil {
					t.Fatalf("got %v, want guard_failed by %s", err, id)
				}
				for _, words := range []string{r.Detail.Zh, r.Detail.En} {
					if !strings.Contains(words, "条目") || !strings.Contains(words, "3") || !strings.Contains(words, string(district)) {
						t.Errorf("it names neither publisher, row nor version: %s", words)
					}
				}
			}
			st := begin()
			st.Gate = tt.gate
			_, err := st.Does(ask)
			check("A1", err)
			st = given(t, ask, by(deciders[0], OpenReview{}))
			st.Gate = tt.gate // published meanwhile
			es, err := st.Does(both(deciders[0], deciders[1], Grant{Funding: "文号"}))
			check("A4", err)
			if tt.refused && (len(es) > 0 || st.State.Phase != PhaseReviewing) {
				t.Errorf("refused, and yet %v", es)
			}
		})
	}
}
