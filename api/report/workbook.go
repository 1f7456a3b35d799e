package report

import (
	"archive/zip"
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/xuri/excelize/v2"

	"gridcase/domain/assessment"
	"gridcase/domain/orgs"
)

// The sheets of the workbook, in its order.
const (
	sheetSummary   = "概况"
	sheetFigures   = "指标"
	sheetItems     = "评分项"
	sheetScores    = "街道评分"
	sheetEarlier   = "历期"
	sheetStandings = "名次"
	sheetRequests  = "剔除与申诉"
)

// formula is a live cell, with what it comes to for readers that do not compute.
type formula struct {
	text  string
	value any
	style style
}

// styled is a cell that is more than a text or a number.
type styled struct {
	value any
	style style
}

type style int

const (
	plain  style = iota
	head         // of a column
	places       // as many decimal places as are printed
	title
)

// promise is a cell whose formula must come to what the program printed.
type promise struct{ sheet, cell, want string }

// A table is a sheet in the making.
type table struct {
	name   string
	widths []float64
	rows   [][]any
}

// next returns the number of the row that will be added next.
func (t *table) next() int { return len(t.rows) + 1 }

func (t *table) add(cells ...any) { t.rows = append(t.rows, cells) }

func (t *table) heads(names ...string) {
	row := make([]any, len(names))
	for i, n := range names {
		row[i] = styled{n, head}
	}
	t.rows = append(t.rows, row)
}

// at names a cell of a sheet for a formula on any sheet.
func at(sheet, column string, row int) string { return fmt.Sprintf("'%s'!%s%d", sheet, column, row) }

// fixed is at, and stays the same when the formula is copied.
func fixed(sheet, column string, row int) string {
	return fmt.Sprintf("'%s'!$%s$%d", sheet, column, row)
}

// book is a workbook in the making.
type book struct {
	Document
	named                                                               map[orgs.UnitCode]string
	summary, figureSheet, items, scoreSheet, earlier, ranked, requested table
	cells                                                               map[string]int // row of each figure's id on the sheet of figures
	share, caseShare, sample                                            string         // cells of parameters
	weights                                                             map[orgs.Kind]string
	scored                                                              map[orgs.UnitCode][2]int // first and last row of a unit on the sheet of scores
	promises                                                            []promise
}

// Workbook writes an XLSX file whose numbers are formulas from the counts up, so that everybody can recompute and try another count.
// The same document is the same bytes. It returns [ErrRecorded] for a sealed period whose formulas would not come to the sealed figures.
func (d Document) Workbook(w io.Writer) error {
	if err := d.Found(); err != nil {
		return err
	}
	b := d.book()
	f, err := b.file()
	if err != nil {
		return fmt.Errorf("workbook: %w", err)
	}
	defer f.Close()
	var parts bytes.Buffer
	if _, err = f.WriteTo(&parts); err == nil {
		err = inOrder(w, parts.Bytes())
	}
	if err != nil {
		return fmt.Errorf("workbook: %w", err)
	}
	return nil
}

// inOrder writes a workbook with its parts by name: excelize writes the sheets in any order.
func inOrder(w io.Writer, workbook []byte) error {
	from, err := zip.NewReader(bytes.NewReader(workbook), int64(len(workbook)))
	if err != nil {
		return err
	}
	slices.SortFunc(from.File, func(a, b *zip.File) int { return cmp.Compare(a.Name, b.Name) })
	to := zip.NewWriter(w)
	for _, part := range from.File {
		if err := to.Copy(part); err != nil {
			return err
		}
	}
	return to.Close()
}

func (d Document) book() *book {
	b := &book{Document: d, named: d.names(), cells: map[string]int{}, weights: map[orgs.Kind]string{}, scored: map[orgs.UnitCode][2]int{},
		summary: table{name: sheetSummary, widths: []float64{26, 70, 40}}, figureSheet: table{name: sheetFigures, widths: []float64{36, 16, 18, 22, 14, 18}},
		items: table{name: sheetItems, widths: []float64{18, 14, 10, 18, 18}}, scoreSheet: table{name: sheetScores, widths: []float64{18, 22, 14, 18}},
		earlier: table{name: sheetEarlier, widths: []float64{18, 12, 12}}, ranked: table{name: sheetStandings, widths: []float64{18, 22, 14}},
		requested: table{name: sheetRequests, widths: []float64{10, 8, 60, 30, 24, 12}}}
	b.takeSummary()
	b.takeFigures()
	b.takeScores()
	if len(b.standings()) > 0 {
		b.takeStandings()
	}
	if b.whole() {
		b.takeRequests()
	}
	return b
}

