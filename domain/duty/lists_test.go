package duty

import (
	"errors"
	"testing"
	"time"

	"gridcase/domain/orgs"
	"gridcase/domain/rule"
)

var (
	officer = rule.Actor{ID: "k-officer", Role: orgs.AdmissionOfficer, Unit: district}
	another = rule.Actor{ID: "k-another", Role: orgs.AdmissionOfficer, Unit: district}
)

func at(change ...func(*rule.At)) rule.At {
	a := rule.At{Stamp: rule.Stamp{Actor: officer, Second: &another, Occurred: morning, Recorded: morning}, Units: town()}
	for _, f := range change {
		f(&a)
	}
	return a
}

func publish(change ...func(*Publish)) Publish {
	p := lists()
	c := Publish{Unit: district, From: spring, Covers: p.Covers, Items: p.Items}
	for _, f := range change {
		f(&c)
	}
	return c
}

func TestPublishingReplacesTheWholeListFromADateOn(t *testing.T) {
	es, err := Decide(State{}, publish(), at())
	if err != nil || len(es) != 1 {
		t.Fatalf("got %v, %v", es, err)
	}
	first := es[0].(Published)
	if first.Version != 1 || first.Unlisted != BlockUnlisted || first.NegativeGrant != GrantAssists || len(first.Items) != len(lists().Items) {
		t.Errorf("got %+v, want version 1 with the defaults", first)
	}
	s := Fold(State{}, first, rule.Stamp{Recorded: morning})
	if es, err := Decide(s, publish(), at()); err != nil || len(es) != 0 {
		t.Errorf("the same again: got %v, %v, want nothing", es, err)
	}
	later := func(a *rule.At) { a.Recorded = spring.Start().Add(30 * 24 * time.Hour); a.Occurred = a.Recorded }
	if es, err := Decide(s, publish(), at(later)); err != nil || len(es) != 0 {
		t.Errorf("the same again while it is in force: got %v, %v, want nothing", es, err)
	}
	es, err = Decide(s, publish(func(c *Publish) { c.From, c.Items = spring+1, nil }), at())
	if err != nil || len(es) != 1 || es[0].(Published).Version != 2 {
		t.Errorf("an empty list: got %v, %v, want version 2", es, err)
	}
	if len(s.Versions) != 1 {
		t.Error("a decision changed the state")
	}
}

