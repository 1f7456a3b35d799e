// Package orgs knows the city's organisation: units and their levels, jurisdictions, grids and posts.
//
// Units form one tree by where they sit: a grid in its community, a community in its street, an agency in
// its host street, a department in its district. A [Tree] is one immutable picture of it, handed to the
// rules as a fact. Units and grids are facts of the log: [UnitOpened], [GridDrawn] and their kin.
package orgs

import "strings"

// UnitCode names a unit for ever: the statistical division code for places (6 county, 9 street,
// 12 community, 15 grid digits), and for other bodies the code of the unit that hosts them, a hyphen and a
// short name, such as "150105-d03". At most 40 characters of [0-9a-z-]. Codes are never reused.
type UnitCode string

// GridCode is the 15-digit code of a grid: its community's 12 digits and a serial. "" means not known.
type GridCode string

// Unit returns the code of the grid as a unit that can hold an order.
func (g GridCode) Unit() UnitCode { return UnitCode(g) }

// Community returns the code of the community the grid was drawn in, "" for the unknown grid.
func (g GridCode) Community() UnitCode {
	if len(g) != 15 {
		return ""
	}
	return UnitCode(g[:12])
}

// Valid reports whether the code has the form of a grid code; it says nothing about whether the grid exists.
func (g GridCode) Valid() bool { return len(g) == 15 && digits(string(g)) }

// Valid reports whether the code has the form of a unit code.
func (u UnitCode) Valid() bool {
	if len(u) == 0 || len(u) > 40 {
		return false
	}
	for _, c := range u {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && c != '-' {
			return false
		}
	}
	return true
}

func digits(s string) bool { return strings.Trim(s, "0123456789") == "" }

// Kind is what a unit is.
type Kind string

// The kinds of units.
const (
	City       Kind = "city"       // 市
	Bureau     Kind = "bureau"     // 市级部门
	District   Kind = "district"   // 区、县、旗
	Department Kind = "department" // 职能部门: a district's functional department
	Street     Kind = "street"     // 街道、镇、乡
	Agency     Kind = "agency"     // 派驻机构: dispatched by a department, hosted by a street
	Community  Kind = "community"  // 社区、村
	Grid       Kind = "grid"       // 网格
	JointTeam  Kind = "joint_team" // 综合执法队
	Centre     Kind = "centre"     // 综治、调解中心
	Utility    Kind = "utility"    // 公用企业
	Property   Kind = "property"   // 物业企业
	SocialOrg  Kind = "social_org" // 社会组织
	Team       Kind = "team"       // 志愿队、代办队
	Hotline    Kind = "hotline"    // 热线中心
	Oversight  Kind = "oversight"  // 考评、督查、核查机构
)

// Kinds lists all kinds, from the city down.
func Kinds() []Kind {
	return []Kind{City, Bureau, District, Department, Street, Agency, Community, Grid, JointTeam, Centre,
		Utility, Property, SocialOrg, Team, Hotline, Oversight}
}

// Level is a level of government that a matter can reach: 1 grid, 2 community, 3 street, 4 district, 5 city.
type Level int

// Level returns the level of a kind, 0 for kinds that take the level of the unit that hosts them.
func (k Kind) Level() Level {
	switch k {
	case Grid:
		return 1
	case Community:
		return 2
	case Street, Agency:
		return 3
	case District, Department:
		return 4
	case City, Bureau:
		return 5
	}
	return 0
}

// Role is what a person, or a program, acts as at a unit; its rights reach that unit's subtree.
type Role string

// The roles.
const (
	Resident           Role = "resident"            // 居民
	StairwellHead      Role = "stairwell_head"      // 单元长
	BuildingHead       Role = "building_head"       // 楼栋长
	GridWorker         Role = "grid_worker"         // 专职网格员
	GridSecretary      Role = "grid_secretary"      // 网格党支部书记
	Clerk              Role = "clerk"               // 社区工作者
	CommunitySecretary Role = "community_secretary" // 社区书记
	Convenor           Role = "convenor"            // 议事召集人
	Dispatcher         Role = "dispatcher"          // 指挥调度
	StreetLeader       Role = "street_leader"       // 街道负责人
	Handler            Role = "handler"             // 承办人
	UnitHead           Role = "unit_head"           // 单位负责人
	Mediator           Role = "mediator"            // 调解员
	Verifier           Role = "verifier"            // 核查员
	CallbackAgent      Role = "callback_agent"      // 回访员
	Supervisor         Role = "supervisor"          // 督查
	Arbiter            Role = "arbiter"             // 区级裁定
	AdmissionOfficer   Role = "admission_officer"   // 准入办
	Evaluator          Role = "evaluator"           // 考评办
	Auditor            Role = "auditor"             // 审计
	PrivacyOfficer     Role = "privacy_officer"     // 数据保护
	Channel            Role = "channel"             // 渠道接口
	Operator           Role = "operator"            // 系统运维: opens units, draws grids; decides no case
	System             Role = "system"              // the process manager and the clock
)

// Roles lists all roles a key can be made for; [System] is not among them.
func Roles() []Role {
	return []Role{Resident, StairwellHead, BuildingHead, GridWorker, GridSecretary, Clerk, CommunitySecretary,
		Convenor, Dispatcher, StreetLeader, Handler, UnitHead, Mediator, Verifier, CallbackAgent, Supervisor,
		Arbiter, AdmissionOfficer, Evaluator, Auditor, PrivacyOfficer, Channel, Operator}
}

// Leads reports whether the role leads the unit it is held at: its leader in the words of the rules.
func (r Role) Leads() bool { return r == StreetLeader || r == CommunitySecretary || r == UnitHead }
