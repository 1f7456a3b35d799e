package keys

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	"gridcase/domain/stream"
	"gridcase/eventlog"
)

// Limits of what goes over the wire.
const (
	mostBody  = 1 << 20 // bytes of a question or an answer
	mostUses  = 1_000   // uses in one question
	mostNames = 200     // bytes of a name in a question
)

// Service answers nodes on other machines from a key folder on this one. It speaks HTTP, and only to who bears a certificate:
//
//	POST /v1/NAME with a JSON object → 200 and a JSON object, or 400, 404, 409, 410, 503 and {"error": CODE, "detail": …}
//
// Only the code says that a key is unknown or erased: a status alone may come from somebody in between. What may be asked, and what is
// answered, are the types below; a question may be repeated, and has the effect of one.
//
// The key-encryption key never leaves the machine. Keys of persons do, one by one or as a pool, and the index key, from which a node derives
// at full speed; a node keeps all of them in memory alone.
type Service struct {
	folder *folder
	mux    *http.ServeMux
	logger *slog.Logger
	home   string // see [homeHeader]
}

// homeHeader says with each answer of which folder it is, by a digest of the index key: a service that comes back on another folder is away for
// the nodes that were with it before.
const homeHeader = "Gridcase-Keys"

func homeOf(master [32]byte) string {
	sum := sha256.Sum256(append([]byte("gridcase-keys/v1\n"), master[:]...))
	return hex.EncodeToString(sum[:16])
}

// the questions and answers of the protocol
type (
	wireKey struct {
		ID  string `json:"id"`
		Key []byte `json:"key"`
	}
	nothing struct{}

	askMake struct {
		Batch string `json:"batch"` // made up by the node; the same as long as it got no answer
		Count int    `json:"count"`
	}
	sayMade struct {
		Keys []wireKey `json:"keys"`
	}
	askBack struct {
		Keys []string `json:"keys"`
	}
	askGet struct {
		ID string `json:"id"`
	}
	askFind struct {
		Stream stream.Name `json:"stream"`
		Part   string      `json:"part"`
	}
	sayFound struct {
		wireKey
		Found bool `json:"found"`
	}
	sayAssigned struct {
		Position eventlog.Position `json:"position"`
	}
	askAssign struct {
		Uses  []wireUse         `json:"uses"`
		After eventlog.Position `json:"after"`
		UpTo  eventlog.Position `json:"up_to"` // 0: the position stays, more uses are coming
	}
	wireUse struct {
		Stream stream.Name `json:"stream"`
		Part   string      `json:"part"`
		Key    string      `json:"key"`
	}
	sayLacked struct {
		Lacked []int `json:"lacked"` // which of the uses
		Gap    bool  `json:"gap"`
	}
	askService struct {
		Name    string `json:"name"`
		Offered string `json:"offered"`
	}
	sayService struct {
		Private string `json:"private"`
	}
	sayFault struct {
		Error  string `json:"error"` // bad, unknown, erased, away
		Detail string `json:"detail"`
	}
)

// errBad: a question that no node asks.
var errBad = errors.New("no such question")