// answer returns how the scheme answers a choice: the word, and the number behind it.
func (b *book) answer(n assessment.Name) (word, number string) {
	word, number, _ = strings.Cut(b.Scheme.Choices[n], ":")
	return word, number
}

// step rounds the formula of what is printed on the way, if the scheme says so (choice rounding).
func (b *book) step(x string) string {
	if w, _ := b.answer(assessment.Rounding); w == "each_step" {
		return rounded(x, b.Places)
	}
	return x
}

// value is a live cell of an exact value.
func (b *book) value(text string, v assessment.Value) any {
	if !v.Known {
		return formula{text: text, value: assessment.None}
	}
	return formula{text: text, value: cached(v.Fraction)}
}

// cached is what a cell shows where nothing computes.
func cached(f assessment.Fraction) any {
	switch x := number(f).(type) {
	case formula:
		return x.value
	default:
		return x
	}
}

// prints is the live cell that rounds the one at x, and promises what the program printed.
func (b *book) prints(t *table, column, x string, v assessment.Value, want string) any {
	if v.Known && halfBelow(v.Fraction, b.Places) {
		return styled{printed(want), places}
	}
	b.promises = append(b.promises, promise{t.name, fmt.Sprintf("%s%d", column, t.next()), want})
	return formula{fmt.Sprintf(`IF(ISNUMBER(%s),%s,"%s")`, x, rounded(x, b.Places), assessment.None), printed(want), places}
}

func (b *book) takeSummary() {
	t, p := &b.summary, b.Results.Period
	row := func(name string, value any, note string) string {
		t.add(styled{name, head}, value, note)
		return fixed(t.name, "B", len(t.rows))
	}
	t.add(styled{"考核结果 Assessment", title})
	if b.Synthetic {
		row("合成数据 Synthetic", "演示数据，与任何真实的人和单位无关", "")
	}
	row("状态 Status", b.status(), "")
	row("考核办法 Scheme", b.Scheme.Name, b.Scheme.Basis)
	row("办法哈希 Scheme hash", b.Hash, "SHA-256")
	row("周期 Period", p.First.String()+" 至 "+p.Last.String(), p.ID.String())
	row("考核区域 Jurisdiction", string(p.Jurisdiction), "")
	row("日志位置 Position", fmt.Sprint(b.AsOf), "周期自身记录取至此处")
	row("截止位置 Cut-off", fmt.Sprint(b.CutOff), "案件取至此处；0 为尚未截止")
	row("程序版本 Program", b.Program, "")
	if b.whole() {
		row("结果哈希 Results hash", b.ResultsHash(), "全部结果规范文本的 SHA-256")
		row("样本哈希 Cohort hash", b.CohortHash(), "全部样本清单的 SHA-256")
	}
	if s := b.Seal; s != nil {
		row("封存 Sealed", s.At.Format("2006-01-02 15:04:05"), fmt.Sprintf("第 %d 次", s.Revision))
		row("封存结果哈希 Sealed results", s.Results, "")
		row("封存样本哈希 Sealed cohort", s.Cohort, "")
		row("日志树根 Merkle root", s.Root, "")
		row("封存时程序 Program then", s.Program, s.Reason)
	}
	t.add()
	t.add(styled{"参数 Parameters（公式引用，可试改）", title})
	b.share = row("客观分占比 a, %", number(b.Scheme.Share.Fraction()), "S = a·客观 + (1−a)·主观")
	word, _ := b.answer(assessment.SubjCaseShare)
	c, _ := assessment.ParseDecimal(word)
	b.caseShare = row("逐件评分占比 c", number(c.Fraction()), "subj.case_share")
	word, _ = b.answer(assessment.MinSample)
	n, _ := assessment.ParseDecimal(word)
	b.sample = row("最小样本 min_sample", number(n.Fraction()), "少于此数不计客观分")
	for _, s := range b.Scheme.Subjects {
		note := "街道评价在年度总分中的权重, %"
		if s.Sheet != 0 {
			note = "街道评价在年度计分表中的分值"
		}
		b.weights[s.Kind] = row("权重 w "+string(s.Kind), number(s.Weight.Fraction()), note)
	}
	t.add()
	t.add(styled{"生效的选项 Choices in force", title})
	for _, c := range assessment.Choices() {
		row(string(c.Name), guarded(b.Scheme.Choices[c.Name]), c.Zh)
	}
}