func TestWhatIsNotPublished(t *testing.T) {
	item := func(x Item) func(*Publish) {
		return func(c *Publish) { c.Items = append(c.Items[:len(c.Items):len(c.Items)], x) }
	}
	only := func(xs ...Item) func(*Publish) { return func(c *Publish) { c.Items = xs } }
	without := func(x Item, f func(*Item)) Item { f(&x); return x }
	for _, tt := range []struct {
		name string
		c    Publish
		at   rule.At
		code rule.Code
	}{
		{"a clerk publishes nothing", publish(), at(func(a *rule.At) { a.Actor.Role = orgs.Clerk }), rule.RoleMissing},
		{"nobody publishes for another unit, not even from above", publish(), at(func(a *rule.At) { a.Actor.Unit = city }), rule.OutsideJuris},
		{"a street publishes no lists", publish(func(c *Publish) { c.Unit = street }), at(func(a *rule.At) { a.Actor.Unit = street }), rule.GuardFailed},
		{"nobody publishes alone", publish(), at(func(a *rule.At) { a.Second = nil }), rule.SecondPerson},
		{"nobody confirms the own publication", publish(), at(func(a *rule.At) { a.Second = &officer }), rule.SecondPerson},
		{"somebody of another unit does not confirm", publish(), at(func(a *rule.At) { x := another; x.Unit = nextDistrict; a.Second = &x }), rule.SecondPerson},
		{"lists do not change today", publish(func(c *Publish) { c.From = date("2026-02-27") }), at(), rule.GuardFailed},
		{"nor in the past", publish(func(c *Publish) { c.From = date("2026-01-01") }), at(), rule.GuardFailed},
		{"lists cover somebody", publish(func(c *Publish) { c.Covers = nil }), at(), rule.GuardFailed},
		{"lists cover nobody twice", publish(func(c *Publish) { c.Covers = []orgs.Kind{orgs.Street, orgs.Street} }), at(), rule.GuardFailed},
		{"grids have no lists of their own", publish(func(c *Publish) { c.Covers = []orgs.Kind{orgs.Grid} }), at(), rule.GuardFailed},
		{"unlisted matters are blocked or passed", publish(func(c *Publish) { c.Unlisted = "ask" }), at(), rule.GuardFailed},
		{"grants on the negative list are one of three", publish(func(c *Publish) { c.NegativeGrant = "some" }), at(), rule.GuardFailed},
		{"a row is for whom the lists cover", publish(only(row(orgs.Street, Negative, "01")), func(c *Publish) { c.Covers = c.Covers[:1] }), at(), rule.GuardFailed},
		{"a street assists nobody by list", publish(item(row(orgs.Street, StatutoryAssist, "10"))), at(), rule.GuardFailed},
		{"there is no such list", publish(item(row(orgs.Community, "wishes", "10"))), at(), rule.GuardFailed},
		{"unlisted is no list", publish(item(row(orgs.Community, OnNone, "10"))), at(), rule.GuardFailed},
		{"a matter exists", publish(item(row(orgs.Community, NotBorne, "999999"))), at(), rule.GuardFailed},
		{"a class exists", publish(item(row(orgs.Community, NotBorne, "99"))), at(), rule.GuardFailed},
		{"half a code is none", publish(item(row(orgs.Community, NotBorne, "120"))), at(), rule.GuardFailed},
		{"a row says something", publish(item(without(row(orgs.Community, NotBorne, "10"), func(x *Item) { x.Row = " " }))), at(), rule.GuardFailed},
		{"a negative row has a basis", publish(item(without(row(orgs.Community, Negative, "10"), func(x *Item) { x.Basis = "" }))), at(), rule.GuardFailed},
		{"a certificate is issued somewhere", publish(item(without(row(orgs.Community, NoCertificate, "10"), func(x *Item) { x.Instead = "" }))), at(), rule.GuardFailed},
		{"only a certificate is issued elsewhere", publish(item(without(row(orgs.Community, NotBorne, "10"), func(x *Item) { x.Instead = "别处" }))), at(), rule.GuardFailed},
		{"a row stands once", publish(item(row(orgs.Community, NotBorne, notOurs))), at(), rule.GuardFailed},
		{"a duty is not what is not borne", publish(item(row(orgs.Community, StatutoryDuty, notOurs))), at(), rule.GuardFailed},
		{"in whatever order they stand", publish(only(row(orgs.Community, StatutoryDuty, notOurs), row(orgs.Community, NotBorne, "12"))), at(), rule.GuardFailed},
		{"a duty is not on the negative list", publish(item(row(orgs.Community, StatutoryDuty, "0101"))), at(), rule.GuardFailed},
		{"what is a duty is not assisted", publish(item(row(orgs.Community, StatutoryAssist, "1601"))), at(), rule.GuardFailed},
		{"what is not certified is no duty", publish(item(row(orgs.Community, StatutoryDuty, certificate))), at(), rule.GuardFailed},
	} {
		es, err := Decide(State{}, tt.c, tt.at)
		var r *rule.Refusal
		if !errors.As(err, &r) || r.Code != tt.code || len(es) > 0 {
			t.Errorf("%s: got %v, %v, want %s", tt.name, es, err, tt.code)
			continue
		}
		if r.Detail.Zh == "" || r.Detail.En == "" || r.Rule == "" {
			t.Errorf("%s: the refusal is not said in full: %+v", tt.name, r)
		}
	}
}

// What looks like a contradiction and is none: an exception from a wider row, and what the rule book provides for.
func TestExceptionsArePublished(t *testing.T) {
	for name, xs := range map[string][]Item{
		"a duty inside what is not borne may not be, the other way round it may": {row(orgs.Community, StatutoryDuty, "16"), row(orgs.Community, NotBorne, "160101")},
		"a certificate inside a duty":                                            {row(orgs.Community, StatutoryDuty, "16"), row(orgs.Community, NoCertificate, "160101")},
		"a duty inside what is assisted":                                         {row(orgs.Community, StatutoryAssist, "09"), row(orgs.Community, StatutoryDuty, "0909")},
		"help with what is on the negative list":                                 {row(orgs.Community, Negative, "0102"), row(orgs.Community, StatutoryAssist, "0102")},
		"what is not borne either":                                               {row(orgs.Community, Negative, "0102"), row(orgs.Community, NotBorne, "0102")},
		"a street's duty that is on the community's other":                       {row(orgs.Street, StatutoryDuty, "0102"), row(orgs.Community, Negative, "0102")},
		"a narrower row on the same list":                                        {row(orgs.Community, NotBorne, "12"), row(orgs.Community, NotBorne, "1203")},
	} {
		if _, err := Decide(State{}, publish(func(c *Publish) { c.Items = xs }), at()); err != nil {
			t.Errorf("%s: got %v, want it published", name, err)
		}
	}
}
