package rule

import "gridcase/domain/orgs"

// The words of the glossary for roles and states, as Chinese sentences name them: stored words are for programs. A test holds them against
// docs/glossary.md.
var (
	roleWords = map[orgs.Role]string{
		orgs.Resident:           "居民",
		orgs.StairwellHead:      "单元长",
		orgs.BuildingHead:       "楼栋长",
		orgs.GridWorker:         "专职网格员",
		orgs.GridSecretary:      "网格党支部书记",
		orgs.Clerk:              "社区工作者",
		orgs.CommunitySecretary: "社区书记",
		orgs.Convenor:           "议事召集人",
		orgs.Dispatcher:         "指挥调度",
		orgs.StreetLeader:       "街道负责人",
		orgs.Handler:            "承办人",
		orgs.UnitHead:           "单位负责人",
		orgs.Mediator:           "调解员",
		orgs.Verifier:           "核查员",
		orgs.CallbackAgent:      "回访员",
		orgs.Supervisor:         "督查",
		orgs.Arbiter:            "区级裁定",
		orgs.AdmissionOfficer:   "准入办",
		orgs.Evaluator:          "考评办",
		orgs.Auditor:            "审计",
		orgs.PrivacyOfficer:     "数据保护",
		orgs.Channel:            "渠道接口",
		orgs.Operator:           "系统运维",
		orgs.System:             "系统",
	}
	stateWords = map[string]map[string]string{ // by machine, then by state
		"demand":    {"raised": "已点题", "accepted": "已受理", "in_topic": "议题中", "in_handling": "办题中", "answered": "已答复", "closed": "已办结", "declined": "不予受理", "redirected": "已转出", "withdrawn": "已撤回"},
		"topic":     {"proposed": "拟题", "deliberating": "议事中", "voting": "表决中", "deferred": "缓议", "adopted": "已采纳", "handling": "议题办理中", "concluded": "已公示办结", "rejected": "不采纳", "merged": "已并题", "dropped": "撤题"},
		"order":     {"dispatched": "待签收", "signed": "已签收", "handling": "办理中", "return_pending": "退单待审", "returned": "待重派", "suspended": "已挂账", "reported": "待核查", "verified": "已核查", "closed": "已结案", "cancelled": "已撤单"},
		"dispute":   {"opened": "待调解", "mediating": "调解中", "agreed": "已达成协议", "failed": "未调成", "fulfilled": "协议已履行", "referred_out": "已转外部", "ended": "纠纷已撤回"},
		"whistle":   {"open": "吹哨中", "on_site": "处置中", "concluded": "已了结", "scored": "已评价", "cancelled": "已撤哨"},
		"admission": {"requested": "已申请", "reviewing": "审查中", "granted": "已准入", "refused": "未获准入", "withdrawn": "申请已撤回", "revoked": "准入已撤销", "expired": "准入已到期"},
	}
)

// RoleWord is a role in the words of the people who hold it (中文); what has none is said as it is stored.
func RoleWord(r orgs.Role) string {
	if w, known := roleWords[r]; known {
		return w
	}
	return string(r)
}

// StateWord is a state of a machine in the words of a street office (中文); what has none is said as it is stored.
func StateWord(machine, state string) string {
	if w, known := stateWords[machine][state]; known {
		return w
	}
	return state
}
