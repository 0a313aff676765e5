// Package metrics tells Prometheus what the agent knows: what is counted as it happens,
// and what is looked at when somebody scrapes.
package metrics
