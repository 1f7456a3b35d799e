package assessment

// Score returns the points that the item gives for a value in per cent. It is exact; the item is one of the objective part.
func (it Item) Score(x Fraction) Fraction {
	most := it.Points.Fraction()
	switch it.Shape {
	case Linear:
		return most.Times(x).Over(Of(100, 1))
	case Target:
		miss := it.Target.Fraction().Minus(x)
		if miss.Compare(Fraction{}) < 0 {
			return most
		}
		switch it.Step {
		case Started:
			miss = miss.Ceiling()
		case Completed:
			miss = miss.Floor()
		}
		got := most.Minus(it.K.Fraction().Times(miss))
		if floor := it.Floor.Fraction(); got.Compare(floor) < 0 {
			return floor
		}
		return got
	case Banded:
		for _, b := range it.Bands {
			if x.Compare(b.From.Fraction()) >= 0 {
				return b.Points.Fraction()
			}
		}
	}
	return Fraction{}
}

// Tell returns what so many events take away or add: a deduction is negative, a bonus positive.
func (it Item) Tell(events int64) Fraction {
	each, then := it.Each.Fraction(), it.Then.Fraction()
	first := events
	if it.From > 0 {
		first = min(events, int64(it.From)-1)
	}
	sum := each.Times(Of(first, 1)).Plus(then.Times(Of(events-first, 1)))
	if most := it.Points.Fraction(); sum.Compare(most) > 0 {
		sum = most
	}
	if it.Shape == PerEvent {
		return Fraction{}.Minus(sum)
	}
	return sum
}
