package assessment

import "time"

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
