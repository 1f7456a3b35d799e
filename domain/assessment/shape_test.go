package assessment

import "testing"

func points(s string) Decimal {
	d, err := ParseDecimal(s)
	if err != nil {
		panic(err)
	}
	return d
}

func share(n, d int64) Fraction { return Of(100*n, d) }

func TestAShapeGivesPointsForAValue(t *testing.T) {
	bands := []Band{{points("95"), points("10")}, {points("90"), points("8")}, {points("80"), points("5")}}
	for _, c := range []struct {
		what string
		item Item
		x    Fraction
		want string
	}{
		{"linear", Item{Shape: Linear, Points: points("30")}, share(1855, 1935), "28.76"},
		{"target, prorated", Item{Shape: Target, Points: points("50"), Target: points("70"), K: points("1")}, share(8765, 18086), "28.46"},
		{"target, prorated by name", Item{Shape: Target, Points: points("50"), Target: points("70"), K: points("1"), Step: Prorated}, share(8765, 18086), "28.46"},
		{"target, started points count", Item{Shape: Target, Points: points("50"), Target: points("70"), K: points("1"), Step: Started}, share(8765, 18086), "28.00"},
		{"target, completed points count", Item{Shape: Target, Points: points("50"), Target: points("70"), K: points("1"), Step: Completed}, share(8765, 18086), "29.00"},
		{"target, not below the floor", Item{Shape: Target, Points: points("20"), Target: points("90"), K: points("2"), Floor: points("5")}, share(699, 848), "5.00"},
		{"target, without a floor not below 0", Item{Shape: Target, Points: points("20"), Target: points("90"), K: points("20")}, share(699, 848), "0.00"},
		{"target reached", Item{Shape: Target, Points: points("20"), Target: points("90"), K: points("2")}, share(9, 10), "20.00"},
		{"banded, first band", Item{Shape: Banded, Points: points("10"), Bands: bands}, share(806, 848), "10.00"},
		{"banded, at the bound", Item{Shape: Banded, Points: points("10"), Bands: bands}, share(9, 10), "8.00"},
		{"banded, just below a bound that it prints as", Item{Shape: Banded, Points: points("10"), Bands: bands}, share(89_999_9, 1_000_000), "5.00"},
		{"banded, last band", Item{Shape: Banded, Points: points("10"), Bands: bands}, share(596, 736), "5.00"},
		{"banded, below all", Item{Shape: Banded, Points: points("10"), Bands: bands}, share(372, 736), "0.00"},
	} {
		if got := c.item.Score(c.x).Print(2); got != c.want {
			t.Errorf("%s: %s gives %s points, want %s", c.what, c.x, got, c.want)
		}
	}
}

func TestEventsAddUpToACap(t *testing.T) {
	deduct := Item{Shape: PerEvent, Points: points("3"), Each: points("0.2"), From: 3, Then: points("0.5")}
	bonus := Item{Shape: Bonus, Points: points("10"), Each: points("2")}
	for _, c := range []struct {
		item Item
		n    int64
		want string
	}{
		{deduct, 0, "0.0"}, {deduct, 1, "-0.2"}, {deduct, 3, "-0.9"}, {deduct, 5, "-1.9"}, {deduct, 9, "-3.0"},
		{bonus, 0, "0.0"}, {bonus, 4, "8.0"}, {bonus, 7, "10.0"},
	} {
		if got := c.item.Tell(c.n).Print(1); got != c.want {
			t.Errorf("%d events of %s give %s, want %s", c.n, c.item.Shape, got, c.want)
		}
	}
}
