package city

import (
	_ "embed"
	"fmt"
	"strings"

	"gridcase/domain/orgs"
)

// Division is a county of the city with what lies in it, as the statistical division codes have it.
type Division struct {
	Code    orgs.UnitCode
	Name    string
	Streets []DividedStreet // in code order
}

// DividedStreet is a street, town, township or development zone with its community-level units.
type DividedStreet struct {
	Code        orgs.UnitCode
	Name        string
	Communities []DividedCommunity // in code order
}

// DividedCommunity is a community-level unit: a residents' committee, a village, or a farm area.
type DividedCommunity struct {
	Code orgs.UnitCode
	Name string
	Form Form
}

// Form is what a community-level unit is, by its name.
type Form string

// The forms.
const (
	Committee Form = "committee" // 居委会: its grids are urban
	Village   Form = "village"   // 村
	Other     Form = "other"     // farm areas
)

// formOf reads the form off a name. 村民委员会 holds none of the words of a residents' committee.
func formOf(name string) Form {
	for _, word := range []string{"居委会", "居民委员会", "社区"} {
		if strings.Contains(name, word) {
			return Committee
		}
	}
	if strings.Contains(name, "村") {
		return Village
	}
	return Other
}

//go:embed divisions.txt
var divisionsText string

// Divisions returns the counties of the city in code order: 10, with 99 streets and 1,396 communities. It
// reads the embedded table, whose layout is described at its head.
func Divisions() []Division {
	ds, err := parseDivisions(divisionsText)
	if err != nil {
		panic("city: divisions.txt: " + err.Error()) // a fault of the build, found by any test
	}
	return ds
}

func parseDivisions(text string) ([]Division, error) {
	var ds []Division
	var last orgs.UnitCode
	for n, line := range strings.Split(text, "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		head, list, isStreet := strings.Cut(line, ":")
		code, name, _ := strings.Cut(head, " ")
		unit := orgs.UnitCode(code)
		if name == "" || unit <= last {
			return nil, fmt.Errorf("line %d: got %q, want a code after %s and a name", n+1, head, last)
		}
		last = unit
		if !isStreet {
			if len(code) != 6 {
				return nil, fmt.Errorf("line %d: a county has six digits: %q", n+1, code)
			}
			ds = append(ds, Division{Code: unit, Name: name})
			continue
		}
		if len(ds) == 0 || len(code) != 9 || !strings.HasPrefix(code, string(ds[len(ds)-1].Code)) {
			return nil, fmt.Errorf("line %d: the street %q lies in no county", n+1, code)
		}
		s := DividedStreet{Code: unit, Name: name}
		words := strings.Fields(list)
		if len(words)%2 != 0 {
			return nil, fmt.Errorf("line %d: a serial without a name", n+1)
		}
		for i := 0; i < len(words); i += 2 {
			c := unit + orgs.UnitCode(words[i])
			if len(words[i]) != 3 || c <= last {
				return nil, fmt.Errorf("line %d: got serial %q after %s", n+1, words[i], last)
			}
			last = c
			s.Communities = append(s.Communities, DividedCommunity{Code: c, Name: words[i+1], Form: formOf(words[i+1])})
		}
		county := &ds[len(ds)-1]
		county.Streets = append(county.Streets, s)
	}
	return ds, nil
}
