package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"

	"gridcase/api"
	"gridcase/api/access"
	"gridcase/cmd/gridcase/city"
	"gridcase/domain/orgs"
)

// intakeClients is how many clients raise demands at once.
const intakeClients = 64

// intakeBody is a demand as a channel sends it.
const intakeBody = `{"kind":"issue","channel":"wechat","title":"供热温度不足","text":"家里暖气不热，室温只有十五度，已经三天了，希望尽快处理，谢谢。（合成）",` +
	`"community":%q,"reporter":{"name":"居民甲","phone":"00013800000"}}`

// benchIntake measures durable intake, with authentication, validation, sealing and views, against a Gin handler that reads
// the same body and answers 201: same client, same machine, interleaved.
func benchIntake(ctx context.Context, dir string, d time.Duration, repeats int, t *table) (err error) {
	data := filepath.Join(dir, "intake")
	quiet := streams{out: io.Discard, err: io.Discard}
	if err := seedFolder(ctx, data, quiet, seeding{size: city.Street, seed: 1}); err != nil {
		return err
	}
	registry := prometheus.NewRegistry()
	metrics := api.NewMetrics(registry)
	h, err := openHouse(ctx, data, quiet, houseOptions{keep: true, observe: metrics.Engine(), views: metrics.Views()})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	keys, err := access.Open(ctx, filepath.Join(data, "access.db"))
	if err != nil {
		return err
	}
	defer keys.Close()
	post, found := demoPost(h.engine.Units(), orgs.Channel)
	clerk, _ := demoPost(h.engine.Units(), orgs.Clerk)
	if !found {
		return errors.New("no unit for a channel")
	}
	key, _, err := keys.Create(ctx, orgs.Channel, post.Code, time.Now().Add(time.Hour))
	if err != nil {
		return err
	}
	server, err := api.New(api.Config{Engine: h.engine, Views: h.views, Access: keys, Log: h.log, Keys: h.keys, Registry: registry,
		Metrics: metrics, Logger: slog.New(slog.DiscardHandler), Version: version(), Limits: api.Limits{Rate: 1e9, Burst: 1e9}})
	if err != nil {
		return err
	}
	gin.SetMode(gin.ReleaseMode)
	bare := gin.New()
	bare.POST("/api/v1/demands", func(c *gin.Context) {
		if _, err := io.Copy(io.Discard, c.Request.Body); err != nil {
			c.Status(http.StatusBadRequest)
			return
		}
		c.JSON(http.StatusCreated, gin.H{"phase": "raised"})
	})
	body := fmt.Sprintf(intakeBody, clerk.Code)
	var limit, ours []float64
	var serial atomic.Int64
	for range repeats {
		for _, who := range []struct {
			handler http.Handler
			series  *[]float64
		}{{bare, &limit}, {server, &ours}} {
			v, err := raised(who.handler, d, body, key, &serial)
			if err != nil {
				return err
			}
			*who.series = append(*who.series, v)
		}
	}
	t.ratio(fmt.Sprintf("durable intake over HTTP, %d clients", intakeClients), "bare Gin handler", ours, limit, "requests/s", "≥ 0.25")
	return nil
}

// raised serves a handler on loopback and returns how many demands per second the clients get in.
func raised(handler http.Handler, d time.Duration, body, key string, serial *atomic.Int64) (float64, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	web := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = web.Serve(l) }() // always ends with ErrServerClosed
	defer web.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: intakeClients, MaxConnsPerHost: intakeClients}}
	defer client.CloseIdleConnections()
	url := "http://" + l.Addr().String() + "/api/v1/demands"
	return writers(intakeClients, d, func() func() error {
		return func() error {
			r, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
			if err != nil {
				return err
			}
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Authorization", "Bearer "+key)
			r.Header.Set("Idempotency-Key", fmt.Sprintf("bench-%d", serial.Add(1)))
			answer, err := client.Do(r)
			if err != nil {
				return err
			}
			defer answer.Body.Close()
			said, err := io.ReadAll(answer.Body)
			if err == nil && answer.StatusCode != http.StatusCreated {
				err = fmt.Errorf("answered %s: %s", answer.Status, said)
			}
			return err
		}
	})
}
