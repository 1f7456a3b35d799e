package report

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"gridcase/domain/assessment"
)

func paged(t *testing.T, d Document) string {
	t.Helper()
	var b bytes.Buffer
	if err := d.Page(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// PAGES names a folder to write the pages to, for whoever wants to look at them.
func kept(t *testing.T, name, text string) {
	if dir := os.Getenv("PAGES"); dir != "" {
		if err := os.WriteFile(dir+"/"+name+".html", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestThePageShowsTheSealTheRanksAndTheSteps(t *testing.T) {
	s, p, f := three()
	p.Exclusions = []assessment.Exclusion{{Number: 1, Case: assessment.Case{Stream: "gridcase.order-" + "00000000-0000-0000-0000-000000000000"}, Reason: assessment.ForceMajeure, Status: assessment.Undecided}}
	d := compute(t, s, p, f)
	d.Seal = &Seal{Revision: 2, At: time.Date(2026, 12, 20, 9, 0, 0, 0, time.UTC), Results: strings.Repeat("a", 64), Cohort: strings.Repeat("b", 64), Root: strings.Repeat("c", 64), Program: "then", Reason: "补记"}
	d.Recomputed = d.ResultsHash()
	text := paged(t, d)
	kept(t, "whole", text)
	for _, want := range []string{strings.Repeat("a", 64), strings.Repeat("c", 64), "第 2 次", "补记", d.ResultsHash(), d.Hash, "86.10", "88.40", "城市管理综合行政执法局", "丙街道", "below_min_sample", "按期结案率", "force_majeure", "4711"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

func TestThePageNeedsNothingButItself(t *testing.T) {
	s, p, f := three()
	p.Units[0].Name = `<script>alert(1)</script>" onload="x`
	text := paged(t, compute(t, s, p, f))
	if odd := regexp.MustCompile(`(?i)<script|<link|<img|<iframe|\sstyle=|\ssrc=|\shref=|url\(|@import|<[^>]*\son\w+=`).FindAllString(text, -1); odd != nil {
		t.Errorf("the page has %q", odd)
	}
	style := regexp.MustCompile(`(?s)<style>(.*?)</style>`).FindStringSubmatch(text)
	if style == nil || style[1] != pageStyle {
		t.Error("the style is not the one whose hash the policy names")
	}
}

func TestAnEmptyPeriodAndAStreetHavePagesToo(t *testing.T) {
	p := november()
	p.Units, p.Streets = nil, nil
	d := compute(t, assessment.Default(), p, assessment.Facts{})
	d.CutOff = 0
	if text := paged(t, d); !strings.Contains(text, "没有可显示的结果") || !strings.Contains(text, "尚未截止") {
		t.Error("an empty period does not say that it is empty")
	} else {
		kept(t, "empty", text)
	}
	s, p, f := three()
	p.Units[0].Name = strings.Repeat("很长的单位名称", 12)
	d = compute(t, s, p, f)
	d.Sees = func(k assessment.Key) bool { return k.Street == streetA }
	text := paged(t, d)
	kept(t, "street", text)
	if strings.Contains(text, "乙街道") || strings.Contains(text, "名次</h2>") || strings.Contains(text, d.ResultsHash()) || !strings.Contains(text, "88.40") {
		t.Error("a street's page shows more or less than its own")
	}
}
