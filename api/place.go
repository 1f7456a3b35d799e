package api

import (
	"fmt"
	"math"
)

// Phones and WeChat give GCJ-02, positioning receivers WGS-84, Baidu BD-09. We keep WGS-84 and convert only here, at the
// edge; GCJ-02 is about 600 m off, which is the next grid.

// point is a place on the ground, in degrees.
type point struct{ lat, lon float64 }

// parameters of the Krasovsky ellipsoid that GCJ-02 is computed on.
const (
	axis         = 6378245.0
	eccentricity = 0.00669342162296594323
)

// toGCJ shifts WGS-84 to GCJ-02. Outside the shifted area both are the same.
func (p point) toGCJ() point {
	if p.lon < 72.004 || p.lon > 137.8347 || p.lat < 0.8293 || p.lat > 55.8271 {
		return p
	}
	x, y := p.lon-105, p.lat-35
	sin := func(v float64) float64 { return math.Sin(v * math.Pi) }
	common := 20*sin(6*x) + 20*sin(2*x)
	dLat := -100 + 2*x + 3*y + 0.2*y*y + 0.1*x*y + 0.2*math.Sqrt(math.Abs(x)) +
		2.0/3*(common+20*sin(y)+40*sin(y/3)+160*sin(y/12)+320*sin(y/30))
	dLon := 300 + x + 2*y + 0.1*x*x + 0.1*x*y + 0.1*math.Sqrt(math.Abs(x)) +
		2.0/3*(common+20*sin(x)+40*sin(x/3)+150*sin(x/12)+300*sin(x/30))
	lat := p.lat * math.Pi / 180
	m := 1 - eccentricity*math.Sin(lat)*math.Sin(lat)
	return point{
		lat: p.lat + 180*dLat*math.Pow(m, 1.5)/(axis*(1-eccentricity)*math.Pi),
		lon: p.lon + 180*dLon*math.Sqrt(m)/(axis*math.Cos(lat)*math.Pi),
	}
}

// toBD shifts GCJ-02 to BD-09.
func (p point) toBD() point {
	const turn = 3000 * math.Pi / 180
	r := math.Hypot(p.lon, p.lat) + 2e-5*math.Sin(p.lat*turn)
	θ := math.Atan2(p.lat, p.lon) + 3e-6*math.Cos(p.lon*turn)
	return point{lat: r*math.Sin(θ) + 0.006, lon: r*math.Cos(θ) + 0.0065}
}

// invert finds what a shift leads to p from. The shifts are small and smooth: a few rounds end below 10⁻⁹ degree.
func (p point) invert(shift func(point) point) point {
	guess := p
	for range 5 {
		there := shift(guess)
		guess.lat += p.lat - there.lat
		guess.lon += p.lon - there.lon
	}
	return guess
}

// toWGS brings a point of a declared system to WGS-84. The empty system is WGS-84 itself.
func (p point) toWGS(crs string) point {
	switch crs {
	case "gcj02":
		return p.invert(point.toGCJ)
	case "bd09":
		return p.invert(point.toBD).invert(point.toGCJ)
	}
	return p
}

// String is "latitude,longitude" in units of 10⁻⁷ degree.
func (p point) String() string {
	return fmt.Sprintf("%d,%d", int64(math.Round(p.lat*1e7)), int64(math.Round(p.lon*1e7)))
}
