package assessment

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// The choices. Each is a place where the rules can be read in more than one way; a scheme says how it reads them.
const (
	FloorInclusive  Name = "floor.inclusive"
	WeightMeaning   Name = "weight.meaning"
	Aggregate       Name = "aggregate"
	RateScope       Name = "rate.scope"
	MinSample       Name = "min_sample"
	NoCase          Name = "no_case"
	EmptyItem       Name = "empty_item"
	CountUnit       Name = "count.unit"
	Attribute       Name = "attribute"
	UnreachedAs     Name = "unreached.as"
	SatisfactionMap Name = "satisfaction.map"
	ResponseEvent   Name = "response.event"
	ContactScope    Name = "contact.scope"
	ExtensionDue    Name = "extension.due"
	TimelyInstant   Name = "timely.instant"
	SuspendedAs     Name = "suspended.as"
	FrozenCap       Name = "frozen.cap"
	PendingAs       Name = "pending.as"
	CancelledAs     Name = "cancelled.as"
	Credit          Name = "credit"
	TeamCredit      Name = "team.credit"
	Rollup          Name = "rollup"
	AsOf            Name = "as_of"
	LateFact        Name = "late_fact"
	ReopenAfterSeal Name = "reopen.after_seal"
	Rounding        Name = "rounding"
	Errands         Name = "errands"
	AnonymousAs     Name = "anonymous"
	ProxyAs         Name = "proxy"
	Rerate          Name = "rerate"
	ObjMode         Name = "obj.mode"
	SubjCaseShare   Name = "subj.case_share"
	RankOn          Name = "rank.on"
	YearMix         Name = "year.mix"
)

// Choice is a question that the rules leave open, with the answers that a scheme may give.
type Choice struct {
	Name    Name
	Zh, En  string // the question
	Default string
	Answers []Answer // the default's first
}

// Answer is one of the values of a choice: a word, a word with a number ("flag:10"), or a number alone ("5").
type Answer struct {
	Word     string  // "" is a number alone
	Min, Max Decimal // of the number; both 0: it takes none
	Places   int     // of the number
	Zh, En   string
}

// numbered reports whether the answer takes a number.
func (a Answer) numbered() bool { return a.Max != 0 }

// String returns the form of the answer: "flag:<0…100>".
func (a Answer) String() string {
	if !a.numbered() {
		return a.Word
	}
	form := "<" + a.Min.String() + "…" + a.Max.String() + ">"
	if a.Word == "" {
		return form
	}
	return a.Word + ":" + form
}

// parse reads a value as this answer.
func (a Answer) parse(value string) (Decimal, bool) {
	text := value
	if a.Word != "" {
		word, number, given := strings.Cut(value, ":")
		if word != a.Word || given != a.numbered() {
			return 0, false
		}
		if !given {
			return 0, true
		}
		text = number
	}
	n, err := ParseDecimal(text)
	step := Decimal(powerOfTen(4 - a.Places))
	return n, err == nil && n >= a.Min && n <= a.Max && n%step == 0 && n.String() == text
}