func (b *book) takeFigures() {
	t := &b.figureSheet
	t.heads("指标编号", "指标", "单位", "单位名称", "街道", "街道名称", "分子 N", "分母 D", "值 %", "公布值", "程序公布值", "核对", "处理前 N", "处理前 D", "处理前值", "结转", "剔除数", "剔除明细", "中位分钟", "P90 分钟", "标记")
	fs := b.figures()
	for i, f := range fs {
		b.cells[f.Key.String()] = i + 2
	}
	for _, f := range fs {
		def, _ := assessment.Define(f.Indicator)
		r := t.next()
		n, d := fmt.Sprint("G", r), fmt.Sprint("H", r)
		var left []string
		out := int64(0)
		for _, l := range f.Left {
			left = append(left, fmt.Sprintf("%s=%d（%s）", l.Why, l.Count, l.Share))
			out += l.Count
		}
		row := []any{f.Key.String(), def.Zh, guarded(string(f.Unit)), guarded(b.named[f.Unit]), guarded(string(f.Street)), guarded(b.named[f.Street]),
			b.numerator(f), number(f.D), formula{text: fmt.Sprintf(`IF(%s=0,"%s",100*%s/%s)`, d, assessment.None, n, d), value: percentOf(f.Ratio)}}
		row = append(row, b.rate(f, def, f.Ratio, n, d, f.Printed, "J"), styled{printed(f.Printed), places},
			formula{text: fmt.Sprintf(`IF(J%d=K%d,"√","×")`, r, r), value: "√"})
		if f.Before != "" {
			row = append(row, number(f.Raw.N), number(f.Raw.D), b.rate(f, def, f.Raw, fmt.Sprint("M", r), fmt.Sprint("N", r), f.Before, "O"))
		} else {
			row = append(row, nil, nil, nil)
		}
		row = append(row, f.Carried, out, strings.Join(left, "；"))
		if def.Measure == assessment.Minutes && !f.D.IsZero() {
			row = append(row, f.Median, f.P90)
		} else {
			row = append(row, nil, nil)
		}
		t.add(append(row, strings.Join(f.Flags, " "))...)
	}
}

func percentOf(r assessment.Ratio) any {
	x, ok := r.Value()
	if !ok {
		return assessment.None
	}
	return cached(x.Times(assessment.Of(100, 1)))
}

// composites are the parts of a composite with their weights in per cent: what it says of itself in [assessment.Definitions].
var composites = map[assessment.Indicator][]struct {
	part   assessment.Indicator
	weight int
}{assessment.ThreeRates: {{assessment.Response, 30}, {assessment.Resolution, 35}, {assessment.Satisfaction, 35}}}

// numerator is a count; that of a composite is a formula from the figures that it is made of.
func (b *book) numerator(f *assessment.Figure) any {
	parts := composites[f.Indicator]
	if parts == nil || f.D.IsZero() {
		return number(f.N)
	}
	var sum []string
	for _, p := range parts {
		k := f.Key
		k.Indicator = p.part
		r := b.cells[k.String()]
		if r == 0 {
			return number(f.N)
		}
		sum = append(sum, fmt.Sprintf("%d*G%d/H%d", p.weight, r, r))
	}
	return formula{text: strings.Join(sum, "+"), value: cached(f.N)}
}

// rate is the printed cell of a figure. Median and percentile of minutes can not be told from two counts: they stay as printed.
func (b *book) rate(f *assessment.Figure, def assessment.Definition, r assessment.Ratio, n, d, want, column string) any {
	t := &b.figureSheet
	live := func(text string) any {
		b.promises = append(b.promises, promise{t.name, fmt.Sprintf("%s%d", column, t.next()), want})
		return formula{text, printed(want), places}
	}
	whole := !strings.Contains(r.N.String()+r.D.String(), "/")
	x, ok := r.Value()
	switch {
	case def.Measure == assessment.Minutes:
		return want
	case def.Measure == assessment.Count:
		return live(rounded(n, 0))
	case whole && def.Measure != assessment.Composite:
		return live(percent(n, d, b.Places))
	case ok && halfBelow(x.Times(assessment.Of(100, 1)), b.Places):
		return styled{printed(want), places}
	}
	return live(fmt.Sprintf(`IF(%s=0,"%s",%s)`, d, assessment.None, rounded(fmt.Sprintf("100*%s/%s", n, d), b.Places)))
}

// count is the cell of a figure's numerator or denominator (G, H); where there is no such figure, there is nothing to count.
func (b *book) count(id, column string) string {
	if r := b.cells[id]; r > 0 {
		return at(sheetFigures, column, r)
	}
	return "0"
}

