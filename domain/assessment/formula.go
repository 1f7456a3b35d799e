package assessment

// Formula is what an indicator divides by what, in words.
type Formula struct{ N, D string }

// Formula returns the formula in Chinese and English. Where there is nothing to divide by, D is empty.
func (d Definition) Formula() (zh, en Formula) { return formulas[d.Indicator], Formula{d.N, d.D} }

var formulas = map[Indicator]Formula{
	Acceptance:         {"已受理或当场答复的诉求", "周期内提出的诉求"},
	Dispatch:           {"已派单的诉求", "周期内受理的诉求"},
	SignOnTime:         {"按时签收或按时申请退单的办题单", "签收期限在周期内的办题单"},
	Response:           {"按时联系的办题单", "联系期限在周期内且有人可联系的办题单"},
	FirstContact:       {"自派单至首次联系的分钟数", "联系期限在周期内且已联系的办题单"},
	Closure:            {"截止前办结并通过核查的办题单", "办理期限在周期内的办题单"},
	OnTime:             {"期限内办结并通过核查的办题单", "办理期限在周期内的办题单"},
	OnTimeOriginal:     {"原期限内办结并通过核查的办题单", "原办理期限在周期内的办题单"},
	Rework:             {"核查未通过、返工或重新提出的办题单", "办理期限在周期内的办题单"},
	Extension:          {"获准延期的办题单", "办理期限在周期内的办题单"},
	Return:             {"申请退单的办题单", "周期内派给该单位的办题单"},
	InvalidReturn:      {"退单被驳回的办题单", "周期内派给该单位的办题单"},
	Misdispatch:        {"退单获准的办题单", "周期内由该单位派出的办题单"},
	FirstAccuracy:      {"未发生获准退单的办题单", "周期内由该单位首次派出的办题单"},
	CallbackRate:       {"已联系上的诉求", "回访期限在周期内的诉求，不含匿名和免打扰"},
	Resolution:         {"回访认为已解决的诉求", "周期内有效回访的诉求"},
	Satisfaction:       {"回访满意的诉求", "周期内有评分的有效回访"},
	ThreeRates:         {"0.30 响应率 + 0.35 解决率 + 0.35 满意率", ""},
	ErrandResponse:     {"按时联系的帮办事项", "联系期限在周期内的帮办事项"},
	ErrandResolution:   {"回访认为已解决的帮办事项", "周期内有效回访的帮办事项"},
	ErrandSatisfaction: {"回访满意的帮办事项", "周期内有评分的帮办有效回访"},
	ReportIn:           {"按时报到的单位", "报到期限在周期内的被召集单位，不含准予免到"},
	Mediation:          {"达成协议的纠纷", "周期内终结且曾受理的纠纷"},
	Adoption:           {"采纳的议题", "周期内采纳或不采纳的议题"},
	FastTrack:          {"直办或当场答复的诉求", "周期内受理的诉求"},
	Repeat:             {"与 90 日内同一事项、重新提出或重复提交的诉求", "周期内受理的诉求"},
	Exclusions:         {"经申请剔除的办题单", "办理期限在周期内的办题单和剔除的办题单"},
	SuspendedShare:     {"期末挂账的办题单", "办理期限在周期内的办题单和挂账的办题单"},
	UnreachedShare:     {"未联系上的诉求", "周期内有效回访和未联系上的诉求"},
	LoadShare:          {"末日可要求社区承担的事项", "基准日可要求社区承担的事项"},
	Blocks:             {"周期内被准入拦截的派单", ""},
	OrderCard:          {"一件一考核得分之和", "周期内终结的办题单"},
	WhistleCard:        {"一哨一考核得分之和", "周期内终结的被召集单位"},
	OrderRating:        {"街道评分之和", "周期内结案且经街道评分的办题单"},
}
