package whistle

// The points of a card. They make 100.
const (
	onTimePoints  = 50
	latePoints    = 25
	stayedPoints  = 20
	outcomePoints = 30 // at most
)

// scored returns the card with its score: the points of its items, scaled to 100 if the outcome is left out.
// Hundredths of a point, rounded half up, once, in integers.
func (c Card) scored() Card {
	points, of := 0, onTimePoints+stayedPoints
	switch c.ReportIn {
	case OnTime:
		points = onTimePoints
	case Late:
		points = latePoints
	}
	if c.Stayed {
		points += stayedPoints
	}
	if !c.Unrated {
		points, of = points+c.Outcome, of+outcomePoints
	}
	c.Score = (2*points*100*100 + of) / (2 * of)
	return c
}

// card returns what the facts say of a unit, without the street's points.
func (u Unit) card() Card {
	return Card{Unit: u.Code, ReportIn: u.Standing(), Stayed: u.Stayed(), Unrated: true}.scored()
}
