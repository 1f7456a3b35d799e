package assessment

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"syscall"
	"testing"
	"time"

	"gridcase/domain/orgs"
	"gridcase/domain/stream"
)

// cityYear makes the facts of a city's year: 260,000 demands, each with an order of one leg; 99 streets, 1,396 communities with their grids,
// 108 departments and 396 agencies; the numbers come from a fixed sequence, so that every run sees the same.
func cityYear() (Period, Facts) {
	const demands = 260_000
	seed := uint64(1501)
	next := func(n int) int { // splitmix64
		seed += 0x9e3779b97f4a7c15
		z := seed
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		return int((z ^ z>>31) % uint64(n))
	}
	newID := func() (id stream.ID) {
		binary.BigEndian.PutUint64(id[:8], uint64(next(1<<62)))
		binary.BigEndian.PutUint64(id[8:], uint64(next(1<<62)))
		return id
	}
	p := Period{Jurisdiction: "150100", First: date("2026-01-01"), Last: date("2026-12-31"), Base: date("2025-12-31")}
	var communities []orgs.UnitCode
	for s := range 99 {
		d := orgs.UnitCode(fmt.Sprintf("1501%02d", s/11+1))
		code := orgs.UnitCode(fmt.Sprintf("%s%03d", d, s%11+1))
		p.Streets = append(p.Streets, Street{Unit: code, District: d, Households: 5000 + s, Grids: 50})
		for a := range 4 {
			p.Units = append(p.Units, Rated{Unit: code + orgs.UnitCode(fmt.Sprintf("-a%d", a)), Kind: orgs.Agency, District: d, Host: code})
		}
		for c := range 14 {
			communities = append(communities, code+orgs.UnitCode(fmt.Sprintf("%03d", c+1)))
		}
	}
	for d := range 9 {
		code := orgs.UnitCode(fmt.Sprintf("1501%02d", d+1))
		for k := range 12 {
			p.Units = append(p.Units, Rated{Unit: code + orgs.UnitCode(fmt.Sprintf("-d%02d", k)), Kind: orgs.Department, District: code})
		}
	}
	for _, u := range p.Units {
		for _, s := range p.Streets {
			if u.Kind == orgs.Agency && u.Host == s.Unit || u.Kind == orgs.Department && u.District == s.District {
				p.Evaluations = append(p.Evaluations, evaluation(s.Unit, u.Unit, fmt.Sprint(60+next(40))))
			}
		}
		p.Others = append(p.Others, Other{Unit: u.Unit, Score: Whole(80 + next(15))})
	}
	start := p.First.Start()
	kinds := []string{"errand", "errand", "errand", "issue", "consult"}
	f := Facts{Demands: make([]Demand, 0, demands), Legs: make([]Leg, 0, demands)}
	for range demands {
		c := communities[next(len(communities))]
		place := Place{Unit: c, Community: c, Street: c[:9], District: c[:6]}
		raised := start.Add(time.Duration(next(365*24*60)) * time.Minute)
		order, demand, kind := newID(), newID(), kinds[next(len(kinds))]
		lead := c + orgs.UnitCode(fmt.Sprintf("%03d", next(4)+1))
		switch next(4) {
		case 0:
			lead = c[:9] + orgs.UnitCode(fmt.Sprintf("-a%d", next(4)))
		case 1:
			lead = c[:6] + orgs.UnitCode(fmt.Sprintf("-d%02d", next(12)))
		}
		done := raised.Add(time.Duration(next(8*24)) * time.Hour)
		f.Legs = append(f.Legs, Leg{Order: order, Number: 1, Kind: kind, Place: place, Demands: []stream.ID{demand}, By: c[:9], ByStreet: c[:9], Lead: lead,
			DispatchedAt: raised.Add(time.Hour), SignDue: raised.Add(5 * time.Hour), ContactDue: raised.Add(25 * time.Hour),
			OriginalDue: raised.AddDate(0, 0, 7), Due: raised.AddDate(0, 0, 7), SignedAt: raised.Add(time.Duration(next(6)) * time.Hour),
			ContactedAt: raised.Add(time.Duration(60+next(27*60)) * time.Minute), Returned: next(66) == 0, Cancelled: next(100) == 0,
			Reports: []Report{{DoneAt: done, At: done, JudgedAt: done.Add(time.Hour), Passed: next(20) > 0}}, ClosedAt: done.Add(2 * time.Hour), Rating: -1})
		f.Demands = append(f.Demands, Demand{ID: demand, Kind: kind, Place: place, RaisedAt: raised, AcceptedAt: raised.Add(30 * time.Minute), Dispatched: true,
			FastTracked: true, Orders: []stream.ID{order}, ClosedAt: done.Add(48 * time.Hour), CallbackDue: done.Add(72 * time.Hour), Reached: next(5) > 0,
			Callbacks: []Callback{{At: done.Add(24 * time.Hour), Resolved: next(10) > 0, Grade: 1 + next(5), Order: order}}})
		if next(20) == 0 {
			f.Summonses = append(f.Summonses, Summons{Whistle: newID(), Street: c[:9], Unit: c[:9] + "-a1", BlownAt: raised, Due: raised.Add(time.Hour),
				Reported: raised.Add(time.Duration(next(70)) * time.Minute), Ended: raised.Add(5 * time.Hour), Outcome: 20, Score: int64(next(10_000))})
		}
	}
	return p, f
}

