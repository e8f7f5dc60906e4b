// Package prometheus shows how to export the counters of listeners to Prometheus. It
// is a separate module, so that the library doesn't depend on Prometheus.
package prometheus

import (
	"maps"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// A Collector exports the [namedpipe.Stats] of listeners. Register it with a
// prometheus.Registry. Its methods are safe for concurrent use, as are those of
// listeners.
type Collector struct {
	listeners []*namedpipe.Listener
}

// NewCollector returns a collector for listeners, each on a different pipe. A
// listener that is closed keeps its counters.
func NewCollector(listeners ...*namedpipe.Listener) *Collector {
	return &Collector{listeners}
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("grpcpipe_listener_"+name, help, append([]string{"pipe"}, labels...), nil)
}

var (
	accepted = desc("accepted_total", "Connections accepted.")
	refused  = desc("refused_total", "Connections closed before they were accepted, by reason.", "reason")
	retries  = desc("retries_total", "Failed attempts to make an instance or to accept that were repeated.")
	waiting  = desc("waiting_instances", "Instances that wait for a client; off Windows 1 while the listener is open.")
	queued   = desc("queued_connections", "Connections that wait to be accepted; off Windows always 0.")
	open     = desc("open_connections", "Connections accepted and not closed.")
)

// reasons are those of Stats.Refused. All are exported from the start, so that
// each has a rate.
var reasons = []string{"access", "closed", "gone"}

// Describe sends the descriptions of all metrics.
func (c *Collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{accepted, refused, retries, waiting, queued, open} {
		to <- d
	}
}

// Collect sends the current values.
func (c *Collector) Collect(to chan<- prometheus.Metric) {
	for _, l := range c.listeners {
		pipe, s := l.Addr().String(), l.Stats()
		send := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
			to <- prometheus.MustNewConstMetric(d, kind, v, append([]string{pipe}, labels...)...)
		}
		send(accepted, prometheus.CounterValue, float64(s.Accepted))
		send(retries, prometheus.CounterValue, float64(s.Retries))
		send(waiting, prometheus.GaugeValue, float64(s.Waiting))
		send(queued, prometheus.GaugeValue, float64(s.Queued))
		send(open, prometheus.GaugeValue, float64(s.Open))
		byReason := maps.Clone(s.Refused)
		for _, reason := range reasons {
			byReason[reason] += 0
		}
		for reason, n := range byReason {
			send(refused, prometheus.CounterValue, float64(n), reason)
		}
	}
}