// Choices returns every choice, in the order of the rule book (§8).
func Choices() []Choice {
	word := func(w, zh, en string) Answer { return Answer{Word: w, Zh: zh, En: en} }
	number := func(w string, lo, hi Decimal, places int, zh, en string) Answer {
		return Answer{Word: w, Min: lo, Max: hi, Places: places, Zh: zh, En: en}
	}
	hundred, one := Whole(100), Whole(1)
	return []Choice{
		{FloorInclusive, "“以上”是否包括本数", "does “20 % or more” include 20 %?", "yes", []Answer{
			word("yes", "包括", "it does"), word("no", "不包括", "it does not")}},
		{WeightMeaning, "权重是什么的权重", "weight of what?", "attainable", []Answer{
			word("attainable", "占可得总分的比例", "the share of the attainable points"), word("nominal", "名义权重", "the weight as written")}},
		{Aggregate, "各街道评分如何合成", "how do streets combine?", "equal", []Answer{
			word("equal", "各街道等权", "each street alike"), word("orders", "按应结案件数", "by the legs due"),
			word("households", "按户数", "by households"), word("grids", "按网格数", "by grids"),
			word("trimmed", "五个以上街道时去掉一个最高分、一个最低分", "alike, without one highest and one lowest of five or more")}},
		{RateScope, "街道评价哪些单位", "which units does a street rate?", "own", []Answer{
			word("own", "本区职能部门、派驻本街道的机构、本期为其办过件的单位", "its district's departments, the agencies it hosts, and any unit that served it"),
			word("served", "仅本期为其办过件的单位", "only units that served it"),
			word("with_bureaus", "另加市级部门", "the city's bureaus too")}},
		{MinSample, "案件太少时，几件以下不计客观分", "fewer cases than this give no objective score", "5", []Answer{
			number("", 0, Whole(10_000), 0, "件数", "cases")}},
		{NoCase, "案件太少时怎样计分", "too few cases?", "form", []Answer{
			word("form", "只按评价表，并注明", "the form alone, flagged"), word("not_assessed", "该街道不计", "the street does not count"),
			number("neutral", 0, hundred, 2, "客观分按此分计", "the objective score is this"), word("full", "客观分按满分计", "the objective score is full marks")}},
		{EmptyItem, "某项没有案件时怎样计分", "an empty cohort?", "drop", []Answer{
			word("drop", "不计该项，其余折算", "the item drops out, the rest are scaled"),
			number("neutral", 0, hundred, 2, "按该项满分的百分之几计", "so many per cent of its points"), word("full", "按满分计", "full points")}},
		{CountUnit, "按什么计数", "what is counted?", "own", []Answer{
			word("own", "时效按派单、满意和解决按诉求、采纳按议题", "timeliness by leg, satisfaction and resolution by demand, adoption by topic"),
			word("demand", "一律按诉求", "all by demand")}},
		{Attribute, "计入哪一期", "which period?", "due", []Answer{
			word("due", "时效按到期日，满意和解决按回访日", "timeliness by due, satisfaction by callback"),
			word("filed", "按提出、派单之日", "by the day of filing"), word("closed", "按办结之日", "by the day of closing")}},
		{UnreachedAs, "回访未联系上怎样计", "callback not reached?", "out", []Answer{
			word("out", "不计，并列明", "left out, and listed"), number("neutral", 0, one, 4, "按此值计", "counts so much"),
			word("satisfied", "计为满意", "counts as satisfied"), word("unsatisfied", "计为不满意", "counts as not satisfied")}},
		{SatisfactionMap, "“一般”算不算满意（五级至一级各计多少）", "is grade 3 satisfied? What grades 5 … 1 count", "1,1,1,0,0", []Answer{
			word("1,1,1,0,0", "算", "it is"), word("1,1,0.6,0,0", "算六成", "six tenths of it")}},
		{ResponseEvent, "什么算响应", "what is a response?", "first_contact", []Answer{
			word("first_contact", "首次联系诉求人", "the first contact"), word("signature", "签收", "the signature")}},
		{ContactScope, "一单多个诉求时联系谁", "contact with whom of several?", "any", []Answer{
			word("any", "任一诉求人", "any attached demand"), word("every", "每个诉求人", "every attached demand")}},
		{ExtensionDue, "延期后按哪个期限", "judged on which due?", "extended", []Answer{
			word("extended", "延期后的期限，原期限另列", "the extended one, the original beside it"), word("original", "原期限", "the original one")}},
		{TimelyInstant, "何时算办结", "which instant is “done”?", "passed_report", []Answer{
			word("passed_report", "核查通过的那次反馈", "the report that passed"), word("first_report", "首次反馈", "the first report"),
			word("verified", "核查通过之时", "the verification"), word("closed", "结案之时", "the closing")}},
		{SuspendedAs, "期末挂账怎样计", "suspended at the period's end?", "out", []Answer{
			word("out", "不计入应结案，并列明", "not due, and listed"), word("overdue", "计为逾期", "counts as overdue")}},
		{FrozenCap, "挂账超过应结案的百分之几", "more suspended than so many per cent of those due?", "flag:10", []Answer{
			number("flag", 0, hundred, 2, "注明", "flagged"), number("overdue", 0, hundred, 2, "超过部分计为逾期", "those over it count as overdue")}},
		{PendingAs, "截止时未核查怎样计", "unverified at the cut-off?", "next", []Answer{
			word("next", "计入下一期", "counts in the next period"), word("passed", "视为通过", "taken as passed"), word("not_done", "计为未办", "counts as not done")}},
		{CancelledAs, "撤单怎样计", "cancelled?", "out", []Answer{
			word("out", "不计，并列明", "left out, and listed"), word("in", "计入", "it counts")}},
		{Credit, "多个单位承办算谁的", "several units on an order?", "lead", []Answer{
			word("lead", "只算主办单位", "the lead alone"), number("split", 0, hundred, 2, "主办单位占百分之几，其余协办单位均分", "so many per cent to the lead, the rest to the co-units alike"),
			word("each", "各单位都算一件", "one for each")}},
		{TeamCredit, "综合执法队承办算谁的", "a joint team's?", "member", []Answer{
			word("member", "主管的成员机构", "the competent member agency"), word("team", "执法队", "the team")}},
		{Rollup, "派驻机构是否计入派出部门", "a department's agencies?", "none", []Answer{
			word("none", "不计入", "not rolled up"), number("mean", 0, hundred, 2, "其平均分占部门得分的百分之几", "their mean is so many per cent of its score")}},
		{AsOf, "区划调整后怎样汇总", "re-divided places?", "as_was", []Answer{
			word("as_was", "按当时", "as they were"), word("as_is_beside", "按当时，另按现在列出", "as they were, and as they are beside it")}},
		{LateFact, "截止后才记录的事实", "a fact recorded after the cut-off?", "next", []Answer{
			word("next", "计入下一期并注明", "counts in the next period, with a note"), word("revision", "作修订", "makes a revision")}},
		{ReopenAfterSeal, "封存后重办", "reopened after the seal?", "next", []Answer{
			word("next", "计入下一期的新一轮", "a new round in the next period"), word("revision", "作修订", "makes a revision")}},
		{Rounding, "何时取舍、几位小数", "when, and to how many places?", "once:2", []Answer{
			number("once", 0, Whole(4), 0, "公布时一次四舍五入", "half up, once, when printed"),
			number("each_step", 0, Whole(4), 0, "每一步都四舍五入", "half up at every printed step")}},
		{Errands, "三率是否含帮办代办", "errands in the three rates?", "own_line", []Answer{
			word("own_line", "单列，不进综合", "on a line of their own"), word("included", "计入", "included")}},
		{AnonymousAs, "匿名诉求", "anonymous demands?", "kept", []Answer{
			word("kept", "计入，不回访", "kept, without a callback"), word("left_out", "不计", "left out")}},
		{ProxyAs, "代为提出的诉求", "demands raised on behalf?", "kept", []Answer{
			word("kept", "计入，回访本人", "kept, the resident is called"), word("left_out", "不计", "left out")}},
		{Rerate, "诉求人改变评价", "a changed grade?", "last", []Answer{
			word("last", "以截止前最后一次为准", "the last before the cut-off"), word("first", "以首次为准", "the first")}},
		{ObjMode, "客观分来自比率还是评分卡", "objective part from rates or cards?", "rates", []Answer{
			word("rates", "各项比率", "rates"), word("cards", "评分卡平均", "the mean of the cards")}},
		{SubjCaseShare, "一件一评占主观分的比例", "share of the ratings per case in the subjective part", "0", []Answer{
			number("", 0, one, 4, "0 至 1", "0 to 1")}},
		{RankOn, "按什么排名", "ranked on what?", "printed", []Answer{
			word("printed", "公布的得分", "the printed score"), word("exact", "未取舍的得分", "the exact score")}},
		{YearMix, "各期怎样合成年度", "periods into a year?", "days", []Answer{
			word("days", "按天数加权", "by days"), word("mean", "平均", "their mean"), word("last", "以最后一期为准", "the last one")}},
	}
}

