package assessment

import (
	"encoding/json"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

// TestPublishedFiguresReproduce: every rate that 天门 and 郑州 published, as arithmetic (§6).
func TestPublishedFiguresReproduce(t *testing.T) {
	for _, c := range []struct {
		what   string
		n, d   int64
		places int
		want   string
	}{
		{"天门 closure", 911, 972, 2, "93.72"},
		{"天门 on time", 737, 972, 2, "75.82"},
		{"天门 patrol share", 953, 996, 2, "95.68"},
		{"天门 patrol share over 受理, which they did not print", 953, 1054, 2, "90.42"},
		{"天门 WeChat share", 43, 996, 2, "4.32"},
		{"天门 share of incidents", 971, 996, 1, "97.5"},
		{"天门 share of components", 25, 996, 1, "2.5"},
		{"天门 closure of incidents", 902, 956, 2, "94.35"},
		{"天门 closure of components", 9, 16, 2, "56.25"},
		{"郑州 立案", 51229, 51571, 2, "99.34"},
		{"郑州 派遣", 49151, 51229, 2, "95.94"},
		{"郑州 closure", 43523, 52434, 2, "83.01"},
		{"郑州 on time", 40394, 52434, 2, "77.04"},
		{"郑州 rework", 276, 52434, 2, "0.53"},
		{"郑州 rework over closed, which they did not print", 276, 43523, 2, "0.63"},
		{"郑州 extension", 104, 52434, 2, "0.20"},
		{"郑州 常规 立案", 16570, 16754, 2, "98.90"},
		{"郑州 常规 派遣", 14673, 16570, 2, "88.55"},
		{"郑州 常规 closure", 10225, 18086, 2, "56.54"},
		{"郑州 常规 on time", 8765, 18086, 2, "48.46"},
		{"郑州 常规 rework", 274, 18086, 2, "1.51"},
		{"郑州 常规 extension", 101, 18086, 2, "0.56"},
		{"金水 closure", 1912, 1935, 2, "98.81"},
		{"金水 on time", 1855, 1935, 2, "95.87"},
		{"管城 closure", 953, 953, 2, "100.00"},
		{"管城 on time", 936, 953, 2, "98.22"},
		{"二七 closure", 806, 848, 2, "95.05"},
		{"二七 on time", 699, 848, 2, "82.43"},
		{"郑东 closure", 596, 736, 2, "80.98"},
		{"郑东 on time", 372, 736, 2, "50.54"},
		{"金水 extension", 0, 1935, 2, "0.00"},
		{"管城 extension", 0, 953, 2, "0.00"},
		{"二七 extension", 0, 848, 2, "0.00"},
		{"郑东 extension", 0, 736, 2, "0.00"},
		{"nothing due", 0, 0, 2, None},
	} {
		if got := (Ratio{Of(c.n, 1), Of(c.d, 1)}).Percent(c.places); got != c.want {
			t.Errorf("%s: %d/%d is printed %s, want %s", c.what, c.n, c.d, got, c.want)
		}
	}
	for _, sum := range [][3]int{{902, 9, 911}, {956, 16, 972}, {953, 43, 996}} {
		if sum[0]+sum[1] != sum[2] {
			t.Errorf("the parts %d and %d do not sum to %d", sum[0], sum[1], sum[2])
		}
	}
}

func TestAFigureIsRoundedOnceHalfUp(t *testing.T) {
	for _, c := range []struct {
		n, d   int64
		places int
		want   string
	}{
		{85915, 1000, 2, "85.92"}, // a binary float may print 85.91
		{19996, 1000, 2, "20.00"},
		{872875, 10000, 2, "87.29"},
		{27400, 18086, 2, "1.51"}, // 1.51498…; by way of three places it would be 1.52
		{-2005, 1000, 2, "-2.00"}, // half up, not half away from zero
		{-1, 5, 2, "-0.20"},
		{1, 200, 2, "0.01"},
		{7, 2, 0, "4"},
		{0, 1, 4, "0.0000"},
	} {
		if got := Of(c.n, c.d).Print(c.places); got != c.want {
			t.Errorf("%d/%d is printed %s, want %s", c.n, c.d, got, c.want)
		}
	}
}

func TestTheFastPathPrintsWhatTheSlowOneDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, d := rapid.Int64Range(0, 1<<40).Draw(t, "n"), rapid.Int64Range(1, 1<<40).Draw(t, "d")
		got := Ratio{Of(n, 1), Of(d, 1)}.Percent(2)
		x := new(big.Int).Mul(big.NewInt(n), big.NewInt(20_000))
		x.Add(x, big.NewInt(d)).Div(x, big.NewInt(2*d))
		if want := pointed(x, 2); got != want {
			t.Fatalf("%d/%d is printed %s, want %s", n, d, got, want)
		}
	})
}

func TestFractionsAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.Custom(func(t *rapid.T) Fraction {
			return Of(rapid.Int64().Draw(t, "n"), rapid.Int64Range(1, 1<<62).Draw(t, "d"))
		})
		a, b := part.Draw(t, "a"), part.Draw(t, "b")
		if got := a.Plus(b).Minus(b); got.Compare(a) != 0 {
			t.Fatalf("%s + %s − %s is %s", a, b, b, got)
		}
		if !b.IsZero() {
			if got := a.Times(b).Over(b); got.Compare(a) != 0 {
				t.Fatalf("%s · %s / %s is %s", a, b, b, got)
			}
		}
		if got, want := a.Compare(b), a.rat().Cmp(b.rat()); got != want {
			t.Fatalf("%s against %s: %d, want %d", a, b, got, want)
		}
		var back Fraction
		text, _ := a.MarshalText()
		if err := back.UnmarshalText(text); err != nil || back.Compare(a) != 0 {
			t.Fatalf("%s is read back as %s: %v", text, back, err)
		}
		if f := a.Floor(); f.Compare(a) > 0 || f.Plus(Of(1, 1)).Compare(a) <= 0 {
			t.Fatalf("the floor of %s is %s", a, f)
		}
	})
}

func TestDecimalsAreReadStrictly(t *testing.T) {
	for text, want := range map[string]Decimal{
		"0": 0, "2.5": 25000, "2.50": 25000, "0.0001": 1, "-0.5": -5000, "1000000000": 1_000_000_000 * 10_000, "19.996": 199_960,
	} {
		if got, err := ParseDecimal(text); err != nil || got != want {
			t.Errorf("%q is read as %d (%v), want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", ".5", "5.", "+1", " 1", "1 ", "1e3", "1,000", "01", "0.00001", "-0", "--1", "１", "1000000000.0001", "99999999999", "1/2", "NaN"} {
		if got, err := ParseDecimal(text); err == nil {
			t.Errorf("%q is read as %s, want a refusal", text, got)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		d := Decimal(rapid.Int64Range(-decimalLimit*tenThousandths, decimalLimit*tenThousandths).Draw(t, "d"))
		b, err := json.Marshal(d)
		var back Decimal
		if err != nil || json.Unmarshal(b, &back) != nil || back != d {
			t.Fatalf("%d is written %s and read as %d", d, b, back)
		}
	})
}