// takeScores writes each street's evaluation of each unit: its items line by line, and what they come to.
func (b *book) takeScores() {
	b.items.heads("单位", "街道", "部分", "项目", "名称", "分子 N", "分母 D", "值 %", "满分", "得分", "计入满分", "公布得分")
	b.scoreSheet.heads("单位", "单位名称", "街道", "街道名称", "应办结", "应报到", "客观分", "表单分", "逐件评分", "主观分", "扣分", "加分", "得分（精确）", "公布得分", "程序公布值", "核对", "权重 v", "计入权重", "v·S", "标记", "得分合计", "计入满分合计")
	for _, s := range b.scores() {
		b.score(s)
	}
}

func (b *book) score(s *assessment.Score) {
	t := &b.scoreSheet
	r := t.next()
	of := b.scored[s.Unit]
	b.scored[s.Unit] = [2]int{cmp.Or(of[0], r), r}
	cell := func(i assessment.Indicator, column string) string {
		return b.count(assessment.Key{Indicator: i, Unit: s.Unit, Street: s.Street}.String(), column)
	}
	few := fmt.Sprintf("E%d+F%d<%s", r, r, b.sample)
	none := `"` + assessment.None + `"`

	from := b.items.next()
	cards, _ := b.answer(assessment.ObjMode)
	for i := range s.Items {
		b.item(s, i, cards == "cards")
	}
	got, most := fmt.Sprintf("'%s'!J%d:J%d", sheetItems, from, b.items.next()-1), fmt.Sprintf("'%s'!K%d:K%d", sheetItems, from, b.items.next()-1)
	objective := fmt.Sprintf("U%d*100/V%d", r, r)
	if cards == "cards" { // each line is its share of the mean already
		objective = fmt.Sprint("U", r)
	}
	instead, neutral := b.answer(assessment.NoCase)
	switch instead {
	case "neutral":
	case "full":
		neutral = "100"
	default:
		neutral = none
	}
	if len(s.Items) == 0 {
		objective = neutral
	} else {
		objective = fmt.Sprintf("IF(OR(%s,V%d=0),%s,%s)", few, r, neutral, b.step(objective))
	}

	form := none
	if s.Form.Known {
		first := b.items.next()
		b.form(s)
		form = fmt.Sprintf("SUM('%s'!J%d:J%d)", sheetItems, first, b.items.next()-1)
	}
	rn, rd := cell(assessment.OrderRating, "G"), cell(assessment.OrderRating, "H")
	ratings := none
	if rd != "0" {
		ratings = fmt.Sprintf("IF(OR(%s=0,%s=0),%s,100*%s/%s)", rd, b.caseShare, none, rn, rd)
	}
	subjective := fmt.Sprintf("IF(ISNUMBER(H%d),%s,IF(AND(ISNUMBER(I%d),%s=1),%s,%s))", r,
		b.step(fmt.Sprintf("IF(ISNUMBER(I%d),(1-%s)*H%d+%s*I%d,H%d)", r, b.caseShare, r, b.caseShare, r, r)), r, b.caseShare, b.step(fmt.Sprint("I", r)), none)

	deducted, added := b.events(s, b.Scheme.Deductions, s.Deductions, "扣分"), b.events(s, b.Scheme.Bonuses, s.Bonuses, "加分")
	base := fmt.Sprintf("IF(ISNUMBER(G%d),IF(ISNUMBER(J%d),%s/100*G%d+(1-%s/100)*J%d,G%d),J%d)", r, r, b.share, r, b.share, r, r, r)
	gone := fmt.Sprintf("AND(NOT(ISNUMBER(G%d)),NOT(ISNUMBER(J%d)))", r, r)
	if instead == "not_assessed" {
		gone = fmt.Sprintf("OR(NOT(ISNUMBER(G%d)),%s)", r, gone)
	}
	score := fmt.Sprintf("IF(%s,%s,%s)", gone, none, b.step(fmt.Sprintf("MAX(0,MIN(100,%s+K%d))+L%d", base, r, r)))

	weight, v := any(nil), "1"
	switch how, _ := b.answer(assessment.Aggregate); how {
	case "orders":
		weight = formula{text: fmt.Sprint("E", r), value: cached(s.Due)}
	case "households", "grids":
		weight = 0
		for _, st := range b.Results.Period.Streets {
			if st.Unit == s.Street && how == "households" {
				weight = st.Households
			} else if st.Unit == s.Street {
				weight = st.Grids
			}
		}
	default:
		weight = 1
	}
	v = fmt.Sprintf(`IF(ISNUMBER(M%d),Q%d,0)`, r, r)
	t.add(guarded(string(s.Unit)), guarded(b.named[s.Unit]), guarded(string(s.Street)), guarded(b.named[s.Street]),
		formula{text: cell(assessment.Closure, "H"), value: cached(s.Due)}, formula{text: cell(assessment.ReportIn, "H"), value: cached(s.Sample.Minus(s.Due))},
		b.value(objective, s.Objective), b.value(form, s.Form), b.value(ratings, s.Ratings), b.value(subjective, s.Subjective),
		formula{text: deducted, value: total(s.Deductions)}, formula{text: added, value: total(s.Bonuses)},
		b.value(score, s.Value), b.prints(t, "N", fmt.Sprint("M", r), s.Value, s.Printed), styled{printed(s.Printed), places},
		formula{text: fmt.Sprintf(`IF(N%d=O%d,"√","×")`, r, r), value: "√"},
		weight, formula{text: v, value: cached(s.Weight)}, formula{text: fmt.Sprintf("IF(ISNUMBER(M%d),Q%d*M%d,0)", r, r, r), value: cached(s.Weight.Times(s.Value.Fraction))},
		strings.Join(s.Flags, " "), formula{text: fmt.Sprintf("SUM(%s)", got)}, formula{text: fmt.Sprintf("SUM(%s)", most)})
}

