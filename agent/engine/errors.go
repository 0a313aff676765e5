package engine

import "fmt"

// ErrorKind is what callers decide on.
type ErrorKind int

// The kinds of Error. They are stored by number: a new one goes to the end.
const (
	Stale        ErrorKind = iota // a revision that was named is not the current one
	Precondition                  // not in this state
	NotFound                      // no such revision or operation
	Misused                       // the request contradicts itself
	Full                          // the disk is full
	Storage                       // the state cannot be written
	Unsupported                   // this host cannot do it
	Unavailable                   // worth another try later
)

// Error is a refusal that is not about the document.
type Error struct {
	Kind ErrorKind
	// Rule is a stable name of the reason.
	Rule string
	// Message says what, why and what to do.
	Message string
	Err     error
}

// Error is the message, with the cause behind it.
func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %v", e.Message, e.Err)
	}
	return e.Message
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }
