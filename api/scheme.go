package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gridcase/domain/assessment"
	"gridcase/domain/orgs"
	"gridcase/domain/scheme"
	"gridcase/domain/sealed"
	"gridcase/domain/stream"
	"gridcase/engine"
)

// SchemeFile is the rule book of an assessment (考核方案), and where it stands.
type SchemeFile struct {
	ID          stream.ID         `json:"id"`
	Revision    int64             `json:"revision"`
	Phase       scheme.Phase      `json:"phase"`
	Unit        orgs.UnitCode     `json:"unit" doc:"District or city whose office wrote it: it may be applied there and below."`
	Follows     stream.ID         `json:"follows,omitzero" doc:"The scheme whose next version it is."`
	Version     int               `json:"version,omitempty" doc:"Once it is published."`
	Hash        string            `json:"hash,omitempty" doc:"SHA-256 of its canonical bytes, once it is published: it never changes."`
	Scheme      assessment.Scheme `json:"scheme"`
	Faults      []SchemeFault     `json:"faults" nullable:"false" doc:"Of a draft: what keeps it from being published."`
	Reason      sealed.Public     `json:"reason,omitempty" doc:"It was discarded or retired for."`
	DraftedAt   time.Time         `json:"drafted_at"`
	PublishedAt time.Time         `json:"published_at,omitzero"`
	EndedAt     time.Time         `json:"ended_at,omitzero"`
	Since       time.Time         `json:"since"`
	Possible    []string          `json:"possible" nullable:"false"`
	Receipt     *Receipt          `json:"receipt,omitempty"`
}

// SchemeFault is one thing that keeps a draft from being published.
type SchemeFault struct {
	Code  string `json:"code" doc:"weight_below_floor or guard_failed."`
	Place string `json:"place" doc:"In the JSON of the scheme."`
	Zh    string `json:"zh"`
	En    string `json:"en"`
}

var schemes = resource[SchemeFile]{stream.Scheme, renderScheme}

func renderScheme(_ context.Context, _ *Server, _ stream.Name, state any, revision int64, receipt *Receipt) (SchemeFile, error) {
	st := state.(scheme.State)
	f := SchemeFile{ID: st.ID, Revision: revision, Phase: st.Phase, Unit: st.Unit, Follows: st.Follows, Version: st.Version, Hash: st.Hash, Scheme: st.Scheme,
		Faults: []SchemeFault{}, Reason: st.Reason, DraftedAt: shown(st.DraftedAt), PublishedAt: shown(st.PublishedAt), EndedAt: shown(st.EndedAt),
		Since: shown(st.Since), Possible: list(scheme.Machine.Possible(st.Phase)), Receipt: receipt}
	if st.Phase == scheme.PhaseDraft {
		for _, x := range assessment.Validate(st.Scheme) {
			f.Faults = append(f.Faults, SchemeFault(x))
		}
	}
	return f, nil
}

// The bodies of the commands. Their members mean what the event of the same command says.
type (
	draftSchemeBody struct {
		Happened
		Follows stream.ID         `json:"follows,omitzero" doc:"The published scheme whose next version this is to be."`
		Scheme  assessment.Scheme `json:"scheme" doc:"It need not hold together yet: see faults in the answer."`
	}
	amendSchemeBody struct {
		Happened
		Scheme assessment.Scheme `json:"scheme" doc:"The whole wording."`
	}
	publishSchemeBody struct{ Happened }
	discardSchemeBody struct {
		Happened
		Reason sealed.Public `json:"reason,omitempty" maxLength:"500"`
	}
	retireSchemeBody struct {
		Happened
		Reason sealed.Public `json:"reason,omitempty" maxLength:"500"`
	}
)

func (b amendSchemeBody) command() engine.Command   { return scheme.Amend{Scheme: b.Scheme} }
func (b publishSchemeBody) command() engine.Command { return scheme.Publish{} }
func (b discardSchemeBody) command() engine.Command { return scheme.Discard{Reason: b.Reason} }
func (b retireSchemeBody) command() engine.Command  { return scheme.Retire{Reason: b.Reason} }

func (s *Server) draftScheme(ctx context.Context, in *postInput[draftSchemeBody]) (*answer[SchemeFile], error) {
	if err := s.may(ctx, "scheme/draft"); err != nil {
		return nil, err
	}
	key, err := in.idempotencyKey()
	if err != nil {
		return nil, err
	}
	b := in.body
	n := stream.Of(stream.Scheme, stream.For(stream.Scheme, of(ctx).actor.ID, key))
	receipt, err := s.begins(ctx, n, key, b.OccurredAt, scheme.Draft{Follows: b.Follows, Scheme: b.Scheme})
	if err != nil {
		return nil, err
	}
	body, err := renderScheme(ctx, s, n, receipt.State, receipt.Revision, receiptOf(receipt))
	return answered(http.StatusCreated, base+"/schemes/"+n.ID().String(), receipt, body), err
}

func (s *Server) schemeRoutes() {
	offer[draftSchemeBody](s, huma.Operation{OperationID: "draft-scheme", Method: http.MethodPost, Path: base + "/schemes", DefaultStatus: http.StatusCreated,
		Summary: "Begin a scheme of assessment, or the next version of one (起草考核方案)", Tags: []string{"schemes"}}, s.draftScheme)
	command[amendSchemeBody](s, schemes, "Give a draft another wording (修改)")
	command[publishSchemeBody](s, schemes, "Publish it, with a second person (方案发布): it never changes again")
	command[discardSchemeBody](s, schemes, "Discard a draft (废弃)")
	command[retireSchemeBody](s, schemes, "Let no further period be settled by it (停用)")
	one(s, schemes, "Read a scheme: a draft as its office, a published one wherever it may be applied")
}
