// Package server is the API of the agent: it translates between gRPC and Go, knows
// who calls, and decides nothing else.
package server
