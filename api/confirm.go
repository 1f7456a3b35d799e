package api

import (
	"bytes"
	"context"
	"crypto/hmac"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"gridcase/domain/orgs"
	"gridcase/domain/rule"
	"gridcase/domain/stream"
)

// confirmationLife is how long a confirmation holds.
const confirmationLife = 15 * time.Minute

// Some commands need a second person (rule M6). That person says so with the own key, for one command with one body on
// one revision, and hands the token to the first. The token is <who and until when>.<mac>, both base64url; the
// mac covers path, revision and canonical body too, none of which can be read from it. Nothing is stored: the
// second person enters the log with the command.
type confirmation struct {
	ID    string        `json:"i"`
	Role  orgs.Role     `json:"r"`
	Unit  orgs.UnitCode `json:"u"`
	Until int64         `json:"e"` // unix seconds
}

type confirmBody struct {
	Path    string          `json:"path" maxLength:"200" format:"path" doc:"Of the command, such as /api/v1/demands/{id}/decline."`
	IfMatch string          `json:"if_match" maxLength:"24" format:"etag" doc:"The ETag that the command will be sent with."`
	Body    json.RawMessage `json:"body,omitempty" doc:"The body that the command will be sent with, member by member."`
}

// Confirmation is the answer to a second person.
type Confirmation struct {
	Token string    `json:"token" doc:"For the header GridCase-Confirmation of the first person."`
	Until time.Time `json:"until"`
}

func (s *Server) confirm(ctx context.Context, in *postInput[confirmBody]) (*struct{ Body Confirmation }, error) {
	rq := of(ctx)
	revision, err := parseIfMatch(in.body.IfMatch)
	if err != nil {
		return nil, err
	}
	machine, id, command, ok := splitCommand(in.body.Path)
	if !ok {
		return nil, invalid(fault("body.path", "malformed", "须为某项操作的路径", "must be the path of a command"))
	}
	if _, _, _, err := s.find(ctx, machine, id); err != nil {
		return nil, err
	}
	if _, known := s.allowed[action(string(machine)+"/"+command)]; !known {
		return nil, problem("not_found")
	}
	canonical, err := canonicalJSON(in.body.Body)
	if err != nil {
		return nil, invalid(fault("body.body", "wrong_type", "须为对象", "must be an object"))
	}
	until := s.Now().Add(confirmationLife).Truncate(time.Second)
	who, err := json.Marshal(confirmation{ID: rq.actor.ID, Role: rq.actor.Role, Unit: rq.actor.Unit, Until: until.Unix()})
	if err != nil {
		return nil, err
	}
	token := base64.RawURLEncoding.EncodeToString(who) + "." +
		base64.RawURLEncoding.EncodeToString(s.confirmationMac(who, in.body.Path, revision, canonical))
	return &struct{ Body Confirmation }{Confirmation{Token: token, Until: shown(until)}}, nil
}

func (s *Server) confirmationMac(who []byte, path string, revision int64, body []byte) []byte {
	return s.Keys.Derived("confirmation", strings.Join([]string{string(who), path, strconv.FormatInt(revision, 10), string(body)}, "\n"))
}

// second returns who confirmed this very command; nil if nobody did.
func (s *Server) second(token, path string, revision int64, body []byte) (*rule.Actor, error) {
	if token == "" {
		return nil, nil
	}
	refused := problem("second_person_required", rule.Say("确认码无效：与本次操作的路径、If-Match 或内容不一致，或不是本系统签发",
		"the confirmation does not fit: it is for another path, If-Match or body, or was not made here"))
	first, last, two := strings.Cut(token, ".")
	who, err1 := base64.RawURLEncoding.Strict().DecodeString(first)
	mac, err2 := base64.RawURLEncoding.Strict().DecodeString(last)
	canonical, err3 := canonicalJSON(body)
	if !two || err1 != nil || err2 != nil || err3 != nil || !hmac.Equal(mac, s.confirmationMac(who, path, revision, canonical)) {
		return nil, refused
	}
	var c confirmation
	if err := json.Unmarshal(who, &c); err != nil {
		return nil, refused
	}
	if s.Now().Unix() >= c.Until {
		return nil, problem("second_person_required", rule.Say("确认码已过期（15 分钟有效），请重新确认", "the confirmation has expired after 15 minutes: confirm again"))
	}
	return &rule.Actor{ID: c.ID, Role: c.Role, Unit: c.Unit}, nil
}

// canonicalJSON brings an object into one form: members sorted, no space. An empty body is an empty object.
func canonicalJSON(body []byte) ([]byte, error) {
	object := map[string]any{}
	if len(bytes.TrimSpace(body)) > 0 {
		d := json.NewDecoder(bytes.NewReader(body))
		d.UseNumber()
		if err := d.Decode(&object); err != nil {
			return nil, err
		}
	}
	return json.Marshal(object)
}

// splitCommand takes the path of a command apart.
func splitCommand(path string) (c stream.Category, id, command string, ok bool) {
	parts := strings.Split(strings.TrimPrefix(path, base+"/"), "/")
	if !strings.HasPrefix(path, base+"/") || len(parts) != 3 {
		return "", "", "", false
	}
	for _, c := range []stream.Category{stream.Demand, stream.Topic, stream.Order, stream.Dispute, stream.Whistle, stream.Admission, stream.Duties,
		stream.Scheme, stream.Period} {
		if parts[0] == strings.TrimSuffix(string(c), "s")+"s" { // "duties" is a plural already
			return c, parts[1], parts[2], true
		}
	}
	return "", "", "", false
}
