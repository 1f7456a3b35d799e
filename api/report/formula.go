package report

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"gridcase/domain/assessment"
)

// A spreadsheet counts in binary floating point: 17.915 + 68, the example of the rule book, comes to 85.91499999999999 there, of which a
// plain ROUND may make 85.91 where exact arithmetic says 85.92. So nothing is rounded there but whole numbers.
//
//   - A rate is rounded from its counts: floor((2·N·10^(p+2) + D) / 2D), all whole and below 2^52, so that the one division can
//     not reach the next whole number if the exact quotient does not.
//   - Any other value is first made a whole number of 10⁻¹¹: what binary arithmetic is wrong by, some 10⁻¹³ at a hundred points, is gone,
//     and a value that lies exactly on a half is that again. Then the half goes up, by whole numbers as above.
//
// What is left is a value that lies less than 5·10⁻¹² below a half and not on it. The second step would carry it up; [halfBelow] finds
// it, and the sheet is then given the printed number itself.
const grain = 11

// rounded is the formula of x, half up to so many places (0 … 6).
func rounded(x string, places int) string {
	return fmt.Sprintf("INT((2*ROUND((%s)*%s,0)+%s)/%s)/%s", x, ten(grain), ten(grain-places), "2"+ten(grain - places)[1:], ten(places))
}

// halfBelow reports whether rounding in the sheet would go up where the exact value goes down.
func halfBelow(f assessment.Fraction, places int) bool {
	return f.Round(grain).Print(places) != f.Print(places)
}

// settled is the formula of x less what binary arithmetic adds beyond so many places: a whole number over a power of ten. ROUND with places
// would leave some of that in some programs.
func settled(x string, places int) string {
	return fmt.Sprintf("ROUND((%s)*%s,0)/%s", x, ten(places), ten(places))
}

// percent is the formula of a rate in per cent, half up, from the cells of two whole numbers.
func percent(n, d string, places int) string {
	return fmt.Sprintf(`IF(%s=0,"%s",INT((2*%s*%s+%s)/(2*%s))/%s)`, d, assessment.None, n, ten(places+2), d, d, ten(places))
}

func ten(n int) string { return "1" + strings.Repeat("0", n) }

// points is the formula of what an item gives for N of D, both cells, D not zero: [assessment.Item.Score]. Bounds and steps are compared in
// ten-thousandths times D, which are whole numbers where N and D are.
func points(it assessment.Item, n, d string) string {
	most := it.Points.String()
	units := func(x assessment.Decimal) string { return strconv.FormatInt(int64(x), 10) }
	switch it.Shape {
	case assessment.Linear:
		return fmt.Sprintf("%s*%s/%s", most, n, d)
	case assessment.Target:
		miss := fmt.Sprintf("MAX(0,%s)", settled(fmt.Sprintf("%s*%s-1000000*%s", units(it.Target), d, n), 4))
		over := fmt.Sprintf("(10000*%s)", d)
		switch it.Step {
		case assessment.Started:
			miss = fmt.Sprintf("-INT(-%s)", settled(miss+"/"+over, grain))
		case assessment.Completed:
			miss = fmt.Sprintf("INT(%s)", settled(miss+"/"+over, grain))
		default:
			miss = miss + "/" + over
		}
		return fmt.Sprintf("MAX(%s,%s-%s*(%s))", it.Floor, most, it.K, miss)
	case assessment.Banded:
		f := "0"
		for i := len(it.Bands) - 1; i >= 0; i-- {
			b := it.Bands[i]
			f = fmt.Sprintf("IF(%s>=0,%s,%s)", settled(fmt.Sprintf("1000000*%s-%s*%s", n, units(b.From), d), 4), b.Points, f)
		}
		return f
	}
	return "0"
}

// told is the formula of what so many events take away or add: [assessment.Item.Tell].
func told(it assessment.Item, events string) string {
	e := fmt.Sprintf("MAX(0,INT(%s))", settled(events, 6))
	sum := fmt.Sprintf("%s*%s", it.Each, e)
	if it.From > 0 {
		first := fmt.Sprintf("MIN(%s,%d)", e, it.From-1)
		sum = fmt.Sprintf("%s*%s+%s*(%s-%s)", it.Each, first, it.Then, e, first)
	}
	sum = fmt.Sprintf("MIN(%s,%s)", it.Points, sum)
	if it.Shape == assessment.PerEvent {
		return "-" + sum
	}
	return sum
}

// number is a cell with an exact number: a whole one as it is, another as the quotient of two.
func number(f assessment.Fraction) any {
	text := f.String()
	n, d, over := strings.Cut(text, "/")
	if !over && len(n) <= 15 {
		i, _ := strconv.ParseInt(n, 10, 64)
		return i
	}
	r, _ := new(big.Rat).SetString(text)
	v, _ := r.Float64()
	if !over || len(n) > 15 || len(d) > 15 { // more digits than a sheet reads
		return v
	}
	return formula{text: text, value: v}
}

// printed is the number that a text printed by [assessment.Fraction.Print] is, or the text.
func printed(text string) any {
	if v, err := strconv.ParseFloat(text, 64); err == nil {
		return v
	}
	return text
}
