package main

import (
	"fmt"
	"testing"

	"gridcase/domain/orgs"
)

func TestEachCommitOfTheLogIsCountedWithItsAppends(t *testing.T) {
	s := openTown(t)
	groups := func() (commits uint64, appends float64) {
		families, err := s.registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == "gridcase_append_group_size" {
				h := f.GetMetric()[0].GetHistogram()
				return h.GetSampleCount(), h.GetSampleSum()
			}
		}
		t.Fatal("there is no metric gridcase_append_group_size")
		return 0, 0
	}
	channel := s.as(orgs.Channel, s.hotline)
	s.want(s.get(channel, "/demands"), 200, "") // the grant of the key is in the log
	before, had := groups()
	body := fmt.Sprintf(`{"kind":"issue","channel":"hotline","title":"路灯","text":"路灯不亮","grid":%q,"reporter":{"name":"居民乙"}}`, s.grids[0])
	s.want(s.post(channel, "/demands", body), 201, "")
	if commits, appends := groups(); commits <= before || appends-had < float64(commits-before) {
		t.Errorf("%d commits with %.0f appends became %d with %.0f by raising a demand", before, had, commits, appends)
	}
}
