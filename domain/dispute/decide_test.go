package dispute

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/ruletest"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
)

// What happens: everything but due instants, which have tests of their own.
func TestWhatIsDecided(t *testing.T) {
	for _, tt := range []struct {
		name  string
		given []step
		when  step
		then  Event
		phase Phase
	}{
		{"a dispute is registered at the rung its demand was sent to", nil, by(manager, open),
			Opened{Demand: demandID, Rung: Community, Unit: home, Parties: names}, PhaseOpened},
		{"without a place of its own it lies where the demand lies", nil, by(manager, Open{Demand: demandID, Rung: Grid}),
			Opened{Demand: demandID, Rung: Grid, Unit: home}, PhaseOpened},
		{"a mediator at the rung takes it up for the own unit", isOpened, by(med, AcceptMediation{Unit: property, Consent: true}),
			MediationAccepted{Unit: home}, PhaseMediating},
		{"the community's centre mediates at its rung", isOpened, by(mediatorOf(homeCentre), accept),
			MediationAccepted{Unit: homeCentre}, PhaseMediating},
		{"a matter that can not be mediated is declined", isOpened, by(med, DeclineMediation{Reason: NotMediable}),
			MediationDeclined{Reason: NotMediable}, PhaseFailed},
		{"a dispute that nobody takes up in time counts as declined", isOpened, by(clock, DeclineMediation{Reason: Refused}, 40*day),
			MediationDeclined{Reason: NoAction}, PhaseFailed},
		{"parties who agree sign", isMediating, by(med, agree),
			MediationSucceeded{Agreement: signed, FulfilOn: summer, Summary: "围栏已移位"}, PhaseAgreed},
		{"what the community accepted, its centre may conclude", isMediating, by(mediatorOf(homeCentre), agree),
			MediationSucceeded{Agreement: signed, FulfilOn: summer, Summary: "围栏已移位"}, PhaseAgreed},
		{"a mediation that leads to nothing fails", isMediating, by(med, fail), MediationFailed{Reason: "双方分歧过大"}, PhaseFailed},
		{"a mediation whose time is over fails", isMediating, by(clock, FailMediation{Reason: "whatever"}, 40*day),
			MediationFailed{}, PhaseFailed},
		{"a failed dispute goes to the next rung", isFailed, by(med, ReferUp{}), ReferredUp{Rung: Street}, PhaseOpened},
		{"a failed dispute that nobody refers goes up by itself", isFailed, by(clock, ReferUp{}, 10*day), ReferredUp{Rung: Street}, PhaseOpened},
		{"a dispute may go to court", isFailed, by(med, out), ReferredOut(out), PhaseReferredOut},
		{"at the top rung it may go to the petition office", isTopFailing, by(mediatorOf(districtCentre), ReferOut{Target: Petition, Receipt: "x-9"}),
			ReferredOut{Target: Petition, Receipt: "x-9"}, PhaseReferredOut},
		{"a party may withdraw it", isMediating, by(party, Withdraw{}), Withdrawn{}, PhaseEnded},
		{"with its demand it is withdrawn", isMediating, by(manager, Withdraw{}), Withdrawn{}, PhaseEnded},
		{"a mediator confirms that the agreement was kept", isAgreed, by(med, RecordFulfilment{}), AgreementFulfilled{}, PhaseFulfilled},
		{"an agreement that nobody complains of counts as kept", isAgreed, by(clock, RecordFulfilment{}, 100*day),
			AgreementFulfilled{Presumed: true}, PhaseFulfilled},
		{"a party reports a broken agreement", isAgreed, by(party, breach), AgreementBreached{Reason: breach.Reason}, PhaseFailed},
		{"a mediator reports a broken agreement", isAgreed, by(med, breach), AgreementBreached{Reason: breach.Reason}, PhaseFailed},
		{"both parties give the mediation more time", isMediating, by(med, extend), RungExtended{Amount: 15}, PhaseMediating},
		{"a mediator in time is not bound to the clock", isMediating, by(med, agree, 40*day),
			MediationSucceeded{Agreement: signed, FulfilOn: summer, Summary: "围栏已移位"}, PhaseAgreed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			st := given(t, tt.given...)
			es, err := st.Does(tt.when)
			if err != nil || len(es) != 1 {
				t.Fatalf("got %v, %v, want one event", es, err)
			}
			if !rule.Same(es[0], tt.then) {
				t.Errorf("got %+v, want %+v", es[0], tt.then)
			}
			if st.State.Phase != tt.phase {
				t.Errorf("got state %s, want %s", st.State.Phase, tt.phase)
			}
		})
	}
}

