package assessment

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"gridcase/domain/orgs"
)

// Fault is one thing that keeps a scheme from being published, or an evaluation from being taken.
type Fault struct {
	Code   string // "weight_below_floor" or "guard_failed"
	Place  string // in the JSON of the scheme: "subjects[1].weight", "choices.aggregate"
	Zh, En string
}

func (f Fault) Error() string { return f.Place + ": " + f.En }

const (
	weightBelowFloor = "weight_below_floor"
	guardFailed      = "guard_failed"
)

// The largest scheme; ours.
const (
	listLimit   = 50                    // items of one list
	textLimit   = 500                   // characters of one text
	pointsLimit = 1000 * tenThousandths // of anything
)

// Floor returns the least share of the attainable points that the streets' evaluation must have for a kind of unit: a fifth for a department,
// half for an agency, 0 for all others.
//
// Source: 《党建引领精准服务 激活基层治理新动能》 (C3).
func Floor(k orgs.Kind) Fraction {
	switch k {
	case orgs.Department:
		return Of(1, 5)
	case orgs.Agency:
		return Of(1, 2)
	}
	return Fraction{}
}

// Weigh returns the streets' share of the attainable points of a subject's annual score: w·B / (w·A + (1 − w)·O), where A is the most their
// evaluation can give with every bonus, B the most without, and O the most of the other part. So no bonus, theirs or another's, can buy the floor.
// Of a points sheet it is the streets' points without bonus over all attainable ones. A scheme in which nothing can be attained has the share 0.
func (s Scheme) Weigh(sub Subject) Fraction {
	w, base := sub.Weight.Fraction(), Of(100, 1)
	with := base
	for _, b := range s.Bonuses {
		with = with.Plus(b.Points.Fraction())
	}
	all := w.Times(with).Plus(base.Minus(w).Times(s.Other.Fraction()))
	if sub.Sheet != 0 {
		all = base.Times(sub.Sheet.Fraction()).Plus(w.Times(with.Minus(base)))
	}
	if all.Compare(Fraction{}) <= 0 {
		return Fraction{}
	}
	return w.Times(base).Over(all)
}

// Validate returns everything that keeps the scheme from being published (§7.7), in the order of its members; none means that it may be.
// Whether it is published before its first period begins is not for it to say.
func Validate(s Scheme) []Fault {
	var v faults
	v.text("name", s.Name)
	v.text("basis", s.Basis)
	v.subjects(s)
	if s.Raters != orgs.Street {
		v.add("raters", "评价主体须为街道", "the raters are streets")
	}
	if !slices.Contains([]Cycle{Monthly, Quarterly, Yearly}, s.Every) {
		v.add("every", fmt.Sprintf("没有 %q 这种周期", s.Every), fmt.Sprintf("there is no cycle %q: month, quarter or year", s.Every))
	}
	v.items("objective", s.Objective, []Shape{Linear, Target, Banded})
	v.hundred("objective", len(s.Objective), func(i int) Decimal { return s.Objective[i].Points })
	v.form(s.Form)
	v.hundred("form", len(s.Form), func(i int) Decimal { return s.Form[i].Points })
	v.between("share", s.Share, 0, Whole(100))
	v.items("deductions", s.Deductions, []Shape{PerEvent})
	v.items("bonuses", s.Bonuses, []Shape{Bonus})
	v.between("other", s.Other, Whole(1), pointsLimit)
	v.reasons(s.Reasons)
	v.choices(s.Choices)
	return v
}

type faults []Fault

func (v *faults) add(place, zh, en string) {
	*v = append(*v, Fault{Code: guardFailed, Place: place, Zh: zh, En: en})
}

func (v *faults) text(place, s string) {
	if strings.TrimSpace(s) == "" || utf8.RuneCountInString(s) > textLimit || !utf8.ValidString(s) {
		v.add(place, fmt.Sprintf("须为 1 至 %d 个字", textLimit), fmt.Sprintf("is to have 1 to %d characters", textLimit))
	}
}

