// Package report writes an assessment as documents: a workbook that recomputes itself, lists for other programs, and a page to print.
//
// A document shows what its reader may see and nothing else: figures, scores and standings are asked for one by one.
package report

import (
	"errors"
	"strconv"
	"time"

	"gridcase/domain/assessment"
	"gridcase/domain/orgs"
)

// Document is an assessment with what identifies it.
type Document struct {
	*assessment.Results
	Sees      func(assessment.Key) bool     // which figures the reader may see; nil: all
	Withheld  func(assessment.Finding) bool // which cases are counted and not named; nil: none
	AsOf      int64                         // position in the log of what the period's own stream says
	CutOff    int64                         // position up to which cases count; 0: the period has not ended
	Program   string                        // version of the program that computed it
	Synthetic bool                          // nothing of it is about real people
	Seal      *Seal                         // nil: it is not sealed

	// Recomputed is the SHA-256 of the results of a sealed period as they were computed again, "" if this program can not compute its scheme.
	// Where it is not the seal's, the numbers are those that the seal recorded, and what lies behind them is not to be had.
	Recomputed string
}

// ErrRecorded: of a sealed period that does not come to what was sealed when it is computed again there are the recorded numbers only, and
// nothing that they could be recomputed from.
var ErrRecorded = errors.New("computed again from the log at the seal's position, it comes to other figures than the sealed ones")

// Seal is what an edition of the results was sealed with.
type Seal struct {
	Revision int       // 1 is the first seal
	At       time.Time // in city time
	Results  string    // SHA-256, hexadecimal
	Cohort   string
	Root     string // of the Merkle tree of the log at the cut-off
	Program  string // that computed it then
	Cause    string // of a revision
	Reason   string
	Changed  int // of a revision: numbers that differ from the one before
}

// recorded reports whether the numbers are a seal's, and not those that were computed.
func (d Document) recorded() bool { return d.Seal != nil && d.Seal.Results != d.Recomputed }

// revision is what the seal was the n-th of, "" if there is none.
func (d Document) revision() amount {
	if d.Seal == nil {
		return ""
	}
	return amount(strconv.Itoa(d.Seal.Revision))
}

// Found returns [ErrRecorded] if the results are not found again, and so can not be written whole.
func (d Document) Found() error {
	if d.recorded() {
		return ErrRecorded
	}
	return nil
}

// CohortFound returns [ErrRecorded] if the list of cohorts is not the one that was sealed.
func (d Document) CohortFound() error {
	if d.recorded() && d.CohortHash() != d.Seal.Cohort {
		return ErrRecorded
	}
	return nil
}

// sees reports whether the reader may see a figure of a unit and a street.
func (d Document) sees(k assessment.Key) bool { return d.Sees == nil || d.Sees(k) }

// withheld reports whether a case must not be named; of the case of a request nobody knows whether it is of a report, so it is asked about.
func (d Document) withheld(f assessment.Finding) bool { return d.Withheld != nil && d.Withheld(f) }

// caseName names the case of a request.
func (d Document) caseName(c assessment.Case) string {
	if d.withheld(assessment.Finding{Case: c, Report: true}) {
		return "（不具名 withheld）"
	}
	return caseName(c)
}

// whole reports whether the reader sees everything: only then can ranks and requests be shown.
func (d Document) whole() bool { return d.sees(assessment.Key{}) }

func (d Document) figures() (fs []*assessment.Figure) {
	for i := range d.Figures {
		if d.sees(d.Figures[i].Key) {
			fs = append(fs, &d.Figures[i])
		}
	}
	return fs
}

func (d Document) scores() (ss []*assessment.Score) {
	for i := range d.Scores {
		if s := &d.Scores[i]; d.sees(assessment.Key{Unit: s.Unit, Street: s.Street}) {
			ss = append(ss, s)
		}
	}
	return ss
}

func (d Document) standings() (ss []*assessment.Standing) {
	for i := range d.Standings {
		if s := &d.Standings[i]; d.sees(assessment.Key{Unit: s.Unit}) {
			ss = append(ss, s)
		}
	}
	return ss
}

// status says how far what is printed binds.
func (d Document) status() string {
	switch {
	case d.Seal == nil:
		return "试算，未封存（not sealed）"
	case d.recorded():
		return "已封存；重新计算与封存不符，以下为封存的数值（sealed; recomputed otherwise, these are the sealed numbers）"
	case d.Seal.Revision > 1:
		return "已封存，有修订（sealed, revised）"
	}
	return "已封存（sealed）"
}

// names are what units and streets are called.
func (d Document) names() map[orgs.UnitCode]string {
	m := map[orgs.UnitCode]string{"": "全部", assessment.Nowhere: "无街道"}
	for _, u := range d.Results.Period.Units {
		m[u.Unit] = u.Name
	}
	for _, s := range d.Results.Period.Streets {
		m[s.Unit] = s.Name
	}
	return m
}

func zh(i assessment.Indicator) string {
	def, _ := assessment.Define(i)
	return def.Zh
}