func total(ts []assessment.Told) any {
	sum := assessment.Of(0, 1)
	for _, t := range ts {
		sum = sum.Plus(t.Points)
	}
	return cached(sum)
}

// item writes a line of the objective part.
func (b *book) item(s *assessment.Score, i int, cards bool) {
	t, it := &b.items, s.Items[i]
	r := t.next()
	n, d := fmt.Sprint("F", r), fmt.Sprint("G", r)
	empty, counted := `""`, fmt.Sprintf(`IF(G%d=0,"",I%d)`, r, r)
	gives := ""
	if cards {
		var all []string // the denominators of both cards
		for k := range s.Items {
			all = append(all, fmt.Sprint("G", r-i+k))
		}
		gives = fmt.Sprintf("100*%s/(%s)", n, strings.Join(all, "+"))
	} else {
		rule := b.Scheme.Objective[i]
		gives = b.step(points(rule, n, d))
		switch how, neutral := b.answer(assessment.EmptyItem); how {
		case "full":
			empty, counted = fmt.Sprint("I", r), fmt.Sprint("I", r)
		case "neutral":
			empty, counted = fmt.Sprintf("I%d*%s/100", r, neutral), fmt.Sprint("I", r)
		}
	}
	text := fmt.Sprintf(`IF(%s=0,%s,%s)`, d, empty, gives)
	var shown any
	blank := it.Ratio.D.IsZero() && empty == `""`
	if !blank && !halfBelow(it.Points, b.Places) {
		b.promises = append(b.promises, promise{t.name, fmt.Sprint("L", r), it.Points.Print(b.Places)})
		shown = formula{fmt.Sprintf(`IF(ISNUMBER(J%d),%s,"%s")`, r, rounded(fmt.Sprint("J", r), b.Places), assessment.None), printed(it.Points.Print(b.Places)), places}
	} else if !blank {
		shown = styled{printed(it.Points.Print(b.Places)), places}
	} else {
		shown = assessment.None
	}
	value := any("")
	if !blank {
		value = cached(it.Points)
	}
	t.add(guarded(string(s.Unit)), guarded(string(s.Street)), "客观", string(it.Indicator), zh(it.Indicator),
		formula{text: b.count(it.Figure, "G"), value: cached(it.Ratio.N)}, formula{text: b.count(it.Figure, "H"), value: cached(it.Ratio.D)},
		formula{text: fmt.Sprintf(`IF(%s=0,"%s",100*%s/%s)`, d, assessment.None, n, d), value: percentOf(it.Ratio)},
		number(it.Most.Fraction()), formula{text: text, value: value}, formula{text: counted, value: cached(it.Most.Fraction())}, shown)
}

// form writes what the street marked.
func (b *book) form(s *assessment.Score) {
	at := slices.IndexFunc(b.Results.Period.Evaluations, func(e assessment.Evaluation) bool { return e.Street == s.Street && e.Unit == s.Unit })
	if at < 0 {
		return
	}
	for _, g := range b.Results.Period.Evaluations[at].Items {
		most, name := any(nil), g.Code
		for _, f := range b.Scheme.Form {
			if f.Code == g.Code {
				most, name = number(f.Points.Fraction()), f.Name
			}
		}
		b.items.add(guarded(string(s.Unit)), guarded(string(s.Street)), "主观", guarded(g.Code), guarded(name), nil, nil, nil, most, number(g.Points.Fraction()))
	}
}