// Only the same person saying the same at the same moment repeats what was said last.
func TestWhatIsNoRepeat(t *testing.T) {
	st := given(t, isFulfilled...)
	at := st.Meet(by(med, RecordFulfilment{}, time.Duration(0)))
	if es, err := Decide(st.State, RecordFulfilment{}, at); es != nil || err != nil {
		t.Errorf("the same again: got %v, %v, want nothing", es, err)
	}
	for name, change := range map[string]func(*rule.At){
		"somebody else says so": func(at *rule.At) { at.Actor = mediatorOf(homeCentre) },
		"it is another moment":  func(at *rule.At) { at.Occurred = at.Occurred.Add(-time.Second) },
	} {
		other := at
		change(&other)
		if _, err := Decide(st.State, RecordFulfilment{}, other); ruletest.Refusal(err) == nil || ruletest.Refusal(err).Code != rule.WrongState {
			t.Errorf("%s: got %v, want %s", name, err, rule.WrongState)
		}
	}
	st = given(t, isFailed...)
	at = st.Meet(by(med, FailMediation{Reason: "另一个理由"}, time.Duration(0)))
	if _, err := Decide(st.State, FailMediation{Reason: "另一个理由"}, at); ruletest.Refusal(err) == nil {
		t.Errorf("another reason: got %v, want a refusal", err)
	}
}

