package assessment

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
)

// Decimal is a number in ten-thousandths, exact: 2.5 is 25000. In JSON it is a string, "2.5".
type Decimal int64

// tenThousandths of one.
const tenThousandths = 10_000

// ErrDecimal: the text is no decimal number with at most four places, or it is too large.
var ErrDecimal = errors.New("not a decimal number with at most 4 places, such as 2.5")

// decimalLimit keeps sums and products of what people write far from overflow: a billion.
const decimalLimit = 1_000_000_000

// ParseDecimal reads the text form: digits without leading zeros, at most four places, "-" in front of a negative one; "2.50" is read as 2.5.
// Signs, spaces, exponents and separators of thousands are refused with [ErrDecimal].
func ParseDecimal(s string) (Decimal, error) {
	digits, negative := strings.CutPrefix(s, "-")
	whole, places, dotted := strings.Cut(digits, ".")
	if whole == "" || strings.Trim(whole+places, "0123456789") != "" || len(whole) > 10 || len(places) > 4 ||
		dotted && places == "" || len(whole) > 1 && whole[0] == '0' {
		return 0, fmt.Errorf("%q: %w", s, ErrDecimal)
	}
	n, err := strconv.ParseInt(whole+(places + "0000")[:4], 10, 64)
	if err != nil || n > decimalLimit*tenThousandths || negative && n == 0 {
		return 0, fmt.Errorf("%q: %w", s, ErrDecimal)
	}
	if negative {
		n = -n
	}
	return Decimal(n), nil
}

// Whole returns n as a decimal.
func Whole(n int) Decimal { return Decimal(n) * tenThousandths }

// String returns the shortest text form.
func (d Decimal) String() string {
	sign, n := "", uint64(d)
	if d < 0 {
		sign, n = "-", -n
	}
	s := sign + strconv.FormatUint(n/tenThousandths, 10)
	if rest := n % tenThousandths; rest > 0 {
		s += "." + strings.TrimRight(fmt.Sprintf("%04d", rest), "0")
	}
	return s
}

// Fraction returns the number as a fraction.
func (d Decimal) Fraction() Fraction { return Of(int64(d), tenThousandths) }

// MarshalText writes the text form.
func (d Decimal) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the text form.
func (d *Decimal) UnmarshalText(b []byte) error {
	got, err := ParseDecimal(string(b))
	if err != nil {
		return err
	}
	*d = got
	return nil
}

// Fraction is an exact rational number. The zero Fraction is 0. In JSON it is a string, "737/972".
//
// Counts stay in machine words; what outgrows them is kept exactly all the same.
type Fraction struct {
	n, d int64    // in lowest terms; d > 0, or 0 for 1
	big  *big.Rat // if the words do not hold it
}

// Of returns n over d, in lowest terms. d is not zero: a rate over nothing is no number, see [Ratio].
func Of(n, d int64) Fraction {
	if d <= 0 || n == math.MinInt64 {
		return held(big.NewRat(n, d))
	}
	a, b := max(n, -n), d
	for b != 0 {
		a, b = b, a%b
	}
	return Fraction{n: n / a, d: d / a}
}

// held returns r in the form that two equal fractions share.
func held(r *big.Rat) Fraction {
	if r.Num().IsInt64() && r.Denom().IsInt64() {
		return Fraction{n: r.Num().Int64(), d: r.Denom().Int64()}
	}
	return Fraction{big: r}
}

// rat returns f for reading.
func (f Fraction) rat() *big.Rat {
	if f.big != nil {
		return f.big
	}
	return big.NewRat(f.n, max(f.d, 1))
}

// whole returns f if it is a whole number in a machine word, small enough to be multiplied by a million.
func (f Fraction) whole() (int64, bool) {
	return f.n, f.big == nil && f.d <= 1 && f.n < math.MaxInt64/4_000_000 && f.n > math.MinInt64/4_000_000
}

// Plus returns f + g.
func (f Fraction) Plus(g Fraction) Fraction {
	a, small := f.whole()
	if b, too := g.whole(); small && too {
		return Fraction{n: a + b, d: 1}
	}
	if _, d, fits := product(f, g); fits {
		return Of(f.n*max(g.d, 1)+g.n*max(f.d, 1), d)
	}
	return held(new(big.Rat).Add(f.rat(), g.rat()))
}

// Minus returns f − g.
func (f Fraction) Minus(g Fraction) Fraction {
	if _, d, fits := product(f, g); fits {
		return Of(f.n*max(g.d, 1)-g.n*max(f.d, 1), d)
	}
	return held(new(big.Rat).Sub(f.rat(), g.rat()))
}

// Times returns f · g.
func (f Fraction) Times(g Fraction) Fraction {
	switch {
	case f.big == nil && g.isOne() || g.big == nil && f.isZeroWord():
		return f
	case g.big == nil && f.isOne() || f.big == nil && g.isZeroWord():
		return g
	}
	if n, d, fits := product(f, g); fits {
		return Of(n, d)
	}
	return held(new(big.Rat).Mul(f.rat(), g.rat()))
}

func (f Fraction) isOne() bool      { return f.big == nil && f.n == 1 && f.d == 1 }
func (f Fraction) isZeroWord() bool { return f.big == nil && f.n == 0 && f.d == 1 }