func (v *faults) between(place string, d, lo, hi Decimal) {
	if d < lo || d > hi {
		v.add(place, fmt.Sprintf("%s 不在 %s 至 %s 之间", d, lo, hi), fmt.Sprintf("%s is not from %s to %s", d, lo, hi))
	}
}

func (v *faults) size(place string, n int) {
	if n > listLimit {
		v.add(place, fmt.Sprintf("超过 %d 项", listLimit), fmt.Sprintf("has more than %d entries", listLimit))
	}
}

func (v *faults) hundred(place string, n int, points func(int) Decimal) {
	sum := Fraction{}
	for i := range n {
		sum = sum.Plus(points(i).Fraction())
	}
	if sum.Compare(Of(100, 1)) != 0 {
		v.add(place, fmt.Sprintf("各项分值之和为 %s，须为 100", decimal(sum)), fmt.Sprintf("the points sum to %s, not to 100", decimal(sum)))
	}
}

// decimal writes a fraction of ten-thousandths.
func decimal(f Fraction) string {
	s := f.Print(4)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

func (v *faults) subjects(s Scheme) {
	if len(s.Subjects) == 0 {
		v.add("subjects", "没有考核对象", "nobody is assessed")
	}
	v.size("subjects", len(s.Subjects))
	seen := map[orgs.Kind]bool{}
	for i, sub := range s.Subjects {
		place := fmt.Sprintf("subjects[%d]", i)
		if !slices.Contains(orgs.Kinds(), sub.Kind) || sub.Kind == orgs.City || sub.Kind == orgs.Grid {
			v.add(place+".kind", fmt.Sprintf("%q 类单位不能作为考核对象", sub.Kind), fmt.Sprintf("units of kind %q are not assessed", sub.Kind))
		}
		if seen[sub.Kind] {
			v.add(place+".kind", fmt.Sprintf("%s 列了两次", sub.Kind), fmt.Sprintf("%s is listed twice", sub.Kind))
		}
		seen[sub.Kind] = true
		if sub.Sheet == 0 {
			v.between(place+".weight", sub.Weight, 0, Whole(100))
		} else {
			v.between(place+".sheet", sub.Sheet, Whole(1), pointsLimit)
			v.between(place+".weight", sub.Weight, 0, max(0, sub.Sheet))
		}
		v.floor(place, s, sub)
	}
}

func (v *faults) floor(place string, s Scheme, sub Subject) {
	floor, share := Floor(sub.Kind), s.Weigh(sub)
	if s.Choices[WeightMeaning] == "nominal" {
		share = sub.Weight.Fraction().Over(Of(100, 1))
	}
	over := share.Compare(floor)
	if over > 0 || over == 0 && (floor.IsZero() || s.Choices[FloorInclusive] != "no") {
		return
	}
	percent := func(f Fraction) string { return f.Times(Of(100, 1)).Print(2) + " %" }
	*v = append(*v, Fault{Code: weightBelowFloor, Place: place + ".weight",
		Zh: fmt.Sprintf("街道评价占 %s 可得总分的 %s（精确值 %s），低于下限 %s", sub.Kind, percent(share), share, percent(floor)),
		En: fmt.Sprintf("the streets have %s of the attainable points of a %s (exactly %s); the floor is %s", percent(share), sub.Kind, share, percent(floor))})
}

func (v *faults) items(list string, items []Item, shapes []Shape) {
	v.size(list, len(items))
	seen := map[Indicator]bool{}
	for i, it := range items {
		place := fmt.Sprintf("%s[%d]", list, i)
		def, known := Define(it.Indicator)
		switch {
		case !known:
			v.add(place+".indicator", fmt.Sprintf("没有指标 %q", it.Indicator), fmt.Sprintf("there is no indicator %q", it.Indicator))
		case it.Shape == PerEvent || it.Shape == Bonus:
			if def.Measure != Rate {
				v.add(place+".indicator", fmt.Sprintf("%s 不能逐件计", it.Indicator), fmt.Sprintf("%s does not count events", it.Indicator))
			}
		case def.Measure != Rate && def.Measure != Composite && def.Measure != Points || it.Indicator == LoadShare:
			v.add(place+".indicator", fmt.Sprintf("%s 不是百分比", it.Indicator), fmt.Sprintf("%s is no percentage", it.Indicator))
		case def.Worse && it.Shape != Banded:
			v.add(place+".indicator", fmt.Sprintf("%s 越高越差，只能用分档计分或逐件扣分", it.Indicator),
				fmt.Sprintf("more of %s is worse: give it bands, or deduct per event", it.Indicator))
		}
		if seen[it.Indicator] {
			v.add(place+".indicator", fmt.Sprintf("%s 列了两次", it.Indicator), fmt.Sprintf("%s is listed twice", it.Indicator))
		}
		seen[it.Indicator] = true
		if !slices.Contains(shapes, it.Shape) {
			v.add(place+".shape", fmt.Sprintf("此处不能用 %q", it.Shape), fmt.Sprintf("%q has no place here", it.Shape))
			continue
		}
		if it.Points <= 0 || it.Points > pointsLimit {
			v.add(place+".points", "分值须大于 0，不超过 1000", "points are above 0 and at most 1000")
		}
		v.parameters(place, it)
	}
}

// parameters says whether the item has what its shape needs, in range, and nothing else.
func (v *faults) parameters(place string, it Item) {
	takes := map[Shape][]string{
		Target: {"target", "k", "floor", "step"}, Banded: {"bands"}, PerEvent: {"each", "from", "then"}, Bonus: {"each"},
	}[it.Shape]
	for _, p := range []struct {
		name string
		set  bool
	}{
		{"target", it.Target != 0}, {"k", it.K != 0}, {"floor", it.Floor != 0}, {"step", it.Step != ""}, {"bands", len(it.Bands) > 0},
		{"each", it.Each != 0}, {"from", it.From != 0}, {"then", it.Then != 0},
	} {
		if p.set && !slices.Contains(takes, p.name) {
			v.add(place+"."+p.name, fmt.Sprintf("%s 没有参数 %s", it.Shape, p.name), fmt.Sprintf("%s has no parameter %s", it.Shape, p.name))
		}
	}
	switch it.Shape {
	case Target:
		v.between(place+".target", it.Target, 1, Whole(100))
		v.between(place+".k", it.K, 1, pointsLimit)
		v.between(place+".floor", it.Floor, 0, max(0, it.Points))
		if !slices.Contains([]Step{"", Prorated, Started, Completed}, it.Step) {
			v.add(place+".step", fmt.Sprintf("没有 %q 这种算法", it.Step), fmt.Sprintf("there is no step %q", it.Step))
		}
	case Banded:
		v.bands(place+".bands", it)
	case PerEvent, Bonus:
		v.between(place+".each", it.Each, 0, pointsLimit)
		v.between(place+".then", it.Then, 0, pointsLimit)
		switch {
		case it.From < 0 || it.From > 1_000_000:
			v.add(place+".from", "起始件数须为 0 至 1000000", "from is 0 to 1000000")
		case it.From == 0 && it.Then != 0:
			v.add(place+".from", "给出了 then，须给出 from", "then needs from")
		case it.Each == 0 && it.Then == 0:
			v.add(place+".each", "每件分值不能都为 0", "an event counts nothing")
		}
	}
}

func (v *faults) bands(place string, it Item) {
	v.size(place, len(it.Bands))
	if len(it.Bands) == 0 {
		v.add(place, "没有分档", "there are no bands")
	}
	for i, b := range it.Bands {
		at := fmt.Sprintf("%s[%d]", place, i)
		v.between(at+".from", b.From, 0, Whole(100))
		v.between(at+".points", b.Points, 0, max(0, it.Points))
		if i > 0 && b.From >= it.Bands[i-1].From {
			v.add(at+".from", fmt.Sprintf("%s 与上一档重叠：分档须从高到低", b.From), fmt.Sprintf("%s overlaps the band before it: bounds descend", b.From))
		}
	}
}

func (v *faults) form(form []FormItem) {
	v.size("form", len(form))
	seen := map[string]bool{}
	for i, it := range form {
		place := fmt.Sprintf("form[%d]", i)
		if it.Code == "" || len(it.Code) > 40 || strings.Trim(it.Code, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
			v.add(place+".code", "代码须为小写字母、数字或下划线", "a code is of lower-case letters, digits and underscores")
		}
		if seen[it.Code] {
			v.add(place+".code", fmt.Sprintf("%s 列了两次", it.Code), fmt.Sprintf("%s is listed twice", it.Code))
		}
		seen[it.Code] = true
		v.text(place+".name", it.Name)
		if it.Points <= 0 || it.Points > pointsLimit || it.Points%half != 0 {
			v.add(place+".points", "分值须为大于 0 的半分倍数", "points are half points, above 0")
		}
	}
}

func (v *faults) reasons(rs []Reason) {
	for i, r := range rs {
		place := fmt.Sprintf("reasons[%d]", i)
		if !slices.Contains(Reasons(), r) {
			v.add(place, fmt.Sprintf("没有剔除理由 %q", r), fmt.Sprintf("there is no reason %q", r))
		}
		if slices.Contains(rs[:i], r) {
			v.add(place, fmt.Sprintf("%s 列了两次", r), fmt.Sprintf("%s is listed twice", r))
		}
	}
}

func (v *faults) choices(values map[Name]string) {
	known := map[Name]bool{}
	for _, c := range Choices() {
		known[c.Name] = true
		value, given := values[c.Name]
		place := "choices." + string(c.Name)
		if !given {
			v.add(place, fmt.Sprintf("没有选定：%s？可选 %s", c.Zh, c.forms()), fmt.Sprintf("has no value: %s Choose of %s", c.En, c.forms()))
			continue
		}
		if _, _, ok := c.answered(value); !ok {
			v.add(place, fmt.Sprintf("%q 不可选，可选 %s", value, c.forms()), fmt.Sprintf("%q is none of %s", value, c.forms()))
		}
	}
	var unknown []string
	for name := range values {
		if !known[name] {
			unknown = append(unknown, string(name))
		}
	}
	slices.Sort(unknown)
	for _, name := range unknown {
		v.add("choices."+name, "没有这个选项", "there is no such choice")
	}
}

const half = tenThousandths / 2

// The marks of a form, of 100, below and above which a street says why (§7.4).
const (
	lowMarks  = 60
	highMarks = 95
)

// Check returns what is wrong with an evaluation under the scheme's form: every item once, in order, in half points from 0 to the item's;
// and a comment where the sum is below 60 or above 95.
func (s Scheme) Check(given []Given, comment string) []Fault {
	var v faults
	if len(given) != len(s.Form) {
		v.add("items", fmt.Sprintf("评价表有 %d 项，只收到 %d 项", len(s.Form), len(given)),
			fmt.Sprintf("the form has %d items, %d were given", len(s.Form), len(given)))
		return v
	}
	sum := Decimal(0)
	for i, g := range given {
		place, it := fmt.Sprintf("items[%d]", i), s.Form[i]
		if g.Code != it.Code {
			v.add(place+".code", fmt.Sprintf("应为 %s", it.Code), fmt.Sprintf("is %q; the form has %s here", g.Code, it.Code))
		}
		v.between(place+".points", g.Points, 0, it.Points)
		if g.Points%half != 0 {
			v.add(place+".points", "以半分为单位", "is not in half points")
		}
		sum += min(max(0, g.Points), it.Points)
	}
	if (sum < Whole(lowMarks) || sum > Whole(highMarks)) && strings.TrimSpace(comment) == "" {
		v.add("comment", fmt.Sprintf("总分 %s，低于 %d 分或高于 %d 分须说明", sum, lowMarks, highMarks),
			fmt.Sprintf("%s points: below %d and above %d it is to say why", sum, lowMarks, highMarks))
	}
	return v
}