// Whatever is refused says which rule, in both languages, and changes nothing.
func TestWhatIsRefused(t *testing.T) {
	onGrid := []step{by(manager, Open{Demand: demandID, Rung: Grid, Unit: home, Parties: names})}
	other := rule.Facts{Demands: []rule.DemandFact{{ID: demandID, Kind: "errand", Unit: home}}}
	for _, tt := range []struct {
		name  string
		given []step
		when  step
		code  rule.Code
		rule  string
	}{
		{"nothing happens in the future", isOpened, by(med, accept, future(time.Second)), rule.GuardFailed, "I18"},
		{"a dispute needs its demand", nil, by(manager, open, rule.Facts{}), rule.GuardFailed, "P1"},
		{"an errand is no dispute", nil, by(manager, open, other), rule.GuardFailed, "P1"},
		{"there is no rung 0", nil, by(manager, openAt(0)), rule.GuardFailed, "P1"},
		{"there is no rung 5", nil, by(manager, openAt(5)), rule.GuardFailed, "P1"},
		{"a dispute lies somewhere", nil, by(manager, Open{Demand: demandID, Rung: Grid, Unit: "150199"}), rule.GuardFailed, "P1"},
		{"a party is somebody", nil, by(manager, Open{Demand: demandID, Rung: Grid, Parties: []Party{{}}}), rule.GuardFailed, "P1"},
		{"a party is named once", nil, by(manager, Open{Demand: demandID, Rung: Grid, Parties: []Party{{Actor: "a"}, {Actor: "a"}}}), rule.GuardFailed, "P1"},

		{"both parties consent to mediation", isOpened, by(med, AcceptMediation{}), rule.GuardFailed, "P2"},
		{"both parties consented to what was settled on the spot", isOpened, by(manager, AcceptMediation{Unit: home}), rule.GuardFailed, "P2"},
		{"somebody settled it on the spot", isOpened, by(manager, accept), rule.GuardFailed, "P2"},
		{"a party does not mediate", isOpened, by(biased, accept), rule.GuardFailed, "P2"},
		{"a grid does not mediate at the community's rung", isOpened, by(mediatorOf(grid), accept), rule.OutsideJuris, "P2"},
		{"a street does not mediate at the community's rung", isOpened, by(mediatorOf(street), accept), rule.OutsideJuris, "P2"},
		{"a street's centre is at the street's rung", isOpened, by(mediatorOf(streetCentre), accept), rule.OutsideJuris, "P2"},
		{"a property firm is no rung", isOpened, by(mediatorOf(property), accept), rule.OutsideJuris, "P2"},
		{"a neighbouring community does not mediate", isOpened, by(mediatorOf(neighbour), accept), rule.OutsideJuris, "P2"},
		{"another community's grid does not mediate", onGrid, by(mediatorOf(farGrid), accept), rule.OutsideJuris, "P2"},
		{"another street does not mediate", []step{by(manager, openAt(Street))}, by(mediatorOf(nextStreet), accept), rule.OutsideJuris, "P2"},
		{"an agency is no rung", []step{by(manager, openAt(Street))}, by(mediatorOf(agency), accept), rule.OutsideJuris, "P2"},
		{"another district does not mediate", isTop, by(mediatorOf(nextDistrict), accept), rule.OutsideJuris, "P2"},
		{"a department is no rung", isTop, by(mediatorOf(department), accept), rule.OutsideJuris, "P2"},
		{"the city is above the ladder", isTop, by(mediatorOf(city), accept), rule.OutsideJuris, "P2"},
		{"the city's centre is above the ladder", isTop, by(mediatorOf(cityCentre), accept), rule.OutsideJuris, "P2"},
		{"a mediator of nowhere does not mediate", isOpened, by(mediatorOf("150199"), accept), rule.OutsideJuris, "P2"},

		{"declining needs a reason", isOpened, by(med, DeclineMediation{}), rule.GuardFailed, "P3"},
		{"only the clock finds that nobody acted", isOpened, by(med, DeclineMediation{Reason: NoAction}), rule.GuardFailed, "P3"},
		{"a neighbour does not decline", isOpened, by(mediatorOf(neighbour), decline), rule.OutsideJuris, "P3"},
		{"the clock does not decline early", isOpened, by(clock, DeclineMediation{}), rule.GuardFailed, "P3"},

		{"what one grid took up another does not settle", when(onGrid, by(mediatorOf(grid), accept)), by(mediatorOf(nextGrid), agree), rule.OutsideJuris, "P4"},
		{"an agreement is signed", isMediating, by(med, RecordAgreement{FulfilOn: summer}), rule.EvidenceMissing, "P4"},
		{"a hash has 64 digits", isMediating, by(med, RecordAgreement{Agreement: signed[2:], FulfilOn: summer}), rule.EvidenceMissing, "P4"},
		{"a hash has hexadecimal digits", isMediating, by(med, RecordAgreement{Agreement: strings.Repeat("xy", 32), FulfilOn: summer}), rule.EvidenceMissing, "P4"},
		{"a hash is in lower case", isMediating, by(med, RecordAgreement{Agreement: strings.ToUpper(signed), FulfilOn: summer}), rule.EvidenceMissing, "P4"},
		{"an agreement is kept by a date", isMediating, by(med, RecordAgreement{Agreement: signed}), rule.GuardFailed, "P4"},
		{"the date is not over", isMediating, by(med, RecordAgreement{Agreement: signed, FulfilOn: calendar.DateOf(morning) - 1}), rule.GuardFailed, "P4"},

		{"failing needs a reason", isMediating, by(med, FailMediation{Reason: " "}), rule.GuardFailed, "P5"},
		{"a neighbour does not let it fail", isMediating, by(mediatorOf(neighbour), fail), rule.OutsideJuris, "P5"},
		{"the clock does not let it fail early", isMediating, by(clock, FailMediation{}), rule.GuardFailed, "P5"},
		{"the clock waits out an extension", when(isMediating, by(med, extend)), by(clock, FailMediation{}, 40*day), rule.GuardFailed, "P5"},

		{"there is nothing above the top rung", isTopFailing, by(atRung[District], ReferUp{}), rule.GuardFailed, "P6"},
		{"the clock refers nothing above the top rung", isTopFailing, by(clock, ReferUp{}, 40*day), rule.GuardFailed, "P6"},
		{"the clock does not refer early", isFailed, by(clock, ReferUp{}), rule.GuardFailed, "P6"},
		{"the next rung does not fetch it", isFailed, by(mediatorOf(street), ReferUp{}), rule.OutsideJuris, "P6"},

		{"it is referred to somebody", isFailed, by(med, ReferOut{Target: "newspaper", Receipt: "1"}), rule.GuardFailed, "P7"},
		{"the target confirms with a receipt", isFailed, by(med, ReferOut{Target: Police, Receipt: " "}), rule.GuardFailed, "P7"},
		{"a neighbour does not refer it out", isFailed, by(mediatorOf(neighbour), out), rule.OutsideJuris, "P7"},
		{"a stranger does not withdraw it", isMediating, by(stranger, Withdraw{}), rule.OutsideJuris, "P8"},

		{"a neighbour does not confirm that it was kept", isAgreed, by(mediatorOf(neighbour), RecordFulfilment{}), rule.OutsideJuris, "P9"},
		{"the clock does not presume early", isAgreed, by(clock, RecordFulfilment{}), rule.GuardFailed, "P9"},
		{"a stranger does not report a breach", isAgreed, by(stranger, breach), rule.OutsideJuris, "P10"},
		{"a neighbour does not report a breach", isAgreed, by(mediatorOf(neighbour), breach), rule.OutsideJuris, "P10"},
		{"a breach is described", isAgreed, by(party, ReportBreach{}), rule.GuardFailed, "P10"},

		{"both parties consent to more time", isMediating, by(med, ExtendRung{Amount: 15}), rule.GuardFailed, "P5"},
		{"a neighbour gives no more time", isMediating, by(mediatorOf(neighbour), extend), rule.OutsideJuris, "P5"},
		{"more time is given once at a rung", when(isMediating, by(med, ExtendRung{Amount: 1, Consent: true})), by(med, extend), rule.GuardFailed, "P5"},
		{"more time is given in time", isMediating, by(med, extend, 40*day), rule.WindowClosed, "P5"},
		{"no time is not more time", isMediating, by(med, ExtendRung{Consent: true}), rule.GuardFailed, "P5"},
		{"more time has an end", isMediating, by(med, ExtendRung{Amount: 16, Consent: true}), rule.GuardFailed, "P5"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			given(t, tt.given...).Refuses(t, Machine, tt.when, tt.code, tt.rule)
		})
	}
}