// events writes deductions or bonuses, and returns the formula of their sum.
func (b *book) events(s *assessment.Score, rules []assessment.Item, told_ []assessment.Told, part string) string {
	t := &b.items
	first := t.next()
	for i, rule := range rules {
		def, _ := assessment.Define(rule.Indicator)
		id := assessment.Key{Indicator: rule.Indicator, Unit: s.Unit, Street: s.Street}.String()
		r := t.next()
		count := fmt.Sprint("F", r)
		if def.Worse != (rule.Shape == assessment.PerEvent) { // the cases that do not count are those that speak
			count = fmt.Sprintf("G%d-F%d", r, r)
		}
		var n, d, given any = 0, 0, 0
		if i < len(told_) {
			given = cached(told_[i].Points)
		}
		text := b.step(told(rule, count))
		n, d = formula{text: b.count(id, "G")}, formula{text: b.count(id, "H")}
		t.add(guarded(string(s.Unit)), guarded(string(s.Street)), part, string(rule.Indicator), def.Zh, n, d, nil, number(rule.Points.Fraction()), formula{text: text, value: given})
	}
	if first == t.next() {
		return "0"
	}
	return fmt.Sprintf("SUM('%s'!J%d:J%d)", sheetItems, first, t.next()-1)
}

// takeStandings writes what the streets together say of each unit, the year and the ranks.
func (b *book) takeStandings() {
	t, ss := &b.ranked, b.standings()
	b.earlier.heads("单位", "起", "止", "天数", "得分", "天数×得分")
	t.heads("单位", "名称", "类别", "各街道 S(u)", "下属机构均分", "街道评价", "公布值", "年内", "公布值", "其他部分", "年度总分", "公布值", "排序值（街道）", "街道评价名次", "排序值（年度）", "名次",
		"程序：街道评价", "程序：年内", "程序：年度", "程序：街道名次", "程序：名次", "核对", "标记",
		"Σv·S", "Σv", "年内合计", "年内份额")
	rows := map[orgs.UnitCode]int{}
	for i, s := range ss {
		rows[s.Unit] = i + 2
	}
	for _, s := range ss {
		b.standing(s, rows, 1+len(ss))
	}
}

