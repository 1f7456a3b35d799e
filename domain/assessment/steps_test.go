package assessment

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// again computes a sum as somebody with paper does: it knows numbers, + − × / and max, min, ceil, floor.
func again(t interface {
	Helper()
	Fatalf(string, ...any)
}, sum string) *big.Rat {
	t.Helper()
	e, err := parser.ParseExpr(strings.NewReplacer("×", "*", "−", "-").Replace(sum))
	if err != nil {
		t.Fatalf("%q can not be read: %v", sum, err)
	}
	var eval func(ast.Expr) *big.Rat
	eval = func(e ast.Expr) *big.Rat {
		switch e := e.(type) {
		case *ast.BasicLit:
			x, ok := new(big.Rat).SetString(e.Value)
			if !ok {
				t.Fatalf("%q is no number", e.Value)
			}
			return x
		case *ast.ParenExpr:
			return eval(e.X)
		case *ast.UnaryExpr:
			return new(big.Rat).Neg(eval(e.X))
		case *ast.BinaryExpr:
			x, y := eval(e.X), eval(e.Y)
			switch e.Op {
			case token.ADD:
				return x.Add(x, y)
			case token.SUB:
				return x.Sub(x, y)
			case token.MUL:
				return x.Mul(x, y)
			case token.QUO:
				return x.Quo(x, y)
			}
		case *ast.CallExpr:
			x := eval(e.Args[0])
			switch name := e.Fun.(*ast.Ident).Name; name {
			case "ceil":
				return held(x).Ceiling().rat()
			case "floor":
				return held(x).Floor().rat()
			case "max", "min":
				if y := eval(e.Args[1]); (x.Cmp(y) < 0) == (name == "max") {
					return y
				}
				return x
			}
		}
		t.Fatalf("%q: what is %T?", sum, e)
		return nil
	}
	return eval(e)
}

// Every step that is shown, done again on paper, gives the number that was computed.
func TestEveryStepComesToItsNumber(t *testing.T) {
	done := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		f := anyFacts(t)
		s := anyScheme(t)
		s.Choices[Rounding] = "once:2" // a step that is rounded is not its sum
		r := compute(t, s, anyPeriod(t, f), f)
		check := func(of string, steps []Working, last Value) {
			for _, s := range steps {
				if !s.Value.Known {
					if s.Sum != None {
						t.Fatalf("%s: %s has a sum and no value: %s", of, s.What, s.Sum)
					}
					continue
				}
				if strings.ContainsAny(s.Sum, "→…") {
					continue // a band is read, not computed; and what is cut stands in full in a step before
				}
				if got := again(t, s.Sum); got.Cmp(s.Value.rat()) != 0 {
					t.Fatalf("%s: %s: %s comes to %s, not to %s", of, s.What, s.Sum, got.RatString(), s.Value)
				}
				done[s.What]++
			}
			if n := len(steps); n > 0 && last.Known && steps[n-1].Value.Compare(last.Fraction) != 0 {
				t.Fatalf("%s: the last step is %s, not %s", of, steps[n-1].Value, last)
			}
		}
		for i := range r.Figures {
			f := &r.Figures[i]
			steps := r.Steps(*f)
			check(f.Key.String(), steps, Value{})
			if n := len(steps); n > 0 && f.Printed != None && steps[n-1].Value.Print(places(*f, r)) != f.Printed {
				t.Fatalf("%s: the last step prints %s, the figure %s", f.Key, steps[n-1].Value.Print(2), f.Printed)
			}
		}
		for i := range r.Scores {
			check("score", r.StepsOf(&r.Scores[i]), r.Scores[i].Value)
		}
		for i := range r.Standings {
			check("standing", r.StepsTo(&r.Standings[i]), r.Standings[i].Annual)
		}
	})
	for _, what := range []string{"on_time", "objective", "subjective", "score", "streets", "year", "annual"} {
		if done[what] == 0 {
			t.Errorf("no step of %s was done again", what)
		}
	}
	t.Log(done)
}

func places(f Figure, r *Results) int {
	if def, _ := Define(f.Indicator); def.Measure == Count {
		return 0
	}
	return r.Places
}

// The worked example of the rule book, line by line (§7.10).
func TestTheWorkedExampleIsShownStepByStep(t *testing.T) {
	p := november()
	score := func(street string, due int64, value Fraction) Score {
		return Score{Street: p.Streets[strings.Index("ABC", street)].Unit, Unit: bureau, Value: known(value), Weight: Of(due, 1)}
	}
	st := Standing{Unit: bureau, Kind: "department", Streets: known(Of(89575, 1000)), Year: known(Of(89575, 1000)), Other: known(Of(85, 1)), Annual: known(Of(85915, 1000))}
	r := &Results{Scheme: choosing("aggregate", "orders"), Period: p, Places: 2, Scores: []Score{score("A", 120, Of(884, 10)), score("B", 40, Of(931, 10)), score("C", 0, Of(90, 1))}}
	var said []string
	for _, s := range r.StepsTo(&st) {
		said = append(said, fmt.Sprintf("%s: %s = %s → %s", s.What, s.Sum, number(s.Value.Fraction), s.Value.Print(2)))
	}
	want := "streets: (120 × 88.4 + 40 × 93.1) / (120 + 40) = 89.575 → 89.58\n" +
		"year: (30 × 89.575) / (30) = 89.575 → 89.58\n" +
		"annual: 0.2 × 89.575 + 0.8 × 85 = 85.915 → 85.92"
	if got := strings.Join(said, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestACompositeIsShownFromItsParts(t *testing.T) {
	r := compute(t, Default(), november(), Facts{Legs: []Leg{leg(1), leg(2, lateLeg), leg(3)}, Demands: []Demand{demand(1), demand(2, func(d *Demand) { d.Callbacks[0].Grade = 2 }), demand(3)}})
	f, _ := r.Figure("three_rates:u=150105-d01")
	var said []string
	for _, s := range r.Steps(f) {
		said = append(said, s.What+": "+s.Sum+" = "+s.Value.Print(2))
		if got := again(t, s.Sum); got.Cmp(s.Value.rat()) != 0 {
			t.Errorf("%s comes to %s, not to %s", s.Sum, got.RatString(), s.Value)
		}
	}
	want := "response: 100 × 3 / 3 = 100.00\nresolution: 100 × 3 / 3 = 100.00\nsatisfaction: 100 × 2 / 3 = 66.67\n" +
		"three_rates: 0.3 × 100 + 0.35 × 100 + 0.35 × (200 / 3) = " + f.Printed
	if got := strings.Join(said, "\n"); got != want || f.Printed != "88.33" {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	var parts []string
	for _, p := range r.Parts(f) {
		parts = append(parts, p.Key.String())
	}
	if got := strings.Join(parts, " "); got != "response:u=150105-d01 resolution:u=150105-d01 satisfaction:u=150105-d01" {
		t.Errorf("its parts are %s", got)
	}
}