// Each rung is mediated by its own kind of unit, or by the centre of one, and by no other.
func TestEachRungHasItsMediators(t *testing.T) {
	may := map[Rung][]orgs.UnitCode{
		Grid:      {grid, nextGrid},
		Community: {home, homeCentre},
		Street:    {street, streetCentre},
		District:  {district, districtCentre},
	}
	units := []orgs.UnitCode{grid, nextGrid, farGrid}
	for u := range town().All() {
		units = append(units, u.Code)
	}
	for _, r := range Rungs() {
		for _, u := range units {
			st := given(t, by(manager, openAt(r)))
			_, err := st.Does(by(mediatorOf(u), accept))
			if got, want := err == nil, slices.Contains(may[r], u); got != want {
				t.Errorf("rung %d, mediator of %s: got accepted %v, want %v (%v)", r, u, got, want, err)
			}
		}
	}
	if k := Rung(5).Kind(); k != "" {
		t.Errorf("rung 5 has kind %q, want none", k)
	}
}

// A dispute in one grid is not its neighbour's.
func TestAGridMediatesOnlyWhatLiesInIt(t *testing.T) {
	steps := []step{by(manager, Open{Demand: demandID, Rung: Grid, Unit: grid})}
	if _, err := given(t, steps...).Does(by(mediatorOf(nextGrid), accept)); ruletest.Refusal(err) == nil {
		t.Errorf("the neighbouring grid: got %v, want a refusal", err)
	}
	given(t, when(steps, by(mediatorOf(grid), accept), by(mediatorOf(grid), fail), by(mediatorOf(grid), ReferUp{}), by(med, accept))...)
}