func (b *book) standing(s *assessment.Standing, rows map[orgs.UnitCode]int, last int) {
	t, none := &b.ranked, `"`+assessment.None+`"`
	r := t.next()
	own, sum, weights := none, "0", "0"
	if of := b.scored[s.Unit]; of[0] > 0 {
		span := func(c string) string { return fmt.Sprintf("'%s'!%s%d:%s%d", sheetScores, c, of[0], c, of[1]) }
		sum, weights = fmt.Sprintf("SUM(%s)", span("S")), fmt.Sprintf("SUM(%s)", span("R"))
		if how, _ := b.answer(assessment.Aggregate); how == "trimmed" { // one highest, one lowest of five or more; where all are equal, none matters
			sum = fmt.Sprintf("IF(COUNT(%s)<5,%s,SUM(%s)-MAX(%s)-MIN(%s))", span("M"), sum, span("M"), span("M"), span("M"))
			weights = fmt.Sprintf("IF(COUNT(%s)<5,%s,COUNT(%s)-2)", span("M"), weights, span("M"))
		}
		own = fmt.Sprintf("IF(Y%d=0,%s,%s)", r, none, b.step(fmt.Sprintf("X%d/Y%d", r, r)))
	}
	agencies, streets := none, fmt.Sprint("D", r)
	if how, share := b.answer(assessment.Rollup); how == "mean" && s.Kind == orgs.Department {
		var of []string
		for _, u := range b.Results.Period.Units {
			if u.Kind == orgs.Agency && u.Parent == s.Unit && rows[u.Unit] > 0 {
				of = append(of, fmt.Sprint("F", rows[u.Unit]))
			}
		}
		if len(of) > 0 {
			list := strings.Join(of, ",")
			agencies = fmt.Sprintf("IF(COUNT(%s)=0,%s,SUM(%s)/COUNT(%s))", list, none, list, list)
			streets = fmt.Sprintf("IF(ISNUMBER(E%d),%s,D%d)", r, b.step(fmt.Sprintf("IF(ISNUMBER(D%d),(1-%s/100)*D%d+%s/100*E%d,E%d)", r, share, r, share, r, r)), r)
		}
	}
	year, yearSum, yearOf := b.year(s, r)
	annual := none
	if w := b.weights[s.Kind]; w != "" {
		rest := fmt.Sprintf("(1-%s/100)", w)
		if slices.ContainsFunc(b.Scheme.Subjects, func(x assessment.Subject) bool { return x.Kind == s.Kind && x.Sheet != 0 }) {
			rest = "1"
		}
		annual = fmt.Sprintf("IF(AND(ISNUMBER(H%d),ISNUMBER(J%d)),%s,%s)", r, r, b.step(fmt.Sprintf("%s/100*H%d+%s*J%d", w, r, rest, r)), none)
	}
	var other any = assessment.None
	if s.Other.Known {
		other = number(s.Other.Fraction)
	}
	// Sorted by a whole number: of what is printed, or of the exact value in units of the grain; −1 has no rank.
	on, _ := b.answer(assessment.RankOn)
	key := func(exact, printed string, v assessment.Value) any {
		text, f := fmt.Sprintf(`IF(ISNUMBER(%s),ROUND(%s*%s,0),-1)`, printed, printed, ten(b.Places)), v.Round(b.Places).Times(assessment.Of(100, 1))
		if on == "exact" {
			text, f = fmt.Sprintf(`IF(ISNUMBER(%s),ROUND(%s*%s,0),-1)`, exact, exact, ten(grain)), v.Round(grain)
		}
		if !v.Known {
			return formula{text: text, value: -1}
		}
		return formula{text: text, value: cached(f)}
	}
	rank := func(column, keys string, n int) any {
		want := ""
		if n > 0 {
			want = fmt.Sprint(n)
		}
		if !b.whole() { // the others are not shown
			return printed(want)
		}
		if b.weights[s.Kind] == "" {
			return ""
		}
		b.promises = append(b.promises, promise{t.name, fmt.Sprint(column, r), want})
		return formula{text: fmt.Sprintf(`IF(%s%d>=0,1+COUNTIFS($C$2:$C$%d,C%d,$%s$2:$%s$%d,">"&%s%d),"")`, keys, r, last, r, keys, keys, last, keys, r), value: printed(want)}
	}
	before := s.Streets // only what is shown where nothing computes
	t.add(guarded(string(s.Unit)), guarded(s.Name), string(s.Kind), b.value(own, before), formula{text: agencies, value: assessment.None}, b.value(streets, s.Streets),
		b.prints(t, "G", fmt.Sprint("F", r), s.Streets, s.Printed[0]), b.value(year, s.Year), b.prints(t, "I", fmt.Sprint("H", r), s.Year, s.Printed[1]),
		other, b.value(annual, s.Annual), b.prints(t, "L", fmt.Sprint("K", r), s.Annual, s.Printed[2]),
		key(fmt.Sprint("F", r), fmt.Sprint("G", r), s.Streets), rank("N", "M", s.StreetRank), key(fmt.Sprint("K", r), fmt.Sprint("L", r), s.Annual), rank("P", "O", s.Rank),
		styled{printed(s.Printed[0]), places}, styled{printed(s.Printed[1]), places}, styled{printed(s.Printed[2]), places}, ranked(s.StreetRank), ranked(s.Rank),
		formula{text: fmt.Sprintf(`IF(AND(G%d=Q%d,I%d=R%d,L%d=S%d,N%d=T%d,P%d=U%d),"√","×")`, r, r, r, r, r, r, r, r, r, r), value: "√"}, strings.Join(s.Flags, " "),
		formula{text: sum}, formula{text: weights}, formula{text: yearSum}, formula{text: yearOf})
}

func ranked(n int) any {
	if n == 0 {
		return ""
	}
	return n
}

// year is the formula of the year's periods up to this one, whose own score stands in F, with the sum and the shares that it divides (Z, AA);
// the earlier periods get rows of their own.
func (b *book) year(s *assessment.Standing, r int) (year, sum, of string) {
	now, none := fmt.Sprint("F", r), `"`+assessment.None+`"`
	how, _ := b.answer(assessment.YearMix)
	if b.Scheme.Every == assessment.Yearly {
		return now, now, "1"
	}
	t := &b.earlier
	first := t.next()
	for _, p := range b.Results.Period.Sealed {
		if p.Unit != s.Unit {
			continue
		}
		e := t.next()
		t.add(guarded(string(s.Unit)), p.First.String(), p.Last.String(), int64(p.Last-p.First)+1, number(p.Score), formula{text: fmt.Sprintf("D%d*E%d", e, e)})
	}
	had, last := t.next()-first, t.next()-1
	days := int64(b.Results.Period.Last-b.Results.Period.First) + 1
	worth, shares := "F", fmt.Sprintf("SUM('%s'!D%d:D%d)", sheetEarlier, first, last)
	if how == "mean" {
		worth, days, shares = "E", 1, fmt.Sprint(had)
	}
	sum, of = fmt.Sprintf("IF(ISNUMBER(%s),%d*%s,0)", now, days, now), fmt.Sprintf("IF(ISNUMBER(%s),%d,0)", now, days)
	if had > 0 {
		sum = fmt.Sprintf("SUM('%s'!%s%d:%s%d)+%s", sheetEarlier, worth, first, worth, last, sum)
		of = shares + "+" + of
	}
	switch {
	case how == "last" && had > 0:
		return fmt.Sprintf("IF(ISNUMBER(%s),%s,%s)", now, now, at(sheetEarlier, "E", last)), sum, of
	case how == "last":
		return now, sum, of
	}
	return fmt.Sprintf("IF(AA%d=0,%s,%s)", r, none, b.step(fmt.Sprintf("Z%d/AA%d", r, r))), sum, of
}

