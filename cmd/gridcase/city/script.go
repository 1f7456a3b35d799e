package city

import (
	"cmp"
	"container/heap"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"time"

	"gridcase/domain/calendar"
	"gridcase/domain/demand"
	"gridcase/domain/rule"
	"gridcase/domain/stream"
	"gridcase/engine"
)

// Act is what one person does at one moment: one command to one stream.
type Act struct {
	At       time.Time // recorded then; whole seconds
	Occurred time.Time // when it happened, if that was before; zero: At
	Stream   stream.Name
	Key      string
	Actor    rule.Actor
	Second   *rule.Actor // who confirms, where the rule asks for two
	Command  engine.Command
	Refused  rule.Code // with which it is meant to be refused; "" = it is meant to succeed

	turn int // among acts of one instant
}

// Draw is the verification draw of a simulated year: fair, and the same for the same seed. An engine that plays
// the script needs it as [engine.Config.Draw]: the script knows beforehand which orders a verifier visits. The salts that
// the engine publishes for these months are its own, so they do not repeat this draw.
func Draw(seed uint64) func(order stream.ID, round int, kind string, at time.Time) (drawn bool, rate int) {
	return func(order stream.ID, round int, kind string, at time.Time) (bool, int) {
		month := at.In(calendar.Zone()).Format("2006-01")
		sum := sha256.Sum256(fmt.Appendf(nil, "%s draw %d %s", Label, seed, month))
		rate := engine.VerifyRate(kind)
		return engine.Drawn([16]byte(sum[:16]), order, round, rate), rate
	}
}

// Script yields the year of a city with so many demands raised by people, in time order. What would happen after
// the year is left out, so that some demands are still open at its end. From 2,000 demands on, every row of
// the machines of demand, topic and order occurs. Memory goes by the lives that overlap, not by the year.
func (c *City) Script(seed uint64, demands int) iter.Seq[Act] {
	return func(yield func(Act) bool) {
		y := year{city: c, seed: seed, draw: Draw(seed),
			opens: yearStart(c.figures.City.Year.Value), closes: yearStart(c.figures.City.Year.Value + 1)}
		hand := func(until time.Time) bool {
			for len(y.agenda) > 0 && y.agenda[0].At.Before(until) {
				if !yield(heap.Pop(&y.agenda).(Act)) {
					return false
				}
			}
			return true
		}
		y.absences(demands)
		for i, b := range y.births(demands) {
			if !hand(b.at) {
				return
			}
			y.live(i, b)
		}
		hand(y.closes)
	}
}

func yearStart(year int) time.Time {
	return time.Date(year, time.January, 1, 0, 0, 0, 0, calendar.Zone()).UTC()
}

// year is a script while it is written.
type year struct {
	city          *City
	seed          uint64
	draw          func(stream.ID, int, string, time.Time) (bool, int)
	opens, closes time.Time
	agenda        agenda
	turns         int
	raised        int
}

// agenda holds the acts to come, the next first.
type agenda []Act

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	return cmp.Or(a[i].At.Compare(a[j].At), cmp.Compare(a[i].turn, a[j].turn)) < 0
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)   { *a = append(*a, x.(Act)) }
func (a *agenda) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}

// birth begins a life: of one demand, or of several that share a topic or an order.
type birth struct {
	at      time.Time
	county  *county
	kind    demand.Kind
	demands int
	fate    fate
}

// fate is what is to happen in a life; "" leaves it to chance.
type fate string

// Which fates are dealt, so that whatever the rules provide for happens to somebody. They go to the first half of the
// year, which leaves time for it; what is to be under way at its end, to the last weeks.
var (
	errandFates = []fate{declined, appealUpheld, appealRejected, redirected, redirectedLater, withdrawn, withdrawnLater,
		withdrawnHandling, sentBackUnsigned, sentBackSigned, sentBackLater, suspended, cancelled, cancelledLater, reworked,
		reconsidered, unreached, unnamed, closedAgainst, reopened, reopenedJoining, sameMatter, split, busy, extended, extensionRefused, answeredAtOnce, certificate}
	issueFates = []fate{thrice, failedThrice, suspendedLong, reopenedByLeader, thriceApproved, byTeam, keptAway, admitted, notBorne, takenBack, revokedSoon}
	topicFates = []fate{voted, returned, deferred, merged, dropped, rejected, notAdmitted, takenUpAgain, underWay, underWay}
)