// R3. What was settled on the spot is opened, accepted and succeeded at one moment, whoever settled it; the
// agreement may be due the same day.
func TestADisputeSettledOnTheSpotIsOneAppend(t *testing.T) {
	for _, unit := range []orgs.UnitCode{grid, home, street} {
		st := given(t,
			by(manager, open),
			by(manager, AcceptMediation{Unit: unit, Consent: true}, time.Duration(0)),
			by(manager, RecordAgreement{Agreement: signed, FulfilOn: calendar.DateOf(morning)}, time.Duration(0)))
		if s := st.State; s.Phase != PhaseAgreed || s.Mediator != unit || !s.Since.Equal(s.OpenedAt) {
			t.Errorf("got %+v, want agreed by %s when it was opened", s, unit)
		}
		// The community, at whose rung it was entered, can still say that it was kept or broken.
		if _, err := st.Does(by(med, breach)); err != nil {
			t.Errorf("settled by %s: the community reports a breach: %v", unit, err)
		}
	}
}

// Every clock is computed as the policy has it; the day it starts is not counted. 2026-03-02 is a Monday.
func TestDueInstants(t *testing.T) {
	for _, tt := range []struct {
		name  string
		given []step
		when  step
		want  string // local end of the day
		id    string
	}{
		{"30 natural days for a rung", nil, by(manager, open), "2026-04-01", "rung/2/0/1"},
		{"15 more by consent", isMediating, by(med, extend), "2026-04-16", "rung/2/0/2"},
		{"3 working days to refer", isOpened, by(med, decline), "2026-03-05", "refer/2/0/2"},
		{"3 working days to refer after a failure", isMediating, by(med, fail, 3*day), "2026-03-10", "refer/2/0/2"},
		{"3 working days to refer after a breach", isAgreed, by(party, breach), "2026-03-05", "refer/2/0/3"},
		{"the agreed date", isMediating, by(med, agree), summer.String(), "fulfil/2/0/2"},
		{"30 natural days for the next rung", isFailed, by(med, ReferUp{}), "2026-04-01", "rung/3/0/3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			st := given(t, tt.given...)
			es, err := st.Does(tt.when)
			if err != nil {
				t.Fatal(err)
			}
			d, found := dueOf(es[0])
			if got := d.Due.In(calendar.Zone()).Format(time.DateTime); !found || got != tt.want+" 23:59:59" || d.ID != tt.id {
				t.Errorf("got %s due %s, want %s due %s 23:59:59", d.ID, got, tt.id, tt.want)
			}
			if running, _ := st.State.Running.Get(d.Clock); running.ID != d.ID || len(st.State.Running) != 1 {
				t.Errorf("running %+v, want %s only", st.State.Running, d.ID)
			}
		})
	}
}

// Within the due second a step is still on time, so the clock does not act before the next one (rule I18).
func TestTheClockActsAfterTheDueSecond(t *testing.T) {
	for _, tt := range []struct {
		given []step
		do    Command
	}{
		{isOpened, DeclineMediation{}}, {isMediating, FailMediation{}}, {when(isMediating, by(med, extend)), FailMediation{}},
		{isFailed, ReferUp{}}, {isAgreed, RecordFulfilment{}},
	} {
		st := given(t, tt.given...)
		due, _ := st.State.Running.Next()
		if _, err := st.Does(by(clock, tt.do, due.Add(999*time.Millisecond).Sub(st.Now))); ruletest.Refusal(err) == nil {
			t.Errorf("%s within the due second: got %v, want a refusal", tt.do.Name(), err)
		}
		if es, err := st.Does(by(clock, tt.do, time.Millisecond)); len(es) != 1 || err != nil {
			t.Errorf("%s a second later: got %v, %v, want one event", tt.do.Name(), es, err)
		}
	}
	st := given(t, isMediating...)
	due, _ := st.State.Running.Next()
	if _, err := st.Does(by(med, extend, due.Add(999*time.Millisecond).Sub(st.Now))); err != nil {
		t.Errorf("an extension within the due second: %v", err)
	}
}