// answered reads a value of the choice. The word is "" for a number alone.
func (c Choice) answered(value string) (word string, number Decimal, ok bool) {
	for _, a := range c.Answers {
		if n, ok := a.parse(value); ok {
			return a.Word, n, true
		}
	}
	return "", 0, false
}

// forms lists the answers for a sentence.
func (c Choice) forms() string {
	var fs []string
	for _, a := range c.Answers {
		fs = append(fs, a.String())
	}
	return strings.Join(fs, ", ")
}

// Defaults returns the default value of every choice.
func Defaults() map[Name]string {
	m := map[Name]string{}
	for _, c := range Choices() {
		m[c.Name] = c.Default
	}
	return m
}

// rules are the choices of a scheme, read.
type rules map[Name]chosen

type chosen struct {
	word   string
	number Decimal
}

// read returns the choices of a scheme; the error names the first that has no value, an unknown name or an unknown value.
func read(values map[Name]string) (rules, error) {
	rs := rules{}
	for _, c := range Choices() {
		word, n, ok := c.answered(values[c.Name])
		if !ok {
			return nil, fmt.Errorf("choice %s: %s is none of %s", c.Name, strconv.Quote(values[c.Name]), c.forms())
		}
		rs[c.Name] = chosen{word, n}
	}
	for name := range values {
		if _, known := rs[name]; !known {
			return nil, fmt.Errorf("there is no choice %q", name)
		}
	}
	return rs, nil
}

// is reports whether a choice was answered with the word.
func (rs rules) is(n Name, word string) bool { return rs[n].word == word }

// grades returns what the grades 1 … 5 count; index 0 is not used.
func grades(value string) [6]Fraction {
	var g [6]Fraction
	ws := strings.Split(value, ",")
	slices.Reverse(ws)
	for i, w := range ws {
		d, _ := ParseDecimal(w)
		g[i+1] = d.Fraction()
	}
	return g
}
