package rule

import (
	"fmt"
	"slices"

	"gridcase/domain/calendar"
	"gridcase/domain/orgs"
)

// MayDispatch says whether the actor may give an order to lead (rule O1): a clerk to the grids of the own
// community; a street's dispatcher to grids, communities, agencies, joint teams, property firms, social
// organisations and teams in the street; a district's to its departments and utilities; the city's to
// bureaus and districts. The process manager dispatches what a person decided before.
func MayDispatch(at At, lead orgs.UnitCode) *Refusal {
	target, known := at.Units.Unit(lead)
	if !known || target.Closed {
		return Refuse(GuardFailed, "O1", fmt.Sprintf("承办单位 %s 不存在或已撤销", lead),
			fmt.Sprintf("the lead unit %s does not exist or is closed", lead))
	}
	if at.Actor.Role == orgs.System {
		return nil
	}
	home, _ := at.Units.Unit(at.Actor.Unit)
	var kinds []orgs.Kind
	switch {
	case at.Actor.Role == orgs.Clerk && home.Kind == orgs.Community:
		kinds = []orgs.Kind{orgs.Grid}
	case at.Actor.Role == orgs.CommunitySecretary && home.Kind == orgs.Community:
		kinds = []orgs.Kind{orgs.Grid}
	case at.Actor.Role == orgs.Dispatcher && home.Kind == orgs.Street:
		kinds = []orgs.Kind{orgs.Grid, orgs.Community, orgs.Agency, orgs.JointTeam, orgs.Property, orgs.SocialOrg, orgs.Team}
	case at.Actor.Role == orgs.Dispatcher && home.Kind == orgs.District:
		kinds = []orgs.Kind{orgs.Department, orgs.Utility}
	case at.Actor.Role == orgs.Dispatcher && home.Kind == orgs.City:
		kinds = []orgs.Kind{orgs.Bureau, orgs.District}
	default:
		return Refuse(RoleMissing, "O1", fmt.Sprintf("%s 的%s不能派单", at.Actor.Unit, RoleWord(at.Actor.Role)),
			fmt.Sprintf("a %s of %s may not dispatch", at.Actor.Role, at.Actor.Unit))
	}
	if !slices.Contains(kinds, target.Kind) {
		return Refuse(GuardFailed, "O1", fmt.Sprintf("%s不能派给 %s 类单位", RoleWord(at.Actor.Role), target.Kind),
			fmt.Sprintf("a %s of a %s may not dispatch to a %s", at.Actor.Role, home.Kind, target.Kind))
	}
	if !at.Units.Within(lead, at.Actor.Unit) {
		return Refuse(OutsideJuris, "O1", fmt.Sprintf("%s 不在 %s 辖区内", lead, at.Actor.Unit),
			fmt.Sprintf("%s lies outside the jurisdiction of %s", lead, at.Actor.Unit))
	}
	return nil
}

// PassGate asks the gate (rule I7) whether the matter may be loaded on the unit, as of the local date of the decision.
func PassGate(at At, unit orgs.UnitCode, matter string, lead bool) *Refusal {
	target, known := at.Units.Unit(unit)
	if !known || at.Gate == nil {
		return nil
	}
	if target.Kind != orgs.Community && target.Kind != orgs.Grid && target.Kind != orgs.Street {
		return nil
	}
	b := at.Gate.Check(target, matter, lead, calendar.DateOf(at.Recorded))
	if b == nil {
		return nil
	}
	block := *b
	block.Unit, block.Matter, block.Lead = unit, matter, lead
	if block.Target == "" {
		block.Target = unit
	}
	words := block.words()
	r := Refuse(GateBlocked, "I7", words.Zh, words.En)
	r.Block = &block
	return r
}