// The clock acts only on a clock that runs, even where a log holds what these rules would not have written.
func TestTheClockNeedsAClockThatRuns(t *testing.T) {
	st := given(t, isOpened...)
	st.State.Running = nil
	if _, err := st.Does(by(clock, DeclineMediation{}, 40*day)); ruletest.Refusal(err) == nil || ruletest.Refusal(err).Rule != "P3" {
		t.Errorf("got %v, want a refusal under P3", err)
	}
}

// Each rung has its own mediator, its own time and its own extension.
func TestEachRungBeginsAnew(t *testing.T) {
	st := given(t, when(isMediating, by(med, extend), by(med, fail), by(med, ReferUp{}))...)
	if s := st.State; s.Rung != Street || s.Mediator != "" || s.Extended || s.Unit != home {
		t.Fatalf("got rung %d, mediator %q, extended %v, unit %s, want a fresh rung 3 at %s", s.Rung, s.Mediator, s.Extended, s.Unit, home)
	}
	if _, err := st.Does(by(med, accept)); ruletest.Refusal(err) == nil {
		t.Errorf("the community accepts at the street's rung: got %v, want a refusal", err)
	}
	for _, s := range []step{by(atRung[Street], accept), by(atRung[Street], extend), by(atRung[Street], agree)} {
		if _, err := st.Does(s); err != nil {
			t.Fatalf("%s: %v", s.Command.Name(), err)
		}
	}
	stays := st.State.Stays
	if len(stays) != 2 || stays[0].Mediator != home || stays[0].Until.IsZero() || stays[1].Mediator != street || !stays[1].Until.IsZero() {
		t.Errorf("got stays %+v, want one that ended at the community and one that lasts at the street", stays)
	}
	if a := st.State.Agreement; a.Rung != Street || a.Hash != signed || a.FulfilOn != summer {
		t.Errorf("got %+v, want an agreement at the street's rung", a)
	}
}

// Two futures of one state do not touch each other: states are kept and compared.
func TestStatesShareNothingThatChanges(t *testing.T) {
	st := given(t, by(manager, openAt(Grid)))
	for st.State.Rung < Street {
		for _, s := range []step{by(atRung[st.State.Rung], decline), by(atRung[st.State.Rung], ReferUp{})} {
			if _, err := st.Does(s); err != nil {
				t.Fatalf("%s: %v", s.Command.Name(), err)
			}
		}
	}
	stamp := st.History[0].Stamp
	up := Evolve(st.State, ReferredUp{Rung: District}, stamp)
	Evolve(st.State, ReferredUp{Rung: Grid}, stamp)
	if got := up.Stays[len(up.Stays)-1].Rung; got != District {
		t.Errorf("got rung %d after another future was looked at, want %d", got, District)
	}
}

