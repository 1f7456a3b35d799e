package scheme

import (
	"slices"
	"strings"

	"gridcase/domain/assessment"
	"gridcase/domain/rule"
)

// sound refuses a scheme that the validator finds fault with (rule I10), and says every fault. A weight below its floor gives
// the refusal its code and comes first, with the share that was computed.
func sound(s assessment.Scheme) *rule.Refusal {
	faults := assessment.Validate(s)
	if len(faults) == 0 {
		return nil
	}
	low := func(f assessment.Fault) bool { return f.Code == string(rule.WeightBelowFloor) }
	slices.SortStableFunc(faults, func(a, b assessment.Fault) int {
		switch {
		case low(a) == low(b):
			return 0
		case low(a):
			return -1
		}
		return 1
	})
	var zh, en []string
	for _, f := range faults {
		zh, en = append(zh, f.Place+"："+f.Zh), append(en, f.Place+": "+f.En)
	}
	code := rule.GuardFailed
	if low(faults[0]) {
		code = rule.WeightBelowFloor
	}
	return rule.Refuse(code, "I10", strings.Join(zh, "；"), strings.Join(en, "; "))
}