// BenchmarkCityYear computes all indicators, scores and ranks of a city's year; the lists of the cohorts and the opening of a figure are measured apart.
func BenchmarkCityYear(b *testing.B) {
	p, f := cityYear()
	r := compute(b, Default(), p, f)
	b.Run("yardstick", func(b *testing.B) { // what the machine has to spare just now: SHA-256 of 100 MB
		defer spent(b)()
		data := make([]byte, 100<<20)
		for b.Loop() {
			sha256.Sum256(data)
		}
	})
	b.Run("compute", func(b *testing.B) {
		defer spent(b)()
		for b.Loop() {
			compute(b, Default(), p, f)
		}
		b.ReportMetric(float64(len(r.Figures)), "figures")
	})
	b.Run("canonical", func(b *testing.B) {
		defer spent(b)()
		for b.Loop() {
			_ = r.Canonical(io.Discard)
		}
	})
	b.Run("cohort-hash", func(b *testing.B) {
		defer spent(b)()
		for b.Loop() {
			_ = r.Cohort(sha256.New()) // CohortHash works it out once
		}
		var n counter
		_ = r.Cohort(&n)
		b.ReportMetric(float64(n)/1e6, "MB")
	})
	b.Run("page-of-all", func(b *testing.B) {
		defer spent(b)()
		for b.Loop() {
			if _, _, err := r.Page("on_time", 1000, 50); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("explain", func(b *testing.B) { // with a hundred requests on cases of it
		asked := *r
		for i := range 100 {
			asked.Period.Exclusions = append(asked.Period.Exclusions, Exclusion{Number: i + 1, Case: Case{Stream: stream.Of(stream.Order, f.Legs[i*1000].Order)}, Status: Undecided})
		}
		defer spent(b)()
		for b.Loop() {
			fig, _ := asked.Figure("on_time")
			if q, err := asked.Requests("on_time"); err != nil || len(q) < 50 || len(asked.Parts(fig)) == 0 || len(asked.Steps(fig)) == 0 {
				b.Fatal(len(q), err)
			}
		}
	})
	b.Run("open", func(b *testing.B) {
		defer spent(b)()
		for b.Loop() {
			if _, err := r.Open("on_time:u=150101-d00"); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// counter counts bytes.
type counter int64

func (c *counter) Write(b []byte) (int, error) { *c += counter(len(b)); return len(b), nil }

// spent reports the processor's time, which other work on the machine does not change as it does the clock's.
func spent(b *testing.B) func() {
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	before := used()
	return func() { b.ReportMetric(float64((used()-before).Milliseconds())/float64(b.N), "cpu-ms/op") }
}
