package assessment

import (
	"time"

	"gridcase/domain/stream"
)

// Card is what the events say of one leg when its order has ended (一件一考核): the smallest unit that a score opens to.
type Card struct {
	Signed    Mark // in time, 10 points
	Contacted Mark // in time, 20
	Done      Mark // in time, 30
	Passed    Mark // the first verification, 10
	Resolved  int  // of Answered demands, 15 for all of them
	Answered  int
	Tenths    int // what the grades of Graded demands count, 10 for satisfied or better, 6 for fair; 15 points for all
	Graded    int
}

// Mark is one line of a card.
type Mark int8

// The marks. What nothing is known of drops out, and the rest is scaled to 100.
const (
	Unknown Mark = iota
	Missed
	Met
)

// The points of a card. They make 100.
const (
	signedPoints    = 10
	contactedPoints = 20
	donePoints      = 30
	passedPoints    = 10
	resolvedPoints  = 15
	gradePoints     = 15
)

// Points returns the exact points of 100, false if the card is empty.
func (c Card) Points() (Fraction, bool) {
	got, of := 0, 0
	for _, l := range [...]struct {
		mark Mark
		most int
	}{{c.Signed, signedPoints}, {c.Contacted, contactedPoints}, {c.Done, donePoints}, {c.Passed, passedPoints}} {
		if l.mark != Unknown {
			of += l.most
		}
		if l.mark == Met {
			got += l.most
		}
	}
	answered, graded := max(1, c.Answered), max(1, c.Graded)
	if c.Answered > 0 {
		of += resolvedPoints
	}
	if c.Graded > 0 {
		of += gradePoints
	}
	if of == 0 {
		return Fraction{}, false
	}
	n := got*answered*graded*10 + resolvedPoints*c.Resolved*graded*10 + gradePoints*c.Tenths*answered
	return Of(int64(n)*100, int64(of*answered*graded*10)), true
}

// Card returns the leg's card. The callbacks are the last ones on its demands.
func (l *Leg) Card(callbacks ...Callback) Card {
	c := Card{
		Signed:    inTime(l.signed(), l.SignDue),
		Contacted: inTime(l.ContactedAt, l.ContactDue),
	}
	if l.NoContact {
		c.Contacted = Unknown
	}
	var done time.Time
	for _, r := range l.Reports {
		if r.Passed {
			done = r.DoneAt
			break
		}
	}
	c.Done = inTime(done, l.Due)
	if len(l.Reports) > 0 && !l.Reports[0].JudgedAt.IsZero() {
		c.Passed = Missed
		if l.Reports[0].Passed {
			c.Passed = Met
		}
	}
	for _, cb := range callbacks {
		c.answer(cb)
	}
	return c
}

// answer adds what one resident said.
func (c *Card) answer(cb Callback) {
	c.Answered++
	if cb.Resolved {
		c.Resolved++
	}
	if cb.Grade >= 1 && cb.Grade <= 5 {
		c.Graded++
		c.Tenths += [...]int{0, 0, 0, 6, 10, 10}[cb.Grade]
	}
}

// signed returns when the unit took a stand: signed, or asked to return the order.
func (l *Leg) signed() time.Time {
	if l.SignedAt.IsZero() || !l.ReturnAskedAt.IsZero() && l.ReturnAskedAt.Before(l.SignedAt) {
		return l.ReturnAskedAt
	}
	return l.SignedAt
}

// inTime says whether something happened by its due instant; both are compared in whole seconds.
func inTime(at, due time.Time) Mark {
	switch {
	case due.IsZero():
		return Unknown
	case at.IsZero() || at.Unix() > due.Unix():
		return Missed
	}
	return Met
}

// Carded is one card as it is shown to both sides (一件一考核、一哨一考核).
type Carded struct {
	Finding
	Demands []stream.ID // of an order
	Lines   []CardLine  // none where the case is left out
	Points  Value       // of 100, before credits are split and requests decided
}

// CardLine is one line of a card.
type CardLine struct {
	What  string // signed, contacted, done, passed, resolved, grade; report_in, stayed, outcome
	Got   Fraction
	Most  int64
	Known bool // else it drops out, and the rest is scaled to 100
}

// The points of a whistle's card. They make 100.
const (
	reportInPoints     = 50
	lateReportInPoints = 25
	stayedPoints       = 20
	outcomePoints      = 30
)

// Cards returns some of the cards behind a figure of order_card or whistle_card, as [Results.Page] does.
func (r *Results) Cards(id string, skip, most int) (cards []Carded, of int, err error) {
	key, err := ParseKey(id)
	switch {
	case err != nil:
		return nil, 0, err
	case key.Indicator != OrderCard && key.Indicator != WhistleCard:
		return nil, 0, ErrFigure
	case r.sheet == nil:
		return nil, 0, ErrNotComputed
	}
	cs, of := r.sheet.page(key, skip, most)
	in := r.sheet.slots[key.Indicator]
	for _, c := range cs {
		k := Carded{Finding: r.sheet.finding(in, c)}
		if in.of == ofLegs {
			l := &r.facts.Legs[r.sheet.legs[c.at].leg]
			k.Demands = l.Demands
			if k.In {
				card := r.sheet.cardOf(l)
				k.Lines = card.lines()
				k.Points.Fraction, k.Points.Known = card.Points()
			}
		} else if k.In {
			s := &r.facts.Summonses[c.at]
			k.Lines, k.Points = s.lines(), known(Of(s.Score, 100))
		}
		cards = append(cards, k)
	}
	return cards, of, nil
}

func (c Card) lines() []CardLine {
	mark := func(what string, m Mark, most int64) CardLine {
		l := CardLine{What: what, Most: most, Known: m != Unknown}
		if m == Met {
			l.Got = Of(most, 1)
		}
		return l
	}
	mean := func(what string, n, of int, most int64) CardLine {
		l := CardLine{What: what, Most: most, Known: of > 0}
		if l.Known {
			l.Got = Of(most*int64(n), int64(of))
		}
		return l
	}
	return []CardLine{mark("signed", c.Signed, signedPoints), mark("contacted", c.Contacted, contactedPoints), mark("done", c.Done, donePoints),
		mark("passed", c.Passed, passedPoints), mean("resolved", c.Resolved, c.Answered, resolvedPoints), mean("grade", c.Tenths, 10*c.Graded, gradePoints)}
}

func (s *Summons) lines() []CardLine {
	came := CardLine{What: "report_in", Got: Of(reportInPoints, 1), Most: reportInPoints, Known: true}
	switch {
	case s.Reported.IsZero():
		came.Got = Fraction{}
	case s.Late:
		came.Got = Of(lateReportInPoints, 1)
	}
	stayed := CardLine{What: "stayed", Most: stayedPoints, Known: true}
	if s.Stayed {
		stayed.Got = Of(stayedPoints, 1)
	}
	outcome := CardLine{What: "outcome", Most: outcomePoints, Known: s.Outcome >= 0}
	if outcome.Known {
		outcome.Got = Of(int64(s.Outcome), 1)
	}
	return []CardLine{came, stayed, outcome}
}
