package orgs

import (
	"fmt"
	"slices"
	"strings"
)

// Fault says what is wrong with a plan of grids.
type Fault string

// The faults, in the order in which a check tells them.
const (
	Unsurveyed Fault = "unsurveyed"  // nobody has told what there is to divide: the households can not be checked
	Outside    Fault = "outside"     // a stairwell lies in no active grid
	Twice      Fault = "twice"       // a stairwell lies in two
	Cut        Fault = "cut"         // a building is divided between grids
	Size       Fault = "size"        // an urban grid is outside the size band
	Miscounted Fault = "miscounted"  // a grid was drawn with another number of households than it has now
	Vacant     Fault = "vacant"      // a grid has no full-time lead, and nobody acts
	Covered    Fault = "covered"     // a grid has no full-time lead; somebody acts
	LeadShared Fault = "lead_shared" // one worker leads several urban grids of the community
)

// Severity says how much a fault weighs.
type Severity string

// The severities. Neither refuses anything: a check looks at what is so already.
const (
	Broken Severity = "error"   // the plan is no division: a household has no grid, or two
	Advice Severity = "warning" // the plan divides, but not as it should be
)

// Finding is one thing that a check found. It is about a grid, a building or a stairwell, or the whole plan.
type Finding struct {
	Fault    Fault
	Severity Severity
	Grid     GridCode  // "" = no grid in particular
	Block    BlockCode // "" = no building or stairwell in particular
	Zh, En   string
}

// Check looks a community's plan over (rules C10, C11, I8): every household in exactly one active grid, buildings
// whole, urban grids of a good size, each grid with its full-time lead. Findings come in the order of [Fault], then by
// code. A plan whose blocks were never surveyed is checked as far as it can be, and the first finding says so. That a
// grid has two leads can not be: the stream holds one.
func Check(s GridsState, band SizeBand) []Finding {
	var fs []Finding
	add := func(f Fault, weight Severity, g GridCode, b BlockCode, zh, en string) {
		fs = append(fs, Finding{Fault: f, Severity: weight, Grid: g, Block: b, Zh: zh, En: en})
	}
	active := slices.DeleteFunc(slices.Clone(s.Grids), func(g GridState) bool { return g.Retired })
	slices.SortFunc(active, func(a, b GridState) int { return strings.Compare(string(a.Drawn.Grid), string(b.Drawn.Grid)) })
	if s.Surveyed == "" {
		add(Unsurveyed, Advice, "", "", "楼栋、单元尚未登记，户数和区块无法核对", "the buildings have not been surveyed: households and blocks can not be checked")
	}
	holders := map[BlockCode][]GridCode{}
	for _, g := range active {
		for _, w := range g.Stairwells {
			holders[w] = append(holders[w], g.Drawn.Grid)
		}
	}
	for w := range s.stairwells {
		if len(holders[w.Code]) == 0 {
			add(Outside, Broken, "", w.Code, fmt.Sprintf("单元 %s（%d 户）不在任何网格", w.Code, w.Households),
				fmt.Sprintf("the stairwell %s with %d households lies in no grid", w.Code, w.Households))
		}
	}
	for w := range s.stairwells {
		if hs := holders[w.Code]; len(hs) > 1 {
			add(Twice, Broken, hs[1], w.Code, fmt.Sprintf("单元 %s 同时在网格 %s 和 %s", w.Code, hs[0], hs[1]),
				fmt.Sprintf("the stairwell %s lies both in the grid %s and in %s", w.Code, hs[0], hs[1]))
		}
	}
	for _, b := range s.Buildings {
		var among []GridCode
		for _, w := range b.Stairwells {
			for _, g := range holders[w.Code] {
				if !slices.Contains(among, g) {
					among = append(among, g)
				}
			}
		}
		if len(among) > 1 {
			slices.Sort(among)
			list := strings.Join(texts(among), "、")
			// A warning: a single large building can hold more households than the band of a grid, and then has to be cut.
			add(Cut, Advice, "", b.Code, fmt.Sprintf("楼栋 %s 分属网格 %s，区块不完整", b.Code, list),
				fmt.Sprintf("the building %s is divided between the grids %s", b.Code, strings.Join(texts(among), ", ")))
		}
	}
	for _, g := range active {
		if zh, en := SizeWarning(band, g.Drawn.Urban, s.Served(g)); zh != "" {
			add(Size, Advice, g.Drawn.Grid, "", fmt.Sprintf("%s：%s", g.Drawn.Grid, zh), fmt.Sprintf("%s: %s", g.Drawn.Grid, en))
		}
	}
	for _, g := range active {
		if has := s.Served(g); has != g.Drawn.Households {
			add(Miscounted, Advice, g.Drawn.Grid, "", fmt.Sprintf("网格 %s 划定时 %d 户，现有单元合计 %d 户", g.Drawn.Grid, g.Drawn.Households, has),
				fmt.Sprintf("the grid %s was drawn with %d households; its stairwells have %d", g.Drawn.Grid, g.Drawn.Households, has))
		}
	}
	for _, g := range active {
		if g.Lead == "" && g.Acting == "" {
			add(Vacant, Advice, g.Drawn.Grid, "", fmt.Sprintf("网格 %s 没有专职网格员，也无人代理", g.Drawn.Grid),
				fmt.Sprintf("the grid %s has no full-time lead, and nobody acts", g.Drawn.Grid))
		}
	}
	for _, g := range active {
		if g.Lead == "" && g.Acting != "" {
			add(Covered, Advice, g.Drawn.Grid, "", fmt.Sprintf("网格 %s 没有专职网格员，由他人代理", g.Drawn.Grid),
				fmt.Sprintf("the grid %s has no full-time lead; somebody acts", g.Drawn.Grid))
		}
	}
	first := map[string]GridCode{}
	for _, g := range active {
		if !g.Drawn.Urban || g.Lead == "" {
			continue
		}
		if other, shared := first[g.Lead]; shared {
			add(LeadShared, Advice, g.Drawn.Grid, "", fmt.Sprintf("网格 %s 与 %s 由同一人专职负责", g.Drawn.Grid, other),
				fmt.Sprintf("the grids %s and %s have the same full-time lead", g.Drawn.Grid, other))
			continue
		}
		first[g.Lead] = g.Drawn.Grid
	}
	return fs
}

// Served returns the households of a grid: of its stairwells by the last survey, or as counted when it was drawn if
// there was none.
func (s GridsState) Served(g GridState) int {
	if s.Surveyed == "" {
		return g.Drawn.Households
	}
	return s.Households(g.Stairwells)
}

func texts[T ~string](cs []T) []string {
	out := make([]string, len(cs))
	for i, c := range cs {
		out[i] = string(c)
	}
	return out
}
