package api

import (
	"cmp"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"net/url"
	"strings"

	"gridcase/domain/orgs"
	"gridcase/domain/stream"
	"gridcase/projections"
)

// WorkLists counts what is on the four work lists of a unit (四项清单). They are not the duty lists of a community (社区四清单).
type WorkLists struct {
	Unit      orgs.UnitCode `json:"unit"`
	Needs     Count         `json:"needs" doc:"需求: demands that a topic took up, and that were not taken out of it again."`
	Projects  Count         `json:"projects" doc:"项目: topics that were adopted."`
	Resources Count         `json:"resources" doc:"资源: what adopted plans and published results name, by its name within the topic's unit."`
	Results   Count         `json:"results" doc:"实效: published results. There may be more of them than projects: all lists are many to many."`
	Position  string        `json:"position"`
}

// WorkItem is one item of a work list.
type WorkItem struct {
	Withheld bool          `json:"withheld,omitempty" doc:"A demand that you may not know of: it counts, and is not named."`
	Item     string        `json:"item,omitempty" doc:"Id of the demand or topic, name of the resource, topic and number of the result."`
	Unit     orgs.UnitCode `json:"unit" doc:"Where it is kept."`
	Says     string        `json:"says,omitempty" doc:"Title, name or text; absent of a demand."`
	Topics   []stream.ID   `json:"topics" nullable:"false" doc:"That it belongs to, whatever has become of them."`
	Link     string        `json:"link,omitempty"`
}

type answeredWorkLists struct {
	Position string `header:"GridCase-Position"`
	Body     WorkLists
}

func (s *Server) workLists(ctx context.Context, in *struct {
	Unit string `query:"unit" format:"unit" maxLength:"40" doc:"Of the own jurisdiction; if not given, the own unit."`
}) (*answeredWorkLists, error) {
	u, err := s.charge(ctx, readWork, in.Unit)
	if err != nil {
		return nil, err
	}
	n, at, err := s.Views.Views().Works(ctx, u.Code)
	if err != nil {
		return nil, err
	}
	count := func(l projections.WorkList) Count {
		return Count{n[l], base + "/views/work-lists/" + string(l) + "?unit=" + url.QueryEscape(string(u.Code))}
	}
	return &answeredWorkLists{at.String(), WorkLists{u.Code, count(projections.WorkNeed), count(projections.WorkProject), count(projections.WorkResource), count(projections.WorkResult), at.String()}}, nil
}

func (s *Server) workItems(ctx context.Context, in *struct {
	List  string `path:"list" enum:"need,project,resource,result"`
	Unit  string `query:"unit" format:"unit" maxLength:"40" doc:"Of the own jurisdiction; if not given, the own unit."`
	Limit int    `query:"limit" minimum:"1" maximum:"200" default:"50"`
	After string `query:"after" maxLength:"1000" doc:"The cursor next of the page before."`
	Count bool   `query:"count"`
}) (*listed[WorkItem], error) {
	last, err1 := lastRow(ctx, in.After)
	if err1 == nil {
		last, err1 = s.unveiled(last)
	}
	u, err2 := s.charge(ctx, readWork, in.Unit)
	if err := cmp.Or(err2, err1); err != nil {
		return nil, err
	}
	v, who, l, position := s.Views.Views(), s.viewer(of(ctx).actor), projections.WorkList(in.List), s.position()
	rows, next, err := v.WorkItems(ctx, u.Code, l, in.Limit, last)
	if err != nil {
		return nil, err
	}
	items := briefs(rows, func(r projections.WorkItem) WorkItem {
		return WorkItem{Item: r.Item, Unit: r.Unit, Says: r.Says, Topics: r.Topics}
	})
	for i := range items {
		switch it := &items[i]; l {
		case projections.WorkNeed:
			id, err := stream.ParseID(it.Item)
			if err != nil {
				return nil, err
			}
			seen, err := v.Visible(ctx, who, stream.Demand, id)
			if err != nil {
				return nil, err
			}
			if it.Link = base + "/demands/" + it.Item; !seen {
				it.Withheld, it.Item, it.Link = true, "", ""
			}
		case projections.WorkProject, projections.WorkResult:
			id, _, _ := strings.Cut(it.Item, "/")
			it.Link = base + "/topics/" + id
		}
	}
	return pageOf(ctx, items, cursorAt(ctx, s.veiled(next)), position, in.Count, func() (int, error) {
		n, _, err := v.Works(ctx, u.Code)
		return n[l], err
	})
}

// veiled enciphers the key of a row, which may name a demand that the reader may not know of. All nodes of a log have the same key for it.
func (s *Server) veiled(row string) string {
	if row == "" {
		return ""
	}
	return string(s.veil().Seal(nil, nil, []byte(row), nil))
}

func (s *Server) unveiled(row string) (string, error) {
	if row == "" {
		return "", nil
	}
	b, err := s.veil().Open(nil, nil, []byte(row), nil)
	if err != nil {
		return "", problem("bad_cursor")
	}
	return string(b), nil
}

func (s *Server) veil() cipher.AEAD {
	block, err := aes.NewCipher(s.Keys.Derived("cursor", "work-lists")[:32])
	if err == nil {
		var veil cipher.AEAD
		if veil, err = cipher.NewGCMWithRandomNonce(block); err == nil {
			return veil
		}
	}
	panic(err) // the key has the length it must have
}

func (s *Server) workListRoutes() {
	get(s, "work-lists", "/views/work-lists", "The work lists (四项清单): needs, projects, resources, results", "views", s.workLists)
	get(s, "list-work-items", "/views/work-lists/{list}", "List one of the work lists, each item with the topics it belongs to", "views", s.workItems)
}