func (b *book) takeRequests() {
	t := &b.requested
	t.heads("类别", "编号", "案件", "指标", "理由／请求结果", "处理")
	for _, x := range b.Results.Period.Exclusions {
		var of []string
		for _, i := range x.Indicators {
			of = append(of, zh(i))
		}
		t.add("剔除", x.Number, guarded(b.caseName(x.Case)), cmp.Or(strings.Join(of, "、"), "全部"), string(x.Reason), string(x.Status))
	}
	for _, x := range b.Results.Period.Objections {
		t.add("申诉", x.Number, guarded(b.caseName(x.Case)), cmp.Or(zh(x.Indicator), "—"), string(x.Verdict), string(x.Status))
	}
	for _, n := range b.Notes {
		t.add("说明", nil, guarded(n))
	}
}

func caseName(c assessment.Case) string {
	name := string(c.Stream)
	if c.Leg > 0 {
		name += fmt.Sprint("/", c.Leg)
	}
	if c.Unit != "" {
		name += "/" + string(c.Unit)
	}
	return name
}

// file writes the sheets.
func (b *book) file() (_ *excelize.File, err error) {
	f := excelize.NewFile()
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	decimals := "0"
	if b.Places > 0 {
		decimals = "0." + strings.Repeat("0", b.Places)
	}
	styles := map[style]int{}
	for s, look := range []*excelize.Style{ // in order: the same workbook is the same bytes
		head:   {Font: &excelize.Font{Bold: true}, Fill: excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{"E8EEF4"}}},
		places: {CustomNumFmt: &decimals},
		title:  {Font: &excelize.Font{Bold: true, Size: 13}},
	} {
		if look == nil {
			continue
		}
		if styles[style(s)], err = f.NewStyle(look); err != nil {
			return nil, err
		}
	}
	for i, t := range []*table{&b.summary, &b.figureSheet, &b.items, &b.scoreSheet, &b.earlier, &b.ranked, &b.requested} {
		if len(t.rows) == 0 {
			continue
		}
		if i == 0 {
			err = f.SetSheetName("Sheet1", t.name)
		} else {
			_, err = f.NewSheet(t.name)
		}
		if err == nil {
			err = t.write(f, styles)
		}
		if err != nil {
			return nil, err
		}
	}
	compute := true
	if err = f.SetCalcProps(&excelize.CalcPropsOptions{FullCalcOnLoad: &compute}); err != nil {
		return nil, err
	}
	return f, nil
}

func (t *table) write(f *excelize.File, styles map[style]int) error {
	w, err := f.NewStreamWriter(t.name)
	if err != nil {
		return err
	}
	for i, width := range t.widths {
		if err := w.SetColWidth(i+1, i+1, width); err != nil {
			return err
		}
	}
	if t.name != sheetSummary {
		if err := w.SetPanes(&excelize.Panes{Freeze: true, YSplit: 1, TopLeftCell: "A2", ActivePane: "bottomLeft"}); err != nil {
			return err
		}
	}
	for i, row := range t.rows {
		cells := make([]any, len(row))
		for k, c := range row {
			switch x := c.(type) {
			case formula:
				cells[k] = excelize.Cell{Formula: x.text, Value: x.value, StyleID: styles[x.style]}
			case styled:
				cells[k] = excelize.Cell{Value: x.value, StyleID: styles[x.style]}
			case string:
				if x != "" {
					cells[k] = x
				}
			default:
				cells[k] = c
			}
		}
		if err := w.SetRow(fmt.Sprint("A", i+1), cells); err != nil {
			return err
		}
	}
	return w.Flush()
}