// NewService opens a key folder, or makes it, and answers from it. Nodes of this machine may have it open, too.
func NewService(ctx context.Context, dir string, logger *slog.Logger) (*Service, error) {
	f, err := openFolder(ctx, dir)
	if err != nil {
		return nil, err
	}
	s := &Service{folder: f, mux: http.NewServeMux(), logger: logger, home: homeOf(f.master)}
	answers(s, "secret", func(ctx context.Context, _ nothing) (wireKey, error) {
		return wireKey{ID: "index", Key: f.master[:]}, nil
	})
	answers(s, "make", func(ctx context.Context, q askMake) (sayMade, error) {
		if len(q.Batch) < 16 || len(q.Batch) > mostNames || q.Count < 1 || q.Count > poolSize {
			return sayMade{}, errBad
		}
		made, err := f.commit(ctx, q.Count, q.Batch)
		var a sayMade
		for _, k := range made {
			a.Keys = append(a.Keys, wireKey{k.ID, k.dek[:]})
		}
		return a, err
	})
	answers(s, "back", func(ctx context.Context, q askBack) (nothing, error) {
		var unused []Key
		for _, id := range q.Keys {
			unused = append(unused, Key{ID: id})
		}
		return nothing{}, f.giveBack(ctx, unused)
	})
	answers(s, "get", func(ctx context.Context, q askGet) (wireKey, error) {
		k, err := f.get(ctx, q.ID)
		return wireKey{k.ID, k.dek[:]}, err
	})
	answers(s, "find", func(ctx context.Context, q askFind) (sayFound, error) {
		k, found, err := f.find(ctx, q.Stream, q.Part)
		return sayFound{wireKey{k.ID, k.dek[:]}, found}, err
	})
	answers(s, "assigned", func(ctx context.Context, _ nothing) (sayAssigned, error) {
		p, err := f.assigned(ctx)
		return sayAssigned{p}, err
	})
	answers(s, "assign", func(ctx context.Context, q askAssign) (sayLacked, error) {
		if len(q.Uses) > mostUses {
			return sayLacked{}, errBad
		}
		uses, at := make([]Use, len(q.Uses)), map[Use]int{}
		for i, u := range q.Uses {
			if u.Stream == "" || u.Part == "" || len(u.Stream) > mostNames || len(u.Part) > mostNames || u.Key == "" {
				return sayLacked{}, errBad
			}
			uses[i] = Use(u)
			at[uses[i]] = i
		}
		lacked, err := f.assign(ctx, uses, q.After, q.UpTo)
		a := sayLacked{Gap: errors.Is(err, ErrGap)}
		for _, u := range lacked {
			a.Lacked = append(a.Lacked, at[u])
		}
		if a.Gap {
			err = nil
		}
		return a, err
	})
	answers(s, "restart", func(ctx context.Context, _ nothing) (nothing, error) { return nothing{}, f.restart(ctx) })
	answers(s, "service", func(ctx context.Context, q askService) (sayService, error) {
		if q.Name == "" || len(q.Name) > mostNames || len(q.Offered) > 2*mostNames {
			return sayService{}, errBad
		}
		private, err := f.service(ctx, q.Name, q.Offered)
		return sayService{private}, err
	})
	return s, nil
}

// answers registers a question. What is answered was committed before: no byte goes out until f has returned.
func answers[Q, A any](s *Service, name string, f func(context.Context, Q) (A, error)) {
	s.mux.HandleFunc("POST /v1/"+name, func(w http.ResponseWriter, r *http.Request) {
		var q Q
		var a any
		err := json.NewDecoder(http.MaxBytesReader(w, r.Body, mostBody)).Decode(&q)
		if err != nil {
			err = fmt.Errorf("%w: %w", errBad, err)
		} else {
			a, err = f(r.Context(), q)
		}
		status := http.StatusOK
		if err != nil {
			fault := sayFault{"away", err.Error()}
			switch status = http.StatusServiceUnavailable; {
			case errors.Is(err, errBad):
				status, fault.Error = http.StatusBadRequest, "bad"
			case errors.Is(err, ErrUnknown):
				status, fault.Error = http.StatusNotFound, "unknown"
			case errors.Is(err, ErrErased):
				status, fault.Error = http.StatusGone, "erased"
			case r.Context().Err() == nil:
				s.logger.Error("a node could not be answered", "question", name, "error", err)
			}
			a = fault
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set(homeHeader, s.home)
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(a) // who asked is gone
	})
}

// ServeHTTP answers a node whose certificate was verified, and nobody else.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		http.Error(w, "a certificate is needed", http.StatusForbidden)
		return
	}
	s.mux.ServeHTTP(w, r)
}

// Close closes the folder.
func (s *Service) Close() error { return s.folder.close() }

// Certificates names the PEM files of one side.
type Certificates struct {
	Cert, Key string // its own
	Authority string // whose certificates it believes on the other side
}

// load reads the files. The own certificate is read anew for each connection, so that it can be replaced without a restart.
func (c Certificates) load() (own func() (*tls.Certificate, error), others *x509.CertPool, err error) {
	own = func() (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, fmt.Errorf("certificate %s with key %s: %w", c.Cert, c.Key, err)
		}
		return &pair, nil
	}
	if _, err := own(); err != nil {
		return nil, nil, err
	}
	text, err := os.ReadFile(c.Authority)
	if err != nil {
		return nil, nil, fmt.Errorf("authority: %w", err)
	}
	if others = x509.NewCertPool(); !others.AppendCertsFromPEM(text) {
		return nil, nil, fmt.Errorf("authority: %s holds no certificate", c.Authority)
	}
	return own, others, nil
}

// Server returns what serves h: over TLS 1.3 alone, to those whose certificate the authority gave. Call ServeTLS of it with no files.
func Server(h http.Handler, c Certificates, logger *slog.Logger) (*http.Server, error) {
	own, nodes, err := c.load()
	if err != nil {
		return nil, err
	}
	one := new(http.Protocols)
	one.SetHTTP1(true)
	return &http.Server{Handler: h, Protocols: one, ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS13, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: nodes, SessionTicketsDisabled: true,
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return own() }},
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 20 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10}, nil
}