// births lays out who raises what, where and when: the counties and kinds in the proportions that the city
// published, and of each hundred demands about three that ask, suggest or report.
func (y *year) births(demands int) []birth {
	r := rand.New(rand.NewPCG(y.seed, 0x9e3779b97f4a7c15))
	beside := map[demand.Kind]int{demand.Consult: demands * 20 / 1000, demand.Suggestion: demands * 7 / 1000, demand.Report: demands * 3 / 1000}
	var counties []int
	var cells []int
	for _, k := range y.city.counties {
		counties = append(counties, k.figures.Demands())
		cells = append(cells, k.figures.Errands.Value, k.figures.Issues.Value, k.figures.Disputes.Value)
	}
	var bs []birth
	add := func(k int, kind demand.Kind, n int) {
		bs = append(bs, birth{county: &y.city.counties[k], kind: kind, demands: n})
	}
	rest := demands
	for _, kind := range []demand.Kind{demand.Consult, demand.Suggestion, demand.Report} {
		for k, n := range apportion(beside[kind], counties) {
			for range n {
				add(k, kind, 1)
			}
		}
		rest -= beside[kind]
	}
	for cell, n := range apportion(rest, cells) {
		kind := []demand.Kind{demand.Errand, demand.Issue, demand.Dispute}[cell%3]
		alone := n
		if kind == demand.Issue { // four of five concern neighbours, who deliberate
			alone = max(n/5, n%2)
		}
		for range alone {
			add(cell/3, kind, 1)
		}
		for left := n - alone; left > 0; {
			together := min(2+min(r.IntN(7), r.IntN(7)), left) // 2 to 8, more often few
			switch {                                           // nobody is left over to deliberate alone
			case left-together == 1 && together > 2:
				together--
			case left-together == 1:
				together++
			}
			add(cell/3, kind, together)
			left -= together
		}
	}
	bs = y.deal(bs)
	days := int(y.closes.Sub(y.opens).Hours() / 24)
	for i := range bs {
		first, last := 0, days-1 // the last day is left to those who enter on the morrow what they were told
		switch bs[i].fate {
		case "":
		case underWay:
			first, last = days-14, days-9
		default:
			last = days / 2
		}
		// Two draws favour the middle of the day, from 7:00 to 22:00.
		second := 7*3600 + (r.IntN(15*3600)+r.IntN(15*3600))/2
		bs[i].at = y.opens.AddDate(0, 0, first+r.IntN(last-first)).Add(time.Duration(second) * time.Second)
	}
	slices.SortStableFunc(bs, func(a, b birth) int { return a.at.Compare(b.at) })
	return bs
}

// deal gives each fate to one birth of its sort, spread over the counties. Where there are fewer births than
// fates, the last fates are left out.
func (y *year) deal(bs []birth) []birth {
	of := func(fits func(birth) bool) (at []int) {
		for i, b := range bs {
			if fits(b) {
				at = append(at, i)
			}
		}
		return at
	}
	give := func(fates []fate, at []int) {
		for i, f := range fates {
			if len(at) > len(fates) {
				bs[at[i*len(at)/len(fates)]].fate = f
			} else if i < len(at) {
				bs[at[i]].fate = f
			}
		}
	}
	give(issueFates, of(func(b birth) bool { return b.kind == demand.Issue && b.demands == 1 }))
	give(topicFates, of(func(b birth) bool { return b.kind == demand.Issue && b.demands > 1 }))
	give(errandFates, of(func(b birth) bool { return b.kind == demand.Errand }))
	for i, b := range bs { // of the same matter are two: the neighbour in the list is the second
		if b.fate == sameMatter && i+1 < len(bs) && bs[i+1].kind == b.kind && bs[i+1].county == b.county && bs[i+1].fate == "" {
			bs[i].demands = 2
			return slices.Delete(bs, i+1, i+2)
		}
	}
	return bs
}

// apportion divides n in the proportion of the weights; what is left over after rounding down goes to the
// largest remainders.
func apportion(n int, weights []int) []int {
	total := 0
	for _, w := range weights {
		total += w
	}
	parts := make([]int, len(weights))
	order := make([]int, len(weights))
	left := n
	for i, w := range weights {
		parts[i], order[i] = n*w/total, i
		left -= parts[i]
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(n*weights[b]%total, n*weights[a]%total) })
	for _, i := range order[:left] {
		parts[i]++
	}
	return parts
}

// live writes down a whole life. Its chances depend on the seed and its number alone.
func (y *year) live(number int, b birth) {
	var s [16]byte
	binary.BigEndian.PutUint64(s[:8], y.seed)
	binary.BigEndian.PutUint64(s[8:], uint64(number))
	sum := sha256.Sum256(s[:])
	r := rand.New(rand.NewPCG(binary.BigEndian.Uint64(sum[:8]), binary.BigEndian.Uint64(sum[8:])))
	l := &life{year: y, hours: hours{y.city.rules, r}, number: number, county: b.county, grid: pick(r, b.county.grids)}
	switch {
	case b.kind == demand.Issue && b.demands > 1:
		l.deliberated(b)
	case b.kind == demand.Issue:
		l.issue(b)
	case b.kind == demand.Dispute:
		l.dispute(b)
	case b.kind == demand.Errand:
		l.errand(b)
	case b.kind == demand.Consult:
		l.consult(b)
	case b.kind == demand.Suggestion:
		l.referred(b, pick(r, suggestions), demand.ReasonStatutory)
	case b.kind == demand.Report:
		l.referred(b, pick(r, reports), demand.ReasonConfidential)
	}
}
