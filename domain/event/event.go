// Package event is the catalogue of everything the log may say, and the codec between a Go value and the
// bytes that are stored.
//
// A stored name is "<aggregate>-<past tense>/<version>" and lasts for ever. Bytes once written are never
// rewritten; a changed meaning is a new version. A name this program does not know decodes to [Unknown], so an old
// node keeps reading what a newer one wrote.
package event

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"reflect"
	"slices"

	"gridcase/domain/admission"
	"gridcase/domain/demand"
	"gridcase/domain/dispute"
	"gridcase/domain/duty"
	"gridcase/domain/evaluation"
	"gridcase/domain/order"
	"gridcase/domain/orgs"
	"gridcase/domain/period"
	"gridcase/domain/policy"
	"gridcase/domain/scheme"
	"gridcase/domain/topic"
	"gridcase/domain/whistle"
)

// Body is what an event says.
type Body interface{ EventType() string }

// Unknown is an event of a type that this program does not know.
type Unknown struct {
	Type string
	Data json.RawMessage
}

// EventType returns the stored name.
func (u Unknown) EventType() string { return u.Type }

// Encode returns the stored bytes of a body: JSON, members in declared order. It returns
// [sealed.ErrNotSealed], wrapped, if personal text is still in the clear.
func Encode(b Body) ([]byte, error) {
	if u, ok := b.(Unknown); ok {
		return u.Data, nil
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(b); err != nil {
		return nil, fmt.Errorf("encode %s: %w", b.EventType(), err)
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte{'\n'}), nil
}

// Decode reads stored bytes. An unknown type is no error.
func Decode(typ string, data []byte) (Body, error) {
	decode, known := catalogue[typ]
	if !known {
		return Unknown{Type: typ, Data: bytes.Clone(data)}, nil
	}
	b, err := decode(data)
	if err != nil {
		return nil, fmt.Errorf("decode %s: %w", typ, err)
	}
	return b, nil
}

// Known reports whether this program knows a stored name.
func Known(typ string) bool {
	_, known := catalogue[typ]
	return known
}

// Types yields every stored name, in alphabetical order.
func Types() iter.Seq[string] {
	return slices.Values(slices.Sorted(maps.Keys(catalogue)))
}

// Example returns the zero value of a stored type, for documentation and tests of the catalogue.
func Example(typ string) (Body, bool) {
	decode, known := catalogue[typ]
	if !known {
		return nil, false
	}
	b, err := decode([]byte("{}"))
	return b, err == nil
}

func as[T Body](data []byte) (Body, error) {
	var b T
	if decodeCanonical(data, reflect.ValueOf(&b).Elem()) {
		return b, nil
	}
	b = *new(T)
	err := json.Unmarshal(data, &b)
	return b, err
}

// entry pairs a type's stored name with its decoder.
func entry[T Body](m map[string]func([]byte) (Body, error)) {
	var b T
	m[b.EventType()] = as[T]
}

var catalogue = func() map[string]func([]byte) (Body, error) {
	m := map[string]func([]byte) (Body, error){}
	entry[demand.Raised](m)
	entry[demand.Accepted](m)
	entry[demand.AnsweredOnTheSpot](m)
	entry[demand.Declined](m)
	entry[demand.Redirected](m)
	entry[demand.Withdrawn](m)
	entry[demand.LinkedToTopic](m)
	entry[demand.FastTracked](m)
	entry[demand.UnlinkedFromTopic](m)
	entry[demand.EnteredHandling](m)
	entry[demand.Answered](m)
	entry[demand.ReturnedToTopic](m)
	entry[demand.ReturnedToPool](m)
	entry[demand.CallbackRecorded](m)
	entry[demand.CallbackAttempted](m)
	entry[demand.CallbackWaived](m)
	entry[demand.Reopened](m)
	entry[demand.AppealFiled](m)
	entry[demand.AppealRejected](m)
	entry[demand.AppealUpheld](m)
	entry[demand.Supplemented](m)
	entry[demand.Supported](m)
	entry[demand.Reclassified](m)
	entry[demand.Relocated](m)
	entry[demand.Split](m)
	entry[demand.Related](m)
	entry[demand.UrgingReceived](m)
	entry[demand.Rerated](m)
	entry[demand.ProgressNoted](m)
	entry[demand.DeadlineRecomputed](m)
	entry[demand.WarningRaised](m)
	entry[demand.ClockExpired](m)
	entry[demand.Escalated](m)

	entry[topic.Proposed](m)
	entry[topic.DeliberationOpened](m)
	entry[topic.DeliberationHeld](m)
	entry[topic.VoteOpened](m)
	entry[topic.VoteClosed](m)
	entry[topic.Adopted](m)
	entry[topic.Rejected](m)
	entry[topic.Deferred](m)
	entry[topic.AdmissionRefused](m)
	entry[topic.HandedToGrid](m)
	entry[topic.OrderAdded](m)
	entry[topic.ReadyToConclude](m)
	entry[topic.Returned](m)
	entry[topic.ResultPublished](m)
	entry[topic.Concluded](m)
	entry[topic.Reopened](m)
	entry[topic.MergedInto](m)
	entry[topic.Dropped](m)
	entry[topic.Supported](m)
	entry[topic.LinkedDemandReopened](m)
	entry[topic.DeadlineRecomputed](m)
	entry[topic.WarningRaised](m)
	entry[topic.ClockExpired](m)
	entry[topic.Escalated](m)

	entry[order.Dispatched](m)
	entry[order.Signed](m)
	entry[order.ReturnRequested](m)
	entry[order.ReturnRefused](m)
	entry[order.ReturnApproved](m)
	entry[order.Redispatched](m)
	entry[order.Contacted](m)
	entry[order.ContactNotRequired](m)
	entry[order.Suspended](m)
	entry[order.Resumed](m)
	entry[order.Reported](m)
	entry[order.VerificationPassed](m)
	entry[order.VerificationFailed](m)
	entry[order.Closed](m)
	entry[order.ReworkOrdered](m)
	entry[order.Reopened](m)
	entry[order.Cancelled](m)
	entry[order.CoUnitReported](m)
	entry[order.CoUnitReleased](m)
	entry[order.ExtensionRequested](m)
	entry[order.ExtensionGranted](m)
	entry[order.ExtensionRefused](m)
	entry[order.DemandAttached](m)
	entry[order.DemandDetached](m)
	entry[order.ServedDemandReopened](m)
	entry[order.Reassigned](m)
	entry[order.SupervisionIssued](m)
	entry[order.SupervisionAnswered](m)
	entry[order.DeadlineRecomputed](m)
	entry[order.ProblemFlagged](m)
	entry[order.Rated](m)
	entry[order.WarningRaised](m)
	entry[order.ClockExpired](m)
	entry[order.Escalated](m)

	entry[dispute.Opened](m)
	entry[dispute.MediationAccepted](m)
	entry[dispute.MediationDeclined](m)
	entry[dispute.MediationSucceeded](m)
	entry[dispute.MediationFailed](m)
	entry[dispute.ReferredUp](m)
	entry[dispute.ReferredOut](m)
	entry[dispute.Withdrawn](m)
	entry[dispute.AgreementFulfilled](m)
	entry[dispute.AgreementBreached](m)
	entry[dispute.RungExtended](m)
	entry[dispute.DeadlineRecomputed](m)
	entry[dispute.WarningRaised](m)
	entry[dispute.ClockExpired](m)
	entry[dispute.Escalated](m)

	entry[whistle.Blown](m)
	entry[whistle.UnitReportedIn](m)
	entry[whistle.UnitAbsent](m)
	entry[whistle.UnitExcused](m)
	entry[whistle.UnitReleased](m)
	entry[whistle.Concluded](m)
	entry[whistle.Cancelled](m)
	entry[whistle.Scored](m)
	entry[whistle.Rescored](m)
	entry[whistle.DeadlineRecomputed](m)
	entry[whistle.WarningRaised](m)

	entry[admission.Requested](m)
	entry[admission.ReviewOpened](m)
	entry[admission.Withdrawn](m)
	entry[admission.Granted](m)
	entry[admission.Refused](m)
	entry[admission.Revoked](m)
	entry[admission.Expired](m)
	entry[admission.OpinionRecorded](m)
	entry[admission.Funded](m)
	entry[admission.DeadlineRecomputed](m)
	entry[admission.WarningRaised](m)
	entry[admission.ClockExpired](m)
	entry[admission.Escalated](m)

	entry[duty.Published](m)
	entry[duty.Blocked](m)

	entry[orgs.UnitOpened](m)
	entry[orgs.UnitRenamed](m)
	entry[orgs.MembersSet](m)
	entry[orgs.UnitClosed](m)
	entry[orgs.CommunitySplit](m)
	entry[orgs.CommunityMerged](m)
	entry[orgs.GridDrawn](m)
	entry[orgs.GridRetired](m)
	entry[orgs.GridSplit](m)
	entry[orgs.GridMerged](m)
	entry[orgs.BlocksSurveyed](m)
	entry[orgs.HouseholdsAssigned](m)
	entry[orgs.GridWorkerAppointed](m)
	entry[orgs.GridWorkerRelieved](m)
	entry[orgs.ActingWorkerAppointed](m)
	entry[orgs.PartyGroupsSet](m)

	entry[policy.CalendarPublished](m)
	entry[policy.DeadlinesPublished](m)
	entry[policy.EscalationPublished](m)

	entry[scheme.Drafted](m)
	entry[scheme.Amended](m)
	entry[scheme.Published](m)
	entry[scheme.Discarded](m)
	entry[scheme.Retired](m)

	entry[period.Opened](m)
	entry[period.Ended](m)
	entry[period.ProvisionalPublished](m)
	entry[period.FiguresRecorded](m)
	entry[period.Sealed](m)
	entry[period.RevisionSealed](m)
	entry[period.Voided](m)
	entry[period.ExclusionRequested](m)
	entry[period.ExclusionApproved](m)
	entry[period.ExclusionRefused](m)
	entry[period.ObjectionFiled](m)
	entry[period.ObjectionUpheld](m)
	entry[period.ObjectionRejected](m)
	entry[period.OtherScoreImported](m)
	entry[period.WarningRaised](m)
	entry[period.ClockExpired](m)

	entry[evaluation.Submitted](m)

	entry[LogOpened](m)
	entry[RoleGranted](m)
	entry[RoleRevoked](m)
	entry[NumbersReserved](m)
	entry[PersonalDataRead](m)
	entry[SaltCommitted](m)
	entry[SaltRevealed](m)
	entry[NodeCheckedIn](m)
	return m
}()