// A state says what lists and files show, so that a row needs nothing else.
func TestWhatAStateShows(t *testing.T) {
	at := func(minutes int) time.Time { return morning.Add(time.Duration(minutes) * time.Minute) }
	st := given(t, when(isAgreed, by(party, breach), by(med, out))...)
	got := st.State
	got.last, got.lastStamp, got.before = nil, rule.Stamp{}, nil
	want := State{
		ID: self, Phase: PhaseReferredOut, Demand: demandID, Unit: home, Rung: Community, Mediator: home,
		Parties:   []string{party.ID, biased.ID},
		Stays:     []Stay{{Rung: Community, Mediator: home, From: at(0), Until: at(4)}},
		Agreement: Agreement{Hash: signed, Rung: Community, FulfilOn: summer, Summary: "围栏已移位", At: at(2), Breached: true},
		Target:    Court, Receipt: out.Receipt,
		OpenedAt: at(0), EndedAt: at(4), Since: at(4), Dues: 3,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// A broken agreement is remembered as such until there is another one.
func TestABrokenAgreementIsRemembered(t *testing.T) {
	st := given(t, when(isAgreed, by(party, breach))...)
	if a := st.State.Agreement; !a.Breached || a.Hash != signed {
		t.Errorf("got %+v, want it broken", a)
	}
	for _, s := range []step{by(med, ReferUp{}), by(atRung[Street], accept), by(atRung[Street], agree)} {
		if _, err := st.Does(s); err != nil {
			t.Fatalf("%s: %v", s.Command.Name(), err)
		}
	}
	if st.State.Agreement.Breached {
		t.Error("the new agreement counts as broken")
	}
}

// What the calendar can not answer is an error that names the dispute, and no refusal.
func TestACalendarThatDoesNotReachIsAnError(t *testing.T) {
	p := calendar.DefaultPolicy()
	p.Missing, p.NaturalRoll = calendar.RefuseUncertain, calendar.NextWorkingDay
	blind := calendar.Rules{Calendar: calendar.China().Without(2026), Policy: p}
	for _, w := range []struct {
		given []step
		when  step
	}{
		{nil, by(manager, open, blind)},
		{isOpened, by(med, decline, blind)},
		{isMediating, by(med, fail, blind)},
		{isMediating, by(med, extend, blind)},
		{isFailed, by(med, ReferUp{}, blind)},
		{isAgreed, by(party, breach, blind)},
	} {
		st := given(t, w.given...)
		es, err := st.Does(w.when)
		if !errors.Is(err, calendar.ErrUnknownYear) || ruletest.Refusal(err) != nil || len(es) > 0 || !strings.Contains(fmt.Sprint(err), self.String()) {
			t.Errorf("%s: got %v, %v, want %v about %s", w.when.Command.Name(), es, err, calendar.ErrUnknownYear, self)
		}
	}
}

// A policy that gives a rung less time than the cap bounds the extension by the rung's own time.
func TestAnExtensionIsNoLongerThanTheRung(t *testing.T) {
	p := calendar.DefaultPolicy()
	for i := range p.Rows {
		if p.Rows[i].Clock == calendar.Rung {
			p.Rows[i].Amount.N = 10
		}
	}
	short := calendar.Rules{Calendar: calendar.China(), Policy: p}
	st := given(t, by(manager, open, short), by(med, accept, short))
	if _, err := st.Does(by(med, ExtendRung{Amount: 11, Consent: true}, short)); ruletest.Refusal(err) == nil {
		t.Errorf("11 days on 10: got %v, want a refusal", err)
	}
	if _, err := st.Does(by(med, ExtendRung{Amount: 10, Consent: true}, short)); err != nil {
		t.Errorf("10 days on 10: %v", err)
	}
}

// A dispute asks for its demand when it is opened, and for nothing later.
func TestNeeds(t *testing.T) {
	for _, c := range commands {
		var want rule.Refs
		if c.Name() == "open" {
			want.Demands = []stream.ID{demandID}
		}
		if got := Needs(State{}, c); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", c.Name(), got, want)
		}
	}
}

// Only the parties' names and words are personal data, and each is sealed with the key of its part.
func TestPersonalDataIsSealed(t *testing.T) {
	for _, tt := range []struct {
		event any
		want  []string
	}{
		{&Opened{Parties: names}, []string{"parties[0].name parties", "parties[2].name parties"}},
		{&AgreementBreached{Reason: sealed.Clear("x")}, []string{"reason case"}},
	} {
		var got []string
		for _, f := range sealed.Fields(tt.event) {
			got = append(got, f.Name+" "+f.Part)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%T: got %v, want %v", tt.event, got, tt.want)
		}
	}
}
