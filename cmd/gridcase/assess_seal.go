package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"gridcase/domain/stream"
)

// A seal binds, so it is given where persons are known: over the API of a running node, by two keys. Nothing in the data folder says
// who sits before it; whoever can read the folder could name any two persons. So there is no way to seal a folder.

// office is a node, as somebody with a key reaches it.
type office struct {
	Server string `required:"" help:"Address of a running node." placeholder:"URL"`
	Key    string `name:"key-file" required:"" help:"File with your API key." type:"existingfile" placeholder:"FILE"`
	Period string `required:"" help:"Id of the period." placeholder:"ID"`
	Ruling string `help:"Why it is sealed although some units have no score; both persons give the same words." placeholder:"TEXT"`
}

type assessConfirmCmd struct{ office }

func (c assessConfirmCmd) Run(ctx context.Context, s streams) error {
	key, err := keyFrom(c.Key)
	if err != nil {
		return err
	}
	tag, err := c.standing(ctx, key)
	if err != nil {
		return err
	}
	token, err := c.confirmation(ctx, key, tag)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(s.out, token)
	return err
}

type assessSealCmd struct {
	office
	Code   string `name:"confirmation" help:"Code that the second person got from confirm." placeholder:"CODE"`
	Second string `name:"second-key-file" help:"File with the second person's API key, where both sit together." type:"existingfile" placeholder:"FILE"`
}

func (c assessSealCmd) Run(ctx context.Context, s streams) error {
	if (c.Code == "") == (c.Second == "") {
		return errors.New("a period is sealed by two persons: say either --confirmation or --second-key-file")
	}
	key, err := keyFrom(c.Key)
	if err != nil {
		return err
	}
	tag, err := c.standing(ctx, key)
	if err != nil {
		return err
	}
	if c.Second != "" {
		second, err := keyFrom(c.Second)
		if err != nil {
			return err
		}
		if second == key {
			return errors.New("both files hold the same key: the second person needs a key of their own")
		}
		if c.Code, err = c.confirmation(ctx, second, tag); err != nil {
			return fmt.Errorf("second person: %w", err)
		}
	}
	answer, _, err := c.ask(ctx, http.MethodPost, key, "/periods/"+c.Period+"/seal", c.body(), map[string]string{"If-Match": tag, "GridCase-Confirmation": c.Code})
	if err != nil {
		return err
	}
	var sealed struct {
		Phase  string `json:"phase"`
		Result struct {
			Results string `json:"results"`
			Cohort  string `json:"cohort"`
		} `json:"result"`
	}
	if err := json.Unmarshal(answer, &sealed); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "%s\nresults %s\ncohort  %s\n", sealed.Phase, sealed.Result.Results, sealed.Result.Cohort)
	return err
}

func keyFrom(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	key := strings.TrimSpace(string(b))
	if key == "" || strings.ContainsAny(key, " \r\n\t") {
		return "", fmt.Errorf("%s holds no key", path)
	}
	return key, nil
}

func (c office) body() []byte {
	if c.Ruling == "" {
		return []byte("{}")
	}
	b, _ := json.Marshal(map[string]string{"ruling": c.Ruling}) // a text is always written
	return b
}

// standing returns the revision of the period that is looked at.
func (c office) standing(ctx context.Context, key string) (string, error) {
	if _, err := stream.ParseID(c.Period); err != nil {
		return "", fmt.Errorf("%q is no id of a period", c.Period)
	}
	_, header, err := c.ask(ctx, http.MethodGet, key, "/periods/"+c.Period, nil, nil)
	if err != nil {
		return "", err
	}
	return header.Get("ETag"), nil
}

func (c office) confirmation(ctx context.Context, key, tag string) (string, error) {
	body, err := json.Marshal(map[string]any{"path": "/api/v1/periods/" + c.Period + "/seal", "if_match": tag, "body": json.RawMessage(c.body())})
	if err != nil {
		return "", err
	}
	answer, _, err := c.ask(ctx, http.MethodPost, key, "/confirmations", body, nil)
	if err != nil {
		return "", err
	}
	var got struct {
		Token string `json:"token"`
	}
	err = json.Unmarshal(answer, &got)
	return got.Token, err
}

// ask asks the node once. A refusal is told in the node's own words.
func (c office) ask(ctx context.Context, method, key, path string, body []byte, headers map[string]string) ([]byte, http.Header, error) {
	base, err := url.Parse(c.Server)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" {
		return nil, nil, fmt.Errorf("--server %q: an address such as https://gridcase.example", c.Server)
	}
	r, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.Server, "/")+"/api/v1"+path, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	r.Header.Set("Authorization", "Bearer "+key)
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Idempotency-Key", "assess-"+rand.Text())
	}
	for k, v := range headers {
		r.Header.Set(k, v)
	}
	client := http.Client{Timeout: 2 * time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }} // a key goes nowhere else
	a, err := client.Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer a.Body.Close()
	b, err := io.ReadAll(io.LimitReader(a.Body, 16<<20))
	if err != nil {
		return nil, nil, err
	}
	if a.StatusCode != http.StatusOK {
		var p struct{ Title, Detail, Code string }
		_ = json.Unmarshal(b, &p) // what is no problem has no words
		return nil, nil, fmt.Errorf("the node answered %d %s: %s %s", a.StatusCode, p.Code, p.Title, p.Detail)
	}
	return b, a.Header, nil
}