// word is the largest number whose product with another such fits a machine word.
const word = 1 << 30

// product returns f · g, not in lowest terms, if all four numbers are small.
func product(f, g Fraction) (n, d int64, fits bool) {
	fits = f.big == nil && g.big == nil && f.n <= word && f.n >= -word && g.n <= word && g.n >= -word && f.d <= word && g.d <= word
	return f.n * g.n, max(f.d, 1) * max(g.d, 1), fits
}

// Over returns f / g; g is not zero.
func (f Fraction) Over(g Fraction) Fraction {
	if g.big == nil && g.n > 0 {
		return f.Times(Fraction{n: max(g.d, 1), d: g.n})
	}
	return held(new(big.Rat).Quo(f.rat(), g.rat()))
}

// Compare returns −1, 0 or 1 as f is less than, equal to or greater than g. It is exact.
func (f Fraction) Compare(g Fraction) int {
	a, small := f.whole()
	if b, too := g.whole(); small && too {
		return int(min(1, max(-1, a-b)))
	}
	return f.rat().Cmp(g.rat())
}

// IsZero reports whether f is 0.
func (f Fraction) IsZero() bool { return f.big == nil && f.n == 0 }

// Floor returns the greatest whole number that is not above f.
func (f Fraction) Floor() Fraction {
	if f.big == nil && f.d <= 1 {
		return f
	}
	r := f.rat()
	return held(new(big.Rat).SetInt(new(big.Int).Div(r.Num(), r.Denom()))) // Euclidean: rounds down for d > 0
}

// Ceiling returns the least whole number that is not below f.
func (f Fraction) Ceiling() Fraction { return Of(0, 1).Minus(Of(0, 1).Minus(f).Floor()) }

// Round returns f to so many decimal places, half up.
func (f Fraction) Round(places int) Fraction {
	p := Of(powerOfTen(places), 1)
	return f.Times(p).Plus(Of(1, 2)).Floor().Over(p)
}

// Print returns f to so many decimal places (0 … 6), rounded half up, once, in integers: 85.915 is "85.92".
func (f Fraction) Print(places int) string {
	scaled := f.Times(Of(powerOfTen(places), 1)).Plus(Of(1, 2)).Floor()
	return pointed(scaled.rat().Num(), places)
}

// pointed writes n·10^−places.
func pointed(n *big.Int, places int) string {
	if n.IsInt64() {
		return pointedWord(n.Int64(), places)
	}
	s, sign := new(big.Int).Abs(n).String(), ""
	if n.Sign() < 0 {
		sign = "-"
	}
	if places == 0 {
		return sign + s
	}
	return sign + s[:len(s)-places] + "." + s[len(s)-places:]
}

func pointedWord(n int64, places int) string {
	sign := ""
	if n < 0 {
		sign, n = "-", -n
	}
	p := powerOfTen(places)
	s := sign + strconv.FormatInt(n/p, 10)
	if places == 0 {
		return s
	}
	rest := strconv.FormatInt(n%p, 10)
	return s + "." + strings.Repeat("0", places-len(rest)) + rest
}

func powerOfTen(n int) int64 {
	p := int64(1)
	for range n {
		p *= 10
	}
	return p
}

// String returns "n/d" in lowest terms, "n" for a whole number.
func (f Fraction) String() string {
	switch {
	case f.big != nil:
		return f.big.RatString()
	case f.d <= 1:
		return strconv.FormatInt(f.n, 10)
	}
	return strconv.FormatInt(f.n, 10) + "/" + strconv.FormatInt(f.d, 10)
}

// MarshalText writes the text form.
func (f Fraction) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText reads the text form.
func (f *Fraction) UnmarshalText(b []byte) error {
	n, d, over := strings.Cut(string(b), "/")
	num, ok := new(big.Int).SetString(n, 10)
	den := big.NewInt(1)
	if ok && over {
		den, ok = den.SetString(d, 10)
	}
	if !ok || den.Sign() <= 0 || len(b) > 1000 {
		return fmt.Errorf("not a fraction such as 737/972: %q", b)
	}
	*f = held(new(big.Rat).SetFrac(num, den))
	return nil
}

// None is printed where there is no value: a rate over nothing is neither 0 nor 100.
const None = "—"

// Ratio is a count over a count, as they were counted and not in lowest terms: 737 of 972.
type Ratio struct{ N, D Fraction }

// Value returns n/d, false if d is zero.
func (r Ratio) Value() (Fraction, bool) {
	if r.D.IsZero() {
		return Fraction{}, false
	}
	return r.N.Over(r.D), true
}

// Percent prints the ratio in per cent, [None] over zero: floor((2·n·10^(places+2) + d) / (2·d)) of the last place.
func (r Ratio) Percent(places int) string {
	if r.D.IsZero() {
		return None
	}
	n, small := r.N.whole()
	if d, too := r.D.whole(); small && too && places == 2 && n >= 0 && d > 0 {
		return pointedWord((2*n*10_000+d)/(2*d), 2)
	}
	return r.N.Times(Of(100, 1)).Over(r.D).Print(places)
}
