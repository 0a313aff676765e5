// Package eyes tests what the agent sees and tells: the real daemon on a real kernel,
// asked by agentctl, by a client of the API, and by those who scrape it.
package eyes
