package assessment

import "slices"

// The indicators (§6).
const (
	Acceptance         Indicator = "acceptance"
	Dispatch           Indicator = "dispatch"
	SignOnTime         Indicator = "sign_on_time"
	Response           Indicator = "response"
	FirstContact       Indicator = "first_contact"
	Closure            Indicator = "closure"
	OnTime             Indicator = "on_time"
	OnTimeOriginal     Indicator = "on_time_original"
	Rework             Indicator = "rework"
	Extension          Indicator = "extension"
	Return             Indicator = "return"
	InvalidReturn      Indicator = "invalid_return"
	Misdispatch        Indicator = "misdispatch"
	FirstAccuracy      Indicator = "first_accuracy"
	CallbackRate       Indicator = "callback"
	Resolution         Indicator = "resolution"
	Satisfaction       Indicator = "satisfaction"
	ThreeRates         Indicator = "three_rates"
	ErrandResponse     Indicator = "errand_response"
	ErrandResolution   Indicator = "errand_resolution"
	ErrandSatisfaction Indicator = "errand_satisfaction"
	ReportIn           Indicator = "report_in"
	Mediation          Indicator = "mediation"
	Adoption           Indicator = "adoption"
	FastTrack          Indicator = "fast_track"
	Repeat             Indicator = "repeat"
	Exclusions         Indicator = "exclusions"
	SuspendedShare     Indicator = "suspended"
	UnreachedShare     Indicator = "unreached"
	LoadShare          Indicator = "load"
	Blocks             Indicator = "blocks"
	OrderCard          Indicator = "order_card"
	WhistleCard        Indicator = "whistle_card"
	OrderRating        Indicator = "order_rating"
)

// Measure is what the value of an indicator is.
type Measure string

// The measures.
const (
	Rate      Measure = "rate"      // in per cent
	Minutes   Measure = "minutes"   // median and 90th percentile
	Count     Measure = "count"     // a number of items
	Composite Measure = "composite" // of other rates, in per cent
	Points    Measure = "points"    // mean of points of 100
)

// Definition is one row of the table of indicators.
type Definition struct {
	Indicator Indicator
	Zh        string // as printed
	Measure   Measure
	Worse     bool   // more is worse
	N, D      string // the formula: numerator and denominator
	of        family
	home      bool // credited to where the case lies or who dispatched it, not to who handles it
}

// family is the kind of cases that an indicator counts.
type family uint8

const (
	ofLegs family = iota
	ofDemands
	ofSummonses
	ofDisputes
	ofTopics
	ofBlocks
	ofLoads
	families
	ofFigures family = 255 // of other indicators
)

// group returns which credits of a case count.
func (d Definition) group() int {
	if d.home {
		return toHome
	}
	return toHandler
}

// Definitions returns the table of indicators, in the order of the rule book.
func Definitions() []Definition {
	const (
		due   = "legs due in the period"
		went  = "legs dispatched to the unit in the period"
		taken = "demands accepted in the period"
		told  = "effective callbacks in the period"
	)
	return []Definition{
		{Acceptance, "立案率", Rate, false, "accepted, or answered on the spot", "demands raised in the period", ofDemands, true},
		{Dispatch, "派遣率", Rate, false, "with a dispatch", taken, ofDemands, true},
		{SignOnTime, "按时签收率", Rate, false, "signed, or a return asked, by the due instant", "legs with the signature due in the period", ofLegs, false},
		{Response, "响应率", Rate, false, "contacted by the due instant", "legs with the contact due in the period, where there was somebody to contact", ofLegs, false},
		{FirstContact, "首次联系时长", Minutes, true, "minutes from dispatch to contact", "legs with the contact due in the period that were contacted", ofLegs, false},
		{Closure, "结案率", Rate, false, "done by the cut-off and verified", due, ofLegs, false},
		{OnTime, "按期结案率", Rate, false, "done by the due instant and verified", due, ofLegs, false},
		{OnTimeOriginal, "原期限按期结案率", Rate, false, "done by the original due instant and verified", "legs with the original due instant in the period", ofLegs, false},
		{Rework, "返工率", Rate, true, "with a failed verification, a rework or a reopening", due, ofLegs, false},
		{Extension, "延期率", Rate, true, "with a granted extension", due, ofLegs, false},
		{Return, "退单率", Rate, true, "with a request to return", went, ofLegs, false},
		{InvalidReturn, "无效退单率", Rate, true, "with a refused request to return", went, ofLegs, false},
		{Misdispatch, "误派率", Rate, true, "with an approved return", "legs dispatched by the unit in the period", ofLegs, true},
		{FirstAccuracy, "一次派准率", Rate, false, "without an approved return", "first legs dispatched by the unit in the period", ofLegs, true},
		{CallbackRate, "回访率", Rate, false, "reached", "demands with the callback due in the period, less anonymous ones and those that asked not to be called", ofDemands, false},
		{Resolution, "解决率", Rate, false, "resolved", told, ofDemands, false},
		{Satisfaction, "满意率", Rate, false, "satisfied", told, ofDemands, false},
		{ThreeRates, "三率综合", Composite, false, "0.30 response + 0.35 resolution + 0.35 satisfaction", "", ofFigures, false},
		{ErrandResponse, "帮办响应率", Rate, false, "contacted by the due instant", "errands with the contact due in the period", ofLegs, false},
		{ErrandResolution, "帮办解决率", Rate, false, "resolved", "effective callbacks on errands in the period", ofDemands, false},
		{ErrandSatisfaction, "帮办满意率", Rate, false, "satisfied", "effective callbacks on errands in the period", ofDemands, false},
		{ReportIn, "报到率", Rate, false, "in on time", "units summoned by whistles with the due instant in the period, less excused ones", ofSummonses, false},
		{Mediation, "调解成功率", Rate, false, "became agreed", "disputes accepted at least once that ended in the period", ofDisputes, false},
		{Adoption, "采纳率", Rate, false, "adopted", "topics adopted or rejected in the period", ofTopics, true},
		{FastTrack, "直办率", Rate, false, "fast-tracked, or answered on the spot", taken, ofDemands, true},
		{Repeat, "重复诉求率", Rate, true, "of the same matter as one raised at most 90 days before, reopened or resubmitted", taken, ofDemands, true},
		{Exclusions, "剔除率", Rate, true, "left out on request", "legs due in the period and those left out on request", ofLegs, false},
		{SuspendedShare, "挂账率", Rate, true, "suspended at the end of the period", "legs due in the period and those suspended", ofLegs, false},
		{UnreachedShare, "未联系上率", Rate, true, "not reached", "effective callbacks in the period and demands not reached", ofDemands, false},
		{LoadShare, "承担事项", Rate, true, "matters a community may be asked to bear on the last day", "matters it could be asked to bear on the base day", ofLoads, true},
		{Blocks, "准入拦截数", Count, false, "dispatches the gate blocked in the period", "", ofBlocks, true},
		{OrderCard, "一件一考核", Points, false, "points of the cards", "legs that ended in the period", ofLegs, false},
		{WhistleCard, "一哨一考核", Points, false, "points of the cards", "summonses of whistles that ended in the period", ofSummonses, false},
		{OrderRating, "一件一评", Points, false, "points the street gave", "rated legs of orders closed in the period", ofLegs, false},
	}
}

// Define returns the row of an indicator, false if there is none.
func Define(i Indicator) (Definition, bool) {
	defs := Definitions()
	at := slices.IndexFunc(defs, func(d Definition) bool { return d.Indicator == i })
	if at < 0 {
		return Definition{}, false
	}
	return defs[at], true
}
