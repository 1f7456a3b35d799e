package api_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gin-gonic/gin"

	"gridcase/domain/orgs"
)

// BenchmarkRaise raises demands at 64 clients over HTTP; BenchmarkBareGin is the same request answered by a handler that
// reads the body and does nothing. Their ratio is what strictness, access, sealing and the log in memory cost.
func BenchmarkRaise(b *testing.B) {
	h := open(b)
	client := http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	key := h.key(orgs.Channel, hotline)
	var n atomic.Int64
	b.SetParallelism(32) // times two processors: 64 clients
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			send(b, &client, h.web.URL+"/api/v1/demands", key, n.Add(1), http.StatusCreated)
		}
	})
}

func BenchmarkBareGin(b *testing.B) {
	gin.SetMode(gin.ReleaseMode)
	g := gin.New()
	g.POST("/api/v1/demands", func(c *gin.Context) {
		body, err := io.ReadAll(c.Request.Body)
		if err != nil {
			c.Status(http.StatusBadRequest)
			return
		}
		c.JSON(http.StatusCreated, gin.H{"bytes": len(body)})
	})
	web := httptest.NewServer(g)
	defer web.Close()
	client := http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	var n atomic.Int64
	b.SetParallelism(32) // times two processors: 64 clients
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			send(b, &client, web.URL+"/api/v1/demands", "none", n.Add(1), http.StatusCreated)
		}
	})
}

func send(b *testing.B, client *http.Client, url, key string, n int64, want int) {
	req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(raising))
	if err != nil {
		b.Error(err)
		return
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", fmt.Sprint("bench-", n))
	res, err := client.Do(req)
	if err != nil {
		b.Error(err)
		return
	}
	body, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil || res.StatusCode != want {
		b.Errorf("got %d %s, %v", res.StatusCode, body, err)
	}
}
