package agent

// Version of the agent; the build sets it with -ldflags.
var Version = "unknown"
